// A second network in the picture: its share of all weights, or its layers from a resolution up.

import { Refused, get } from "./api.js";
import { $, element, saying, slider } from "./controls.js";
import { store } from "./store.js";

let share = null;

export function connectBlend() {
  share = slider({
    id: "blend_share_number", label: "Share of the other network", min: 0, max: 1, step: 0.01, first: 0.5,
    use: (value) => change({ share: value }),
  });
  $("blend_share").append(share.box);
  $("blend_network").addEventListener("change", saying(choose));
  $("blend_swap").addEventListener("change", () => change({ swap: Number($("blend_swap").value) }));
}

export function buildBlend({ network, networks, resolutions }) {
  const others = networks.filter((name) => name !== network);
  const options = [["", "none"], ...others.map((name) => [name, name])];
  $("blend_network").replaceChildren(...options.map(([value, textContent]) => element("option", { value, textContent })));
  const levels = resolutions.slice(1).map((size) => [size, `layers from ${size}x${size} up`]);
  $("blend_swap").replaceChildren(
    ...[[0, "a share of all weights"], ...levels].map(([value, textContent]) => element("option", { value, textContent })),
  );
  showProblem("");
}

const change = (fields) => store.changeView({ blend: { ...store.view.blend, ...fields } });

function showProblem(text) {
  $("blend_problem").hidden = !text;
  $("blend_problem").textContent = text;
}

async function choose() {
  const other = $("blend_network").value;
  const { network, blend } = store.view;
  showProblem("");
  try {
    if (other) await get(`api/network/blend?name=${encodeURIComponent(network)}&with=${encodeURIComponent(other)}`);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    showProblem(error.message);
    if (blend) store.changeView({ blend: null });
    return;
  }
  store.changeView({ blend: other ? { share: 0.5, swap: 0, ...blend, network: other } : null });
}

export function showBlend() {
  const { blend } = store.view;
  if (blend) showProblem("");
  if ($("blend_problem").hidden) $("blend_network").value = blend?.network ?? "";
  $("blend_swap").value = blend?.swap ?? 0;
  $("blend_swap").disabled = !blend;
  share.set(blend?.share ?? 0.5);
  share.enable(Boolean(blend) && !blend.swap);
}
