// How numbers are written, and how text gets into the page: as text, never as HTML.

export const $ = (id) => document.getElementById(id);

export const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

function threeDigits(value) {
  return value >= 99.95 ? value.toFixed(0) : value.toPrecision(3);
}

export function short(value) {
  if (value >= 1e6) return `${threeDigits(value / 1e6)}M`;
  if (value >= 1e4) return `${threeDigits(value / 1e3)}k`;
  if (value >= 100 || Number.isInteger(value)) return whole.format(value);
  return value.toFixed(value < 10 ? 1 : 0);
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  if (seconds < 0.00095) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 0.995) return `${Number((seconds * 1e3).toPrecision(2))} ms`;
  if (seconds < 99.5) return `${Number(seconds.toPrecision(2))} s`;
  return age(seconds);
}

export function age(seconds) {
  for (const [size, unit, next, small] of [[86400, "d", 3600, "h"], [3600, "h", 60, "m"], [60, "m", 1, "s"]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)}${unit} ${Math.floor((seconds % size) / next)}${small}`;
  }
  return `${Math.floor(seconds)}s`;
}

export function bytes(value) {
  for (const [size, unit] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]]) {
    if (value >= size) return `${threeDigits(value / size)} ${unit}`;
  }
  return `${value} B`;
}

export function words(name) {
  return name.replaceAll("_", " ").replaceAll(".", ": ");
}

/** Without characters that control or are not seen, and could turn the text around: as `top` shows it. */
function clean(text) {
  return String(text).replace(/[^\P{C}\n\t]/gu, "\ufffd");
}

export function put(id, given, mood) {
  const element = typeof id === "string" ? $(id) : id;
  const text = clean(given);
  if (element.textContent !== text) element.textContent = text;
  if (mood !== undefined && element.dataset.state !== mood) element.dataset.state = mood;
}

export function make(tag, properties = {}, ...children) {
  const { data, ...others } = properties;
  if ("textContent" in others) others.textContent = clean(others.textContent);
  const element = Object.assign(document.createElement(tag), others);
  Object.assign(element.dataset, data || {});
  element.append(...children);
  return element;
}

/** Bring the children of an element in line with a list; who is there already stays, with its focus. */
export function sync(parent, items, keyOf, create, update) {
  const there = new Map([...parent.children].map((each) => [each.dataset.key, each]));
  items.forEach((item, at) => {
    const key = String(keyOf(item));
    let element = there.get(key);
    there.delete(key);
    if (!element) {
      element = create(item);
      element.dataset.key = key;
    }
    update(element, item);
    if (parent.children[at] !== element) parent.insertBefore(element, parent.children[at] || null);
  });
  for (const element of there.values()) element.remove();
}
