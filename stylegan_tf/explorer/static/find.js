// Projection: a picture of the user's, or an example, and the w whose picture is nearest.

import { Job, blobOf, picture } from "./api.js";
import { $, choices, element, saying, showProgress, slider } from "./controls.js";
import { copyOf, store } from "./store.js";

let chosen = null; // {blob, name}
let space = "";
let steps = 200;
let job = null;
let compared = null; // Which found picture the comparison shows.

export function buildFind() {
  const { facts } = store;
  space = facts.spaces[0];
  choices($("spaces"), Object.fromEntries(facts.spaces.map((name) => [name, name])), (value) => (space = value))(space);
  const control = slider({
    id: "steps_number", label: "Steps", min: 10, max: facts.max_steps, step: 10, first: steps,
    use: (value) => control.set((steps = value)),
  });
  $("steps").replaceChildren(control.box);
  $("examples").replaceChildren();
  for (let index = 0; index < facts.num_examples; index++) {
    const address = `api/examples/${index}.png?network=${encodeURIComponent(facts.network)}`;
    const image = element("img", { src: address, alt: `Example ${index + 1}`, loading: "lazy" });
    const button = element("button", { className: "thumb" }, image);
    button.addEventListener("click", saying(async () => choose(await blobOf(address), `Example ${index + 1}`)));
    $("examples").append(button);
  }
  showJob(null);
}

export function connectFind() {
  $("upload").addEventListener("change", () => $("upload").files[0] && choose($("upload").files[0], $("upload").files[0].name));
  for (const name of ["dragover", "dragleave", "drop"])
    $("drop").addEventListener(name, (event) => {
      event.preventDefault();
      $("drop").classList.toggle("over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files[0]) choose(event.dataTransfer.files[0], event.dataTransfer.files[0].name);
    });
  $("find").addEventListener("click", saying(find));
  $("stop").addEventListener("click", () => job?.stop());
  $("divide").addEventListener("input", () => divide());
}

function choose(blob, name) {
  chosen = { blob, name };
  const image = $("chosen");
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(blob);
  image.hidden = false;
  image.onerror = () => (image.hidden = true); // A format that browsers do not show.
  $("chosen_name").textContent = name;
}

async function find() {
  if (!chosen) throw new Error("Choose an image first.");
  const view = { ...copyOf(store.facts.first), classes: store.view.classes };
  const query = new URLSearchParams({ space, steps, name: chosen.name, view: JSON.stringify(view) });
  job = await Job.start(`api/projections?${query}`, { body: chosen.blob });
  compared = null;
  showJob({ state: "waiting", text: "", done: 0, total: 1, pictures: [] });
  const ended = await job.ended(showJob).finally(() => {
    job = null;
    showJob(null);
  });
  if (ended.result) store.changeView({ ...view, found: ended.result });
  if (ended.state === "failed") throw new Error(ended.text);
}

function showJob(progress) {
  showProgress(progress, "find", "find", "stop");
  if (job && progress?.pictures.includes("now")) {
    $("before").src = `${job.path}/target.png`;
    $("after").src = `${job.path}/now.png?${progress.done}`;
    $("compare").hidden = false;
    divide();
  }
}

// The comparison of the found picture that is shown; none where there is none.
export async function showFound(isSettled) {
  const { found } = store.view;
  if (job || !isSettled || compared === found) return;
  compared = found;
  $("compare").hidden = !found;
  if (!found) return;
  const blob = await picture({ ...copyOf(store.facts.first), found });
  $("before").src = `api/found/${found}/target.png`;
  $("after").src = URL.createObjectURL(blob);
  $("after").onload = () => URL.revokeObjectURL($("after").src);
  divide();
}

function divide() {
  $("after").style.clipPath = `inset(0 0 0 ${$("divide").value}%)`;
}
