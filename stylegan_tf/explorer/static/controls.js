// Elements that several panels use.

export const $ = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.append(document.createElementNS("http://www.w3.org/2000/svg", "use"));
  svg.firstChild.setAttribute("href", `#icon-${name}`);
  return svg;
}

let timer = 0;
export function say(message) {
  clearTimeout(timer);
  $("messages").textContent = message;
  timer = setTimeout(() => ($("messages").textContent = ""), 8000);
}

// Runs what a button does; what goes wrong is said on the page.
export const saying = (action) => async (...values) => {
  try {
    return await action(...values);
  } catch (error) {
    if (error.name !== "AbortError") say(error.message);
  }
};

// Calls `use` with a typed number; what is out of range is said and changes nothing.
export function typed(input, label, use) {
  input.addEventListener("change", () => {
    const value = Number(input.value);
    const [low, high] = [Number(input.min), Number(input.max)];
    const isWhole = input.step === "1";
    if (input.value === "" || !(value >= low && value <= high) || (isWhole && !Number.isInteger(value))) {
      input.setAttribute("aria-invalid", "true");
      say(`${label} must be a ${isWhole ? "whole " : ""}number from ${low} to ${high}.`);
      return;
    }
    input.removeAttribute("aria-invalid");
    use(value);
  });
}

export function showValue(input, value) {
  if (Number(input.value) === value && input.value !== "") return;
  input.value = value;
  input.removeAttribute("aria-invalid");
}

// A slider with a number to type and a button back to its first value. `set(value)` shows a value.
export function slider({ id, label, min, max, step, first, use, removable }) {
  const range = element("input", { type: "range", min, max, step, value: first, id: `${id}_range`, ariaLabel: label });
  const number = element("input", { type: "number", min, max, step, value: first, id });
  const reset = element("button", { className: "quiet small", title: `${label}: ${removable ? "remove" : `back to ${first}`}` });
  reset.append(icon(removable ? "close" : "reset"));
  reset.setAttribute("aria-label", reset.title);
  const box = element("div", { className: "slider" });
  const title = element("label", { htmlFor: id, textContent: label });
  box.append(title, reset, number, range);
  const set = (value) => {
    showValue(number, value);
    range.value = value;
    range.style.setProperty("--part", `${(100 * (value - min)) / (max - min)}%`);
    reset.classList.toggle("idle", !removable && value === first);
  };
  range.addEventListener("input", () => {
    set(Number(range.value));
    use(Number(range.value));
  });
  typed(number, label, use);
  reset.addEventListener("click", () => use(removable ? null : first));
  set(first);
  return { box, set, enable: (on) => [range, number, reset].forEach((part) => (part.disabled = !on)) };
}

// Radio buttons in a fieldset. Returns what shows a choice.
export function choices(fieldset, entries, use) {
  for (const old of fieldset.querySelectorAll("label")) old.remove();
  const inputs = Object.entries(entries).map(([value, text]) => {
    const input = element("input", { type: "radio", name: fieldset.id, value });
    input.addEventListener("change", () => use(value));
    fieldset.append(element("label", { className: "choice" }, input, element("span", { textContent: text })));
    return input;
  });
  return (value) => inputs.forEach((input) => (input.checked = input.value === value));
}

// The progress of a job (null: there is none) in the elements NAME_progress and NAME_text, and which of its buttons work.
export function showProgress(progress, name, start, stop) {
  $(start).disabled = Boolean(progress);
  $(stop).disabled = !progress;
  $(`${name}_progress`).hidden = !progress;
  if (!progress) return;
  $(`${name}_text`).textContent = progress.text && progress.text[0].toUpperCase() + progress.text.slice(1);
  $(`${name}_progress`).max = progress.total || 1;
  $(`${name}_progress`).value = progress.done;
}
