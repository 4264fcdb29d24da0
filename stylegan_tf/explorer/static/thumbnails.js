// Small pictures of views, one request at a time, while nothing else is to be drawn. Those that were made are kept.

import { post } from "./api.js";

const KEPT = 400;
const kept = new Map(); // A view as text -> the address of its picture.
let waiting = []; // {key, view, image, place}
let isBusy = false;
let quietFrom = 0;

// No thumbnails for a moment: the picture comes first.
export function holdBack(milliseconds = 250) {
  quietFrom = performance.now() + milliseconds;
}

// Shows a view's picture in an <img>. place: with `forget`, requests of a panel that are no longer wanted are dropped.
export function showThumbnail(image, view, place) {
  const key = JSON.stringify(view);
  if (image.dataset.key === key) return;
  image.dataset.key = key;
  if (kept.has(key)) {
    image.src = kept.get(key);
    return;
  }
  waiting.push({ key, view, image, place });
  work();
}

export function forget(place) {
  for (const { image } of waiting.filter((entry) => entry.place === place)) delete image.dataset.key;
  waiting = waiting.filter((entry) => entry.place !== place);
}

async function work() {
  if (isBusy) return;
  isBusy = true;
  while (waiting.length) {
    const pause = quietFrom - performance.now();
    if (pause > 0) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      continue;
    }
    const { key, view, image } = waiting.shift();
    if (image.dataset.key !== key) continue;
    try {
      if (!kept.has(key)) keep(key, await (await post("api/thumbnail.png", view)).blob());
      if (image.dataset.key === key) image.src = kept.get(key);
    } catch {
      delete image.dataset.key; // The picture's own request says what is wrong.
    }
  }
  isBusy = false;
}

function keep(key, blob) {
  kept.set(key, URL.createObjectURL(blob));
  if (kept.size > KEPT) {
    const [oldest, address] = kept.entries().next().value;
    kept.delete(oldest);
    if (!document.querySelector(`img[src="${address}"]`)) URL.revokeObjectURL(address);
  }
}
