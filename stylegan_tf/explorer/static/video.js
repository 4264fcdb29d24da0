// Key frames and their video.

import { Job } from "./api.js";
import { $, choices, element, icon, saying, showProgress, slider } from "./controls.js";
import { copyOf, store } from "./store.js";
import { showThumbnail } from "./thumbnails.js";

let job = null;
let showFormat = null;
let seconds = null;

export function connectVideo() {
  showFormat = choices($("format"), { webp: "WebP", mp4: "MP4" }, (format) => store.change({ format }));
  seconds = slider({
    id: "seconds_number", label: "Seconds from one to the next", min: 0.2, max: 5, step: 0.1, first: 1,
    use: (value) => store.change({ seconds: value }),
  });
  $("seconds").append(seconds.box);
  $("loop").addEventListener("change", () => store.change({ loop: $("loop").checked }));
  for (const id of ["key", "add_key"]) $(id).addEventListener("click", saying(async () => addKey()));
  $("clear_keys").addEventListener("click", () => store.change({ keys: [] }));
  $("make_video").addEventListener("click", saying(make));
  $("stop_video").addEventListener("click", () => job?.stop());
}

function addKey() {
  const { keys, view } = store.state;
  if (keys.length >= store.facts.max_keys) throw new Error(`A video takes ${store.facts.max_keys} key frames at most.`);
  store.change({ keys: [...keys, copyOf(view)] });
}

export function showVideoTab() {
  const { keys, seconds: value, loop, format } = store.state;
  showFormat(format);
  seconds.set(value);
  $("loop").checked = loop;
  if ($("keys").dataset.keys === JSON.stringify(keys)) return;
  $("keys").dataset.keys = JSON.stringify(keys);
  $("add_key").lastElementChild.textContent = keys.length ? `Key (${keys.length})` : "Key";
  $("keys").replaceChildren(
    ...keys.map((key, index) => {
      const image = element("img", { alt: `Key frame ${index + 1}` });
      const go = element("button", { className: "thumb", title: `Show key frame ${index + 1}` }, image);
      go.addEventListener("click", () => store.change({ view: copyOf(key) }));
      const remove = element("button", { className: "remove", title: `Remove key frame ${index + 1}` }, icon("close"));
      remove.addEventListener("click", () => store.change({ keys: keys.toSpliced(index, 1) }));
      showThumbnail(image, key, "keys");
      return element("li", {}, go, remove);
    }),
  );
}

async function make() {
  const { keys, seconds, loop, format } = store.state;
  if (keys.length < 2) throw new Error("Add at least two images first.");
  const headers = { "content-type": "application/json" };
  job = await Job.start("api/videos", { headers, body: JSON.stringify({ keys, seconds, loop, format }) });
  const { path } = job;
  $("video").replaceChildren();
  showJob({ text: "", done: 0, total: 1 });
  const ended = await job.ended(showJob).finally(() => {
    job = null;
    showJob(null);
  });
  if (ended.state === "failed") throw new Error(ended.text);
  if (ended.state === "done") showVideo(`${path}/file`, format);
}

function showJob(progress) {
  showProgress(progress, "video", "make_video", "stop_video");
}

function showVideo(address, format) {
  const shown =
    format === "mp4"
      ? element("video", { src: address, controls: true, loop: true, autoplay: true, muted: true })
      : element("img", { src: address, alt: "The video" });
  const link = element("a", { href: address, download: `video.${format}`, textContent: `Download video.${format}` });
  $("video").replaceChildren(shown, link);
}
