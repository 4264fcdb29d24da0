// The layers of the synthesis network: feature maps, noise, strength.

import { post } from "./api.js";
import { $, element, saying, slider } from "./controls.js";
import { store } from "./store.js";

let rows = [];
let chosen = null; // The layer whose feature maps are shown.
let drawn = "";

export function buildLayers() {
  const { layers, has_noise } = store.facts;
  const strongest = Math.max(...layers.map(({ strength }) => strength || 0), 1e-12);
  [rows, chosen, drawn] = [[], null, ""];
  $("layers").replaceChildren(
    ...layers.map(({ name, resolution, channels, strength }, index) => {
      const head = element("button", { className: "layer", ariaExpanded: false });
      const meter = element("meter", { max: 1, value: (strength || 0) / strongest, title: "Learned strength of the noise" });
      meter.setAttribute("aria-label", `Learned strength of the noise in layer ${index}`);
      head.append(element("b", { textContent: `${resolution}×${resolution}` }), element("span", { textContent: `${index} · ${name} · ${channels} channels` }));
      head.addEventListener("click", () => choose(chosen === index ? null : index));
      const box = element("div", { className: "layer_row" }, head);
      const body = element("div", { className: "layer_body", hidden: true });
      const maps = element("img", { className: "maps", alt: `Feature maps of layer ${index}` });
      body.append(maps);
      let factor = null;
      const noise = element("img", { className: "noise", alt: `Noise of layer ${index}` });
      if (has_noise) {
        box.append(meter, element("span", { className: "hint", textContent: strength.toPrecision(2) }));
        factor = slider({
          id: `factor_${index}`, label: "Factor on the noise", min: 0, max: 3, step: 0.05, first: 1,
          use: (value) => store.changeView({ strengths: withStrength(store.view.strengths, [index], value) }),
        });
        body.append(element("div", { className: "two" }, noise, factor.box));
      }
      rows.push({ head, body, maps, noise, factor });
      return element("div", {}, box, body);
    }),
  );
}

// The factors on the noise by layer, with another one for some layers; 1 is omitted.
export function withStrength(strengths, layers, value) {
  const changed = { ...strengths };
  for (const layer of layers) {
    if (value === 1) delete changed[layer];
    else changed[layer] = value;
  }
  return changed;
}

function choose(index) {
  chosen = index;
  rows.forEach(({ head, body }, row) => {
    head.setAttribute("aria-expanded", row === index);
    body.hidden = row !== index;
  });
  showLayers(true, true);
}

export function showLayers(isSettled, isSeen) {
  const { view } = store;
  rows.forEach(({ factor }, index) => factor?.set(view.strengths[index] ?? 1));
  const wanted = JSON.stringify([view, chosen]);
  if (!isSettled || !isSeen || chosen === null || wanted === drawn) return;
  drawn = wanted;
  saying(draw)(view, chosen);
}

async function draw(view, layer) {
  const { maps, noise } = rows[layer];
  await show(maps, `api/layers/${layer}/features.png`, view);
  if (store.facts.has_noise) await show(noise, `api/layers/${layer}/noise.png`, view);
}

async function show(image, path, view) {
  const address = URL.createObjectURL(await (await post(path, view)).blob());
  image.onload = () => URL.revokeObjectURL(address);
  image.src = address;
}
