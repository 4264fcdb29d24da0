// The paper's table of style mixing: groups of layers by seeds whose styles they take.

import { $, element, showValue, typed } from "./controls.js";
import { store } from "./store.js";
import { forget, showThumbnail } from "./thumbnails.js";

let cells = [];
let columns = [];
let source = null;

export function buildMixing() {
  const { groups } = store.facts;
  const seeds = store.state?.columns ?? [1, 2, 3, 4];
  cells = [];
  source = element("img", { alt: "" });
  columns = seeds.map((seed, index) => {
    const image = element("img", { alt: "" });
    const input = element("input", { type: "number", min: 0, max: 2 ** 32 - 1, step: 1, ariaLabel: `Seed of column ${index + 1}` });
    typed(input, "The seed", (value) => setColumn(index, value));
    return { image, input };
  });
  const head = element("tr", {}, element("td", {}, source));
  for (const { image, input } of columns) head.append(element("th", { scope: "col" }, image, input));
  const rows = groups.map(({ name, span }) => {
    const row = element("tr", {}, element("th", { scope: "row" }, `${name[0].toUpperCase()}${name.slice(1)}`, element("small", { textContent: span })));
    seeds.forEach((_, index) => {
      const image = element("img", { alt: "" });
      const button = element("button", { className: "cell" }, image);
      button.addEventListener("click", () => toggle(name, store.state.columns[index]));
      cells.push({ button, image, name, index });
      row.append(element("td", {}, button));
    });
    return row;
  });
  $("mixing").replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows));
}

function setColumn(index, seed) {
  const old = store.state.columns[index];
  const mixing = Object.fromEntries(Object.entries(store.view.mixing).map(([group, from]) => [group, from === old ? seed : from]));
  store.change({ columns: store.state.columns.with(index, seed), view: { ...store.view, mixing } });
}

function toggle(group, seed) {
  const { [group]: current, ...mixing } = store.view.mixing;
  store.changeView({ mixing: current === seed ? mixing : { ...mixing, [group]: seed } });
}

export function showMixing(isSettled, isSeen) {
  const { view, columns: seeds } = store.state;
  if (seeds.length !== columns.length) buildMixing();
  columns.forEach(({ input }, index) => showValue(input, seeds[index]));
  for (const { button, name, index } of cells) {
    const isTaken = view.mixing[name] === seeds[index];
    button.setAttribute("aria-pressed", isTaken);
    button.setAttribute("aria-label", `${name} styles of seed ${seeds[index]}`);
  }
  if (!isSettled) return;
  forget("mixing");
  if (!isSeen) return;
  const own = { ...view, mixing: {} };
  showThumbnail(source, own, "mixing");
  columns.forEach(({ image }, index) => showThumbnail(image, { ...own, found: null, seed: seeds[index], offset: [0, 0] }, "mixing"));
  for (const { image, name, index } of cells)
    showThumbnail(image, { ...view, mixing: { ...view.mixing, [name]: seeds[index] } }, "mixing");
}
