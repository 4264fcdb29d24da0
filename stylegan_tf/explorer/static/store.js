// The page's state: one object, from which everything that is shown is made. It stands in the address's fragment.
//
//   view   what the picture depends on, as the server takes it
//   keys   views, the key frames of a video
//   columns, seconds, loop, format   of the table of mixing and of the video

export const SEEDS = 2 ** 32;
const SETTLED = 400; // Milliseconds without a change: a step of undo.
const TEXTS = ["network", "found", "centre", "noise_mode", "format"];
export const copyOf = (value) => JSON.parse(JSON.stringify(value));
const REST = { keys: [], columns: [1, 2, 3, 4], seconds: 1, loop: true, format: "webp" };
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

class Store {
  #listeners = [];
  #past = [];
  #future = [];
  #timer = 0;
  #settled = null; // The state that undo comes back to.
  state = null;
  facts = null; // About the network.

  get view() {
    return this.state.view;
  }

  // A function that gets the state after every change, and whether it is settled.
  subscribe(listener) {
    this.#listeners.push(listener);
  }

  // What a network has, from which its first state follows.
  use(facts) {
    this.facts = facts;
    this.#first = { view: facts.first, ...copyOf(REST) };
  }
  #first = null;

  open(state) {
    this.state = state;
    this.#settle();
  }

  changeView(fields) {
    this.change({ view: { ...this.view, ...fields } });
  }

  change(fields) {
    this.state = { ...this.state, ...fields };
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#settle(), SETTLED);
    this.#notify(false);
  }

  #settle() {
    clearTimeout(this.#timer);
    if (this.#settled && !same(this.#settled, this.state)) {
      this.#past.push(this.#settled);
      this.#past.splice(0, this.#past.length - 200);
      this.#future = [];
    }
    this.#settled = this.state;
    history.replaceState(null, "", this.fragment() || location.pathname + location.search);
    this.#notify(true);
  }

  get canUndo() {
    return this.#past.length > 0 || (this.#settled && !same(this.#settled, this.state));
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  undo() {
    if (!same(this.#settled, this.state)) this.#settle();
    this.#go(this.#past, this.#future);
  }

  redo() {
    this.#go(this.#future, this.#past);
  }

  #go(from, to) {
    if (!from.length) return;
    to.push(this.#settled);
    this.#settled = this.state = from.pop();
    this.#settle();
  }

  #notify(isSettled) {
    for (const listener of this.#listeners) listener(this.state, isSettled);
  }

  // "#seed=22&psi=0.9": what differs from the start.
  fragment() {
    const entries = { ...this.state, ...this.view };
    const first = { ...this.#first, ...this.facts.first };
    delete entries.view;
    const parts = Object.entries(entries)
      .filter(([name, value]) => !same(value, first[name]) || (name === "network" && this.facts.networks.length > 1))
      .map(([name, value]) => `${name}=${encodeURIComponent(TEXTS.includes(name) ? value : JSON.stringify(value))}`);
    return parts.length ? "#" + parts.join("&") : "";
  }
}

export const store = new Store();

// A fragment's entries, by name; throws what the address has wrong.
export function readFragment(fragment) {
  const entries = {};
  for (const part of fragment.replace(/^#/, "").split("&").filter(Boolean)) {
    const [name, text = ""] = part.split("=");
    try {
      entries[name] = TEXTS.includes(name) ? decodeURIComponent(text) : JSON.parse(decodeURIComponent(text));
    } catch {
      throw new Error(`The address says ${name}=${text.slice(0, 40)}, which cannot be read.`);
    }
  }
  return entries;
}

// The state that a fragment's entries mean for a network; throws for entries that no page has written.
export function stateOf(entries, facts) {
  const rest = copyOf(REST);
  const view = copyOf(facts.first);
  for (const [name, value] of Object.entries(entries)) {
    const place = name in rest ? rest : view;
    const isText = name === "found";
    const expected = isText ? "" : place[name];
    if (!(name in place) || typeof value !== typeof expected || Array.isArray(value) !== Array.isArray(expected) || value === null)
      throw new Error(`The address has ${name}, which this page cannot use.`);
    place[name] = value;
  }
  return { ...rest, view };
}

// A view moved over the plane of seeds: whole steps change the seed, the rest lies between seeds.
export function moved(view, right, down) {
  const [x, y] = [view.offset[0] + right, view.offset[1] + down];
  const [column, row] = [Math.round(x), Math.round(y)];
  const seed = (((view.seed + column + 100 * row) % SEEDS) + SEEDS) % SEEDS;
  return { seed, offset: [x - column, y - row].map((part) => Number(part.toFixed(3)) || 0) };
}
