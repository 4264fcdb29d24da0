// The plane of seeds: a map to drag, with the neighbours' pictures, and the walk over it.

import { $, element } from "./controls.js";
import { moved, store } from "./store.js";
import { forget, showThumbnail } from "./thumbnails.js";

const ACROSS = 5; // Seeds from side to side.
const REACH = 3; // Rows and columns of tiles around the seed: one more than is seen, for dragging.
const tiles = [];
let dragged = null;

export function buildMap() {
  const map = $("map");
  for (let row = -REACH; row <= REACH; row++)
    for (let column = -REACH; column <= REACH; column++) {
      const image = element("img", { alt: "", draggable: false });
      const tile = element("div", { className: "tile" }, image, element("span"));
      tiles.push({ tile, image, row, column });
      map.append(tile);
    }
  tiles.sort((a, b) => Math.hypot(a.row, a.column) - Math.hypot(b.row, b.column)); // The nearest are drawn first.
  map.append(element("div", { className: "spot" }));
  map.addEventListener("pointerdown", begin);
  map.addEventListener("pointermove", drag);
  map.addEventListener("pointerup", end);
  map.addEventListener("pointercancel", () => (dragged = null));
  map.addEventListener("keydown", step);
  $("neighbours").addEventListener("change", () => showMap(true));
}

const size = () => $("map").clientWidth / ACROSS;
const isFixed = () => store.view.found !== null; // Another picture shows than that of the plane.

function begin(event) {
  if (isFixed()) return;
  $("map").setPointerCapture(event.pointerId);
  dragged = { x: event.clientX, y: event.clientY, view: store.view, far: false };
}

function drag(event) {
  if (!dragged) return;
  const [x, y] = [event.clientX - dragged.x, event.clientY - dragged.y];
  dragged.far ||= Math.hypot(x, y) > 4;
  if (dragged.far) store.changeView(moved(dragged.view, -x / size(), -y / size()));
}

function end(event) {
  if (!dragged) return;
  if (dragged.far) {
    const [x, y] = store.view.offset; // Near to a seed it is the seed.
    if (Math.hypot(x, y) < 0.08) store.changeView({ offset: [0, 0] });
  } else {
    const box = $("map").getBoundingClientRect();
    const [x, y] = [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
    const [column, row] = [x / size() + store.view.offset[0], y / size() + store.view.offset[1]].map(Math.round);
    store.changeView({ ...moved({ ...store.view, offset: [0, 0] }, column, row), offset: [0, 0] });
  }
  dragged = null;
}

function step(event) {
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!way || isFixed()) return;
  event.preventDefault();
  const [x, y] = event.shiftKey ? way.map((part) => part / 4) : way;
  const next = moved(store.view, x, y);
  store.changeView(event.shiftKey ? next : { ...next, offset: [0, 0] });
}

// Where the tiles are; their pictures only once the state is settled.
export function showMap(isSettled) {
  const { view } = store;
  const [side, middle] = [size(), $("map").clientWidth / 2];
  const withPictures = $("neighbours").checked && !isFixed() && side > 0;
  if (isSettled) forget("map");
  for (const { tile, image, row, column } of tiles) {
    const { seed } = moved({ ...view, offset: [0, 0] }, column, row);
    const [x, y] = [column - view.offset[0], row - view.offset[1]];
    tile.style.width = tile.style.height = `${side}px`;
    tile.style.transform = `translate(${middle + (x - 0.5) * side}px, ${middle + (y - 0.5) * side}px)`;
    tile.lastChild.textContent = seed < 1e6 ? seed : `…${String(seed).slice(-4)}`;
    if (tile.dataset.seed !== String(seed)) {
      tile.dataset.seed = seed;
      delete image.dataset.key;
      image.removeAttribute("src");
    }
    const isSeen = Math.max(Math.abs(x), Math.abs(y)) < ACROSS / 2 + 0.5;
    if (!withPictures) image.removeAttribute("src"), delete image.dataset.key;
    else if (isSettled && isSeen) showThumbnail(image, { ...view, seed, offset: [0, 0] }, "map");
  }
  $("map").classList.toggle("fixed", isFixed());
  $("map").setAttribute("aria-disabled", isFixed());
  $("between").textContent = isFixed() ? "" : betweenText(view);
}

function betweenText({ seed, offset: [x, y] }) {
  if (!x && !y) return `Seed ${seed}. Drag the plane, click a neighbour, or use the arrow keys.`;
  const part = (number, names) => (number ? `${Math.abs(number).toFixed(2)} ${names[Number(number > 0)]}` : "");
  return `${[part(x, ["to the left", "to the right"]), part(y, ["up", "down"])].filter(Boolean).join(" and ")} of seed ${seed}`;
}

// ---- The walk: without an end, in a direction that turns slowly.

export class Walk {
  isOn = false;
  speed = 0.5; // Seeds a second.
  #angle = Math.random() * 2 * Math.PI;
  #last = 0;

  toggle() {
    this.isOn = !this.isOn;
    this.#last = performance.now();
    if (this.isOn) this.step();
  }

  // The next picture, as soon as the last one is there.
  step() {
    if (!this.isOn) return;
    const now = performance.now();
    const far = this.speed * Math.min(0.25, (now - this.#last) / 1000);
    if (far < 0.003) return void requestAnimationFrame(() => this.step()); // Too little to be another picture.
    this.#last = now;
    this.#angle += (Math.random() - 0.5) * far;
    store.changeView(moved(store.view, far * Math.cos(this.#angle), far * Math.sin(this.#angle)));
  }
}
