// The page: builds the panels of a network, draws the picture of the state, keeps everything that shows it in step.

import { Refused, download, get, picture, post } from "./api.js";
import { $, choices, element, icon, say, saying, showValue, slider, typed } from "./controls.js";
import { buildBlend, connectBlend, showBlend } from "./blend.js";
import { connectVideo, showVideoTab } from "./video.js";
import { buildFind, connectFind, showFound } from "./find.js";
import { buildLayers, showLayers, withStrength } from "./layers.js";
import { buildMixing, showMixing } from "./mixing.js";
import { Walk, buildMap, showMap } from "./seeds.js";
import { SEEDS, copyOf, readFragment, stateOf, store } from "./store.js";
import { holdBack } from "./thumbnails.js";

const walk = new Walk();
let sliders = {}; // By name: psi, cutoff, and those of groups of noise.
let moves = []; // Sliders of the directions: {name, set}.
let showNoiseMode = null;
let showCentre = null;
let tab = "seed";

// ---- The picture: one request at a time, always of the newest state

let isDrawing = false;
let drawn = null; // The view that is shown, as text.
let waiting = []; // Calls of `shown` that wait for the picture.

async function draw() {
  if (isDrawing) return;
  isDrawing = true;
  let error = null;
  while (drawn !== JSON.stringify(store.view)) {
    const view = store.view;
    holdBack();
    try {
      const blob = await picture(view);
      await showPicture(blob, view);
      error = null;
    } catch (problem) {
      error = problem;
      $("frame").classList.add("stale");
      say(problem.message);
    }
    drawn = JSON.stringify(view);
  }
  if (error) drawn = null; // It is asked for again with the next change, or when it is needed.
  isDrawing = false;
  for (const { resolve, reject } of waiting.splice(0)) error ? reject(error) : resolve();
}

// Until the picture is that of the state.
function shown() {
  return new Promise((resolve, reject) => {
    waiting.push({ resolve, reject });
    draw();
  });
}

async function showPicture(blob, view) {
  const image = $("picture");
  const old = image.src;
  image.src = URL.createObjectURL(blob);
  await image.decode();
  URL.revokeObjectURL(old);
  image.alt = view.found ? "The image that was found" : `Image of seed ${view.seed}, truncation ${view.psi}`;
  image.dataset.view = JSON.stringify(view);
  $("frame").classList.remove("stale");
  fit();
  if (walk.isOn) requestAnimationFrame(() => walk.step());
}

// Small pictures are enlarged by whole factors of the screen's pixels, large ones reduced to the room that there is.
function fit() {
  const image = $("picture");
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  if (!width) return;
  const room = $("frame").getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  const scale = Math.min((room.width * ratio) / width, (room.height * ratio) / height);
  const factor = scale >= 1 ? Math.floor(scale) : scale;
  image.style.width = `${(width * factor) / ratio}px`;
  image.style.height = `${(height * factor) / ratio}px`;
  image.classList.toggle("crisp", scale >= 1);
}

// ---- A network

let newest = 0; // The last network that was requested: answers for others come too late.

// Loads a network's facts and builds its panels. Returns null where another one was asked for meanwhile.
async function load(name) {
  const mine = ++newest;
  document.body.classList.add("loading");
  try {
    const facts = await get(`api/network${name ? `?name=${encodeURIComponent(name)}` : ""}`);
    if (mine !== newest) return null;
    store.use(facts);
    build(facts);
    return facts;
  } finally {
    if (mine === newest) document.body.classList.remove("loading");
  }
}

async function open(name, entries) {
  const facts = await load(name);
  if (!facts) return;
  try {
    store.open(stateOf(entries, facts));
  } catch (error) {
    say(error.message);
    store.open(stateOf({}, facts));
  }
}

// The state is another network's, as after undo.
const reload = saying(async () => {
  if (await load(store.view.network)) show(store.state, true);
});

function build(facts) {
  $("networks").hidden = facts.networks.length < 2;
  $("network").replaceChildren(...facts.networks.map((name) => element("option", { value: name, textContent: name })));
  $("network").value = facts.network;
  const offered = { mix: facts.has_styles, move: facts.directions.length, noise: facts.has_noise, blend: facts.networks.length > 1 };
  buildTabs(offered);
  buildTruncation(facts);
  buildNoise(facts);
  buildMoves(facts);
  buildMixing();
  buildBlend(facts);
  buildFind();
  buildLayers();
}

function buildTruncation(facts) {
  sliders.psi = slider({
    id: "psi", label: "Truncation psi", min: -1.5, max: 1.5, step: 0.01, first: facts.first.psi,
    use: (psi) => store.changeView({ psi }),
  });
  sliders.cutoff = slider({
    id: "cutoff", label: "Truncated layers", min: 0, max: facts.num_layers, step: 1, first: facts.first.cutoff,
    use: (cutoff) => store.changeView({ cutoff }),
  });
  showCentre = choices($("centre"), { class: "the class", all: "all" }, (centre) => store.changeView({ centre }));
  $("centre").hidden = !facts.labels.length || !facts.has_styles;
  $("truncation").replaceChildren(...(facts.has_styles ? [sliders.psi.box, sliders.cutoff.box] : []));
}

function buildNoise(facts) {
  const modes = { const: "The network's own", random: "Random", none: "None" };
  showNoiseMode = choices($("noise_mode"), modes, (noise_mode) => store.changeView({ noise_mode }));
  sliders.strengths = facts.groups.map(({ name, layers, span }) => ({
    layers,
    ...slider({
      id: `strength_${name}`, label: `Strength in ${name} layers (${span})`, min: 0, max: 3, step: 0.05, first: 1,
      use: (value) => store.changeView({ strengths: withStrength(store.view.strengths, layers, value) }),
    }),
  }));
  $("strengths").replaceChildren(...sliders.strengths.map(({ box }) => box));
}

const FEW = 5; // Directions that are shown at once.
let areAllMoves = false;

function buildMoves(facts) {
  moves = facts.directions.map((name, index) => ({
    name,
    ...slider({
      id: `move_${index}`, label: name, min: -5, max: 5, step: 0.1, first: 0,
      use: (amount) => {
        const { [name]: _, ...rest } = store.view.moves;
        store.changeView({ moves: amount ? { ...rest, [name]: amount } : rest });
      },
    }),
  }));
  $("moves").replaceChildren(...moves.map(({ box }) => box));
  $("search_moves").hidden = moves.length < 10;
  $("search_moves").value = "";
  areAllMoves = false;
}

function showMoves() {
  const wanted = $("search_moves").value.trim().toLowerCase();
  moves.forEach(({ name, box, set }, index) => {
    const amount = store.view.moves[name] ?? 0;
    set(amount);
    box.hidden = wanted ? !name.toLowerCase().includes(wanted) : index >= FEW && !areAllMoves && !amount;
  });
  $("more_moves").hidden = moves.length <= FEW || Boolean(wanted);
  $("more_moves").textContent = areAllMoves ? "Fewer" : `${moves.length - FEW} more`;
}

// ---- Classes: weights in a blend

function showClasses() {
  const { labels } = store.facts;
  const { classes, found } = store.view;
  const columns = Object.keys(classes);
  const isBlend = columns.length !== 1 || classes[columns[0]] !== 1;
  const key = JSON.stringify([columns, isBlend, found !== null, store.facts.network]);
  if ($("classes").dataset.key !== key) {
    $("classes").dataset.key = key;
    $("classes").replaceChildren(...(labels.length ? classControls(labels, classes, isBlend, found !== null) : []));
  }
  for (const [column, weight] of Object.entries(classes)) sliders.classes?.[column]?.set(weight);
}

function classControls(labels, classes, isBlend, isFixed) {
  const columns = Object.keys(classes);
  const select = element("select", { id: "class", disabled: isFixed });
  const blend = element("select", { id: "blend", disabled: isFixed });
  select.append(...labels.map((name, index) => element("option", { value: index, textContent: name })));
  if (isBlend) select.prepend(element("option", { value: "", textContent: "a blend" }));
  select.value = isBlend ? "" : columns[0];
  blend.append(element("option", { value: "", textContent: "Add a class…" }));
  blend.append(...labels.map((name, index) => [name, index]).filter(([, index]) => !(index in classes)).map(([name, index]) => element("option", { value: index, textContent: name })));
  select.addEventListener("change", () => select.value && store.changeView({ classes: { [select.value]: 1 } }));
  blend.addEventListener("change", () => blend.value && store.changeView({ classes: { ...store.view.classes, [blend.value]: 0.5 } }));
  sliders.classes = {};
  const boxes = (isBlend ? columns : []).map((column) => {
    const change = (weight) => {
      const { [column]: _, ...rest } = store.view.classes;
      store.changeView({ classes: weight === null ? rest : { ...store.view.classes, [column]: weight } });
    };
    const made = slider({ id: `class_${column}`, label: labels[column], min: 0, max: 1, step: 0.01, first: classes[column], use: change, removable: true });
    made.enable(!isFixed);
    sliders.classes[column] = made;
    return made.box;
  });
  const blendBox = labels.length > 1 ? [element("div", { className: "field" }, element("label", { htmlFor: "blend", textContent: "Blend" }), blend)] : [];
  return [element("div", { className: "field" }, element("label", { htmlFor: "class", textContent: "Class" }), select), ...boxes, ...blendBox];
}

// ---- Tabs

function buildTabs(offered) {
  const list = document.querySelector("[role=tablist]");
  list.replaceChildren();
  for (const panel of document.querySelectorAll("[role=tabpanel]")) {
    const name = panel.id.replace("panel-", "");
    if (name in offered && !offered[name]) {
      panel.hidden = true;
      continue;
    }
    const button = element("button", { id: `tab-${name}`, role: "tab", textContent: panel.dataset.title });
    button.setAttribute("aria-controls", panel.id);
    panel.setAttribute("aria-labelledby", button.id);
    button.addEventListener("click", () => choose(name));
    list.append(button);
  }
  const needed = { move: "Edit needs a file of directions (--directions).", blend: "Blend needs several networks in --network." };
  $("absent").textContent = Object.keys(needed).filter((name) => !offered[name]).map((name) => needed[name]).join(" ");
  choose($(`tab-${tab}`) ? tab : "seed");
}

function choose(name) {
  tab = name;
  for (const button of document.querySelectorAll("[role=tab]")) {
    const isChosen = button.id === `tab-${name}`;
    button.setAttribute("aria-selected", isChosen);
    button.tabIndex = isChosen ? 0 : -1;
    document.getElementById(button.getAttribute("aria-controls")).hidden = !isChosen;
    if (isChosen) button.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  if (store.state?.view.network === store.facts.network) show(store.state, true);
}

function moveTab(event) {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const now = tabs.indexOf(document.activeElement);
  const next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (next === undefined || now < 0) return;
  event.preventDefault();
  const button = tabs[(next + tabs.length) % tabs.length];
  button.click();
  button.focus();
}

// ---- Everything that shows the state

function show(state, isSettled) {
  const { view } = state;
  const isFound = view.found !== null;
  if (isFound && walk.isOn) toggleWalk();
  if (view.network !== store.facts.network) return void (isSettled && reload());
  showValue($("seed"), view.seed);
  $("seed").disabled = $("random").disabled = $("walk").disabled = isFound;
  $("found_notice").hidden = !isFound;
  for (const name of ["psi", "cutoff"]) {
    sliders[name].set(view[name]);
    sliders[name].enable(!isFound);
  }
  showCentre(view.centre);
  showNoiseMode(view.noise_mode);
  $("noise_seed_field").hidden = view.noise_mode !== "random";
  showValue($("noise_seed"), view.noise_seed);
  for (const { set, layers } of sliders.strengths) set(view.strengths[layers[0]] ?? 1);
  showClasses();
  showMoves();
  showBlend();
  draw(); // Before anything asks for thumbnails.
  if (tab === "seed") showMap(isSettled && !walk.isOn);
  showMixing(isSettled, tab === "mix");
  showVideoTab();
  showLayers(isSettled, tab === "layers");
  $("undo").disabled = !store.canUndo;
  $("redo").disabled = !store.canRedo;
  $("command").classList.toggle("stale", $("command").dataset.view !== JSON.stringify(view));
  if (isSettled && !walk.isOn) saying(showCommand)(view);
  if (isSettled) saying(showFound)(isSettled);
}

// Returns the command of a view, which is not shown if the state has changed meanwhile.
async function showCommand(view) {
  if ($("command").dataset.view === JSON.stringify(view)) return $("command").textContent;
  const { command, needs_file } = await (await post("api/command", view)).json();
  if (view !== store.view) return command;
  $("command").dataset.view = JSON.stringify(view);
  $("command").textContent = command;
  $("command_note").textContent = needs_file ? "The same image without the page, with dlatents.npz in the folder:" : "The same image without the page:";
  $("command").classList.remove("stale");
  return command;
}

// ---- Buttons

const saved = (path, name) =>
  saying(async () => {
    await shown();
    download(await (await post(path, store.view)).blob(), name);
  });

function connect() {
  typed($("seed"), "Seed", (seed) => store.changeView({ seed, offset: [0, 0] }));
  typed($("noise_seed"), "The noise's seed", (noise_seed) => store.changeView({ noise_seed }));
  $("undo").addEventListener("click", () => store.undo());
  $("redo").addEventListener("click", () => store.redo());
  $("random").addEventListener("click", () => store.changeView({ seed: Math.floor(Math.random() * SEEDS), offset: [0, 0] }));
  $("walk").addEventListener("click", () => {
    toggleWalk();
    if (!walk.isOn) store.change({}); // It settles: the command and the neighbours are shown.
  });
  const speed = slider({ id: "speed", label: "Walk, seeds a second", min: 0.1, max: 3, step: 0.1, first: walk.speed, use: (value) => speed.set((walk.speed = value)) });
  $("walking").append(speed.box);
  $("leave_found").addEventListener("click", () => store.changeView({ found: null }));
  $("save_png").addEventListener("click", saved("api/picture.png", "picture.png"));
  $("save_npz").addEventListener("click", saved("api/dlatents.npz", "dlatents.npz"));
  $("copy").addEventListener("click", saying(copyCommand));
  $("search_moves").addEventListener("input", showMoves);
  $("more_moves").addEventListener("click", () => {
    areAllMoves = !areAllMoves;
    showMoves();
  });
  $("network").addEventListener("change", saying(() => {
    const { seed, offset, psi } = store.view;
    const { keys, columns } = store.state;
    return open($("network").value, { seed, offset: copyOf(offset), psi, keys, columns });
  }));
  document.querySelector("[role=tablist]").addEventListener("keydown", moveTab);
  document.addEventListener("keydown", (event) => {
    const isText = event.target.matches("input[type=number], input[type=search]");
    if (!(event.ctrlKey || event.metaKey) || isText) return;
    const key = event.key.toLowerCase();
    if (key === "z" || key === "y") {
      event.preventDefault();
      key === "y" || event.shiftKey ? store.redo() : store.undo();
    }
  });
  window.addEventListener("hashchange", saying(start));
  new ResizeObserver(fit).observe($("frame"));
  window.addEventListener("resize", () => store.state && showMap(false));
  connectBlend();
  connectFind();
  connectVideo();
  connectTheme();
  buildMap();
  store.subscribe(show);
}

function toggleWalk() {
  walk.toggle();
  $("walk").setAttribute("aria-pressed", walk.isOn);
  $("walk").replaceChildren(icon(walk.isOn ? "pause" : "play"), element("span", { textContent: walk.isOn ? "Pause" : "Walk" }));
}

async function copyCommand() {
  await navigator.clipboard.writeText(await showCommand(store.view));
  $("copy").lastElementChild.textContent = "Copied";
  setTimeout(() => ($("copy").lastElementChild.textContent = "Copy"), 1500);
}

function connectTheme() {
  const themes = ["auto", "light", "dark"];
  let theme = "auto";
  const use = () => {
    document.documentElement.dataset.theme = theme;
    $("theme").lastElementChild.textContent = { auto: "Auto", light: "Light", dark: "Dark" }[theme];
  };
  try {
    theme = themes.includes(localStorage.theme) ? localStorage.theme : "auto";
  } catch {} // In a frame whose storage is blocked.
  use();
  $("theme").addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    use();
    try {
      localStorage.theme = theme;
    } catch {}
  });
}

async function start() {
  let entries = {};
  try {
    entries = readFragment(location.hash);
  } catch (error) {
    say(error.message);
  }
  try {
    await open(entries.network, entries);
  } catch (error) {
    if (!(error instanceof Refused) || !entries.network) throw error;
    say(error.message);
    await open("", {});
  }
}

connect();
saying(start)();
