// Builds elements. Texts become text nodes, so nothing in them is ever interpreted as HTML.

import { isViewer } from "./api.js";

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An element with attributes, event handlers (`onclick`) and children: elements or texts. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for a picture. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/**
 * A table. A column is `{title, cell, number}`, or null; `cell` gets a row and returns an element or a text.
 *
 * On a phone each row is a block with a line for each cell. The roles keep it a table for screen readers then.
 */
export function table(caption, given, rows, empty) {
  if (rows.length === 0) return el("p", { class: "empty panel" }, empty);
  const columns = given.filter((column) => column !== null);
  const kind = (column) => (column.number ? "number" : column.text ? "text" : undefined);
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    el("table", { role: "table" },
      el("caption", {}, caption),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, columns.map((column) => el("th", { role: "columnheader", scope: "col", class: kind(column) }, column.title)))),
      el("tbody", { role: "rowgroup" }, rows.map((row) => el("tr", { role: "row" }, columns.map((column) => el("td", { role: "cell", class: kind(column), "data-title": column.title }, el("div", {}, column.cell(row)))))))));
}

/** Two lines: the first, and a second with less weight. */
export function twoLines(first, second) {
  return second ? [el("div", {}, first), el("div", { class: "second" }, second)] : first;
}

/** Names and values below each other. */
export function list(pairs) {
  return el("dl", {}, pairs.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value ?? "–")]));
}

/** A word with a colour: `good`, `warn` or `bad`. */
export function badge(text, kind) {
  return el("span", { class: `badge ${kind}` }, text);
}

/** A button; it is disabled while its action runs. */
export function button(text, action, kind = "") {
  const node = el("button", { type: "button", class: kind, onclick: async () => {
    node.disabled = true;
    try {
      await action();
    } finally {
      node.disabled = false;
    }
  } }, text);
  return node;
}

/** A button for an action that changes something; null for a viewer, who may change nothing. */
export const changeButton = (...given) => (isViewer() ? null : button(...given));

/** Asks before something is done. */
export function confirmed(text, yes) {
  const dialog = document.getElementById("confirm");
  document.getElementById("confirm-text").textContent = text;
  document.getElementById("confirm-yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true }));
}

/** Shows a message above the page: `good` or `bad`. */
export function tell(text, kind = "good") {
  const place = document.getElementById("messages");
  const close = el("button", { type: "button", class: "quiet small", onclick: () => note.remove() }, "Close");
  const note = el("div", { class: `notice ${kind}` }, el("span", {}, text), close);
  place.replaceChildren(note);
}

/** A whole number with separators. */
export const count = (number) => number.toLocaleString("en");

/** A number with its noun, whose plural ends in s. */
export const several = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

/** Microseconds as a time for people. */
export function milliseconds(micros) {
  const millis = micros / 1000;
  return `${millis >= 10 ? count(Math.round(millis)) : millis.toFixed(millis >= 0.1 ? 1 : 3)} ms`;
}

/** Bytes with a unit. */
export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (number >= 1024 && unit < units.length - 1) {
    number /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? number : number.toFixed(1)} ${units[unit]}`;
}

/** A time in the reader's time zone: of today without the date. */
export function time(text) {
  const at = new Date(text);
  const isToday = at.toDateString() === new Date().toDateString();
  return el("time", { datetime: text, title: text }, isToday ? at.toLocaleTimeString() : at.toLocaleString());
}

/** A duration in its two largest units. */
export function duration(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  let left = Math.max(0, Math.round(seconds));
  const parts = [];
  for (const [name, size] of units) {
    const number = Math.floor(left / size);
    if (number > 0 || (name === "s" && parts.length === 0)) parts.push(`${number} ${name}`);
    left -= number * size;
  }
  return parts.slice(0, 2).join(" ");
}
