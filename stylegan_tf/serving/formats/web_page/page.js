/* The page around `stylegan.js`. MODEL and RUNTIME come from model.js and runtime.js: base64, as a page at a `file:`
 * address may load scripts, but not fetch files. */
"use strict";

const element = (id) => document.getElementById(id);
const bytes = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
const LARGEST_SEED = 2 ** 32 - 1;
const LARGEST_WALK = 64; // Pixels a side; larger pictures take too long for a moving image.

async function openGenerator() {
  const source = new Blob([RUNTIME.module], { type: "text/javascript" });
  const runtime = await import(URL.createObjectURL(source));
  runtime.env.wasm.numThreads = 1; // More need cross-origin isolation, which static hosts do not offer.
  runtime.env.wasm.wasmBinary = bytes(RUNTIME.wasm);
  const model = { facts: MODEL.facts, mapping: bytes(MODEL.mapping), synthesis: bytes(MODEL.synthesis) };
  return Generator.open(runtime, model);
}

/** In the shape of the training pictures, where these were stretched to squares. */
function draw(canvas, picture) {
  const { width, height } = picture;
  const ratio = MODEL.facts.aspect_ratio || 1;
  const square = document.createElement("canvas");
  [square.width, square.height] = [width, height];
  square.getContext("2d").putImageData(new ImageData(asRgba(picture), width, height), 0, 0);
  canvas.width = Math.round(width * Math.max(ratio, 1));
  canvas.height = Math.round(height / Math.min(ratio, 1));
  canvas.getContext("2d").drawImage(square, 0, 0, canvas.width, canvas.height);
}

/** What the controls say. */
function settings() {
  const seed = (id) => Math.min(LARGEST_SEED, Math.max(0, Math.floor(Number(element(id).value) || 0)));
  return {
    seed: seed("seed"),
    other: seed("other"),
    psi: Number(element("psi").value),
    label: Number(element("label").value) || 0,
    crossover: Number(element("crossover").value),
    mixing: element("mixing").checked,
  };
}

let shownName = ""; // Of the file of the picture on show, which the controls may no longer describe.

function present(picture, name) {
  draw(element("picture"), picture);
  shownName = name;
}

async function show(generator) {
  const chosen = settings();
  const { seed, other, psi, label, crossover, mixing } = chosen;
  const { num_layers, w_size } = generator.facts;
  let w = await generator.stylesOfSeed(seed, psi, label);
  if (mixing) w = mix(w, await generator.stylesOfSeed(other, psi, label), crossover, num_layers, w_size);
  present(await generator.picture(w), fileName(chosen, generator.facts));
}

/** Style mixing as in the paper (Fig. 3): columns lend their styles of one range of layers to the rows. */
async function showTable(generator) {
  const { psi, label } = settings();
  const { w_size } = generator.facts;
  const [from, to] = element("range").value.split("-").map(Number);
  const seeds = (id) => (element(id).value.match(/\d+/g) || []).map(Number).filter((seed) => seed <= LARGEST_SEED);
  const [rows, columns] = [seeds("rows").slice(0, 8), seeds("columns").slice(0, 8)];
  const styles = (list) => Promise.all(list.map((seed) => generator.stylesOfSeed(seed, psi, label)));
  const [rowStyles, columnStyles] = [await styles(rows), await styles(columns)];
  const table = element("table");
  table.replaceChildren();
  const fill = async (row, w) => {
    const canvas = document.createElement("canvas");
    row.insertCell().append(canvas);
    if (w) draw(canvas, await generator.picture(w));
  };
  for (const w of [null, ...rowStyles]) {
    const row = table.insertRow();
    await fill(row, w);
    for (const other of columnStyles) {
      await fill(row, w ? mix(w, other, from, to, w_size) : other);
    }
  }
}

/** From seed to seed without end, until the button is pressed again. */
async function walk(generator) {
  const { latent_size } = generator.facts;
  let { seed } = settings();
  while (walking()) {
    const [start, end] = [latentsOfSeed(seed, latent_size), latentsOfSeed((seed + 1) % 2 ** 32, latent_size)];
    const begin = performance.now();
    for (let t = 0; t < 1 && walking(); t = (performance.now() - begin) / 2000) {
      const { psi, label } = settings();
      const w = await generator.styles(slerp(start, end, t), psi, label);
      present(await generator.picture(w), "walk.png");
      await new Promise(requestAnimationFrame);
    }
    if (walking()) element("seed").value = seed = (seed + 1) % 2 ** 32;
  }
}

const walking = () => element("walk").classList.contains("on");

/** Runs a task with a note of how long it took; errors are shown. */
async function busy(task) {
  const begin = performance.now();
  element("status").textContent = "…";
  try {
    await task();
    element("status").textContent = `${Math.round(performance.now() - begin)} ms`;
  } catch (error) {
    element("status").textContent = `It failed: ${error.message || error}`;
  }
}

function connect(generator) {
  const { label_names, label_size, num_layers, groups, resolution, centres } = generator.facts;
  const redraw = () => busy(() => show(generator));
  for (const id of ["seed", "other", "psi", "label", "crossover", "mixing"]) {
    element(id).addEventListener("change", redraw);
  }
  element("psi").addEventListener("input", () => (element("psi_value").textContent = element("psi").value));
  element("random").addEventListener("click", () => {
    element("seed").value = Math.floor(Math.random() * 2 ** 32);
    redraw();
  });
  element("make_table").addEventListener("click", () => busy(() => showTable(generator)));
  element("walk").addEventListener("click", () => {
    if (element("walk").classList.toggle("on")) busy(() => walk(generator));
  });
  element("save").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = element("picture").toDataURL("image/png");
    link.download = shownName;
    link.click();
  });
  for (let i = 0; i < label_size; i++) element("label").add(new Option((label_names || [])[i] || `${i}`, i));
  element("label_field").hidden = !label_size;
  element("walk").hidden = resolution > LARGEST_WALK;
  element("crossover").max = num_layers;
  element("crossover").value = Math.floor(num_layers / 2);
  for (const part of document.querySelectorAll(".styles")) part.hidden = !centres.length;
  for (const [name, from, to] of groups) {
    element("range").add(new Option(`${name} styles (layers ${from} to ${to - 1})`, `${from}-${to}`));
  }
  return redraw();
}

openGenerator().then(
  (generator) => {
    window.generator = generator;
    return connect(generator);
  },
  (error) => (element("status").textContent = `The model cannot be opened: ${error.message || error}`)
);
