/** A field for text with numbered lines, on which problems are marked. */

import { element } from "../core/element.js";

/**
 * The field.
 *
 * @param {string} text at the beginning
 * @param {Object} does `changed()` after each change, `moved()` when the cursor is in another line
 */
export function textField(text, { changed, moved }) {
  const area = element("textarea", { spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off", "aria-label": "Text of the chain", rows: 24 });
  const numbers = element("div.numbers", { "aria-hidden": "true" });
  const stripes = element("div.stripes", { "aria-hidden": "true" });
  const node = element("div.text-field", {}, numbers, element("div.text-body", {}, stripes, area));
  let marks = new Map();
  let last = -1;

  area.value = text;

  function number() {
    const lines = area.value.split("\n").length;
    while (numbers.children.length < lines) {
      numbers.append(element("span", {}, numbers.children.length + 1));
      stripes.append(element("span"));
    }
    while (numbers.children.length > lines) {
      numbers.lastElementChild.remove();
      stripes.lastElementChild.remove();
    }
    for (let k = 0; k < lines; k += 1) {
      const problem = marks.get(k + 1);
      numbers.children[k].className = problem ? "wrong" : "";
      numbers.children[k].title = problem ?? "";
      stripes.children[k].className = problem ? "wrong" : k === last ? "here" : "";
    }
  }

  function scrolled() {
    numbers.style.transform = `translateY(${-area.scrollTop}px)`;
    stripes.style.transform = `translateY(${-area.scrollTop}px)`;
  }

  function line() {
    return area.value.slice(0, area.selectionStart).split("\n").length - 1;
  }

  function move() {
    if (line() === last) return;
    last = line();
    number();
    moved();
  }

  area.addEventListener("input", () => {
    number();
    changed();
    last = -1;
    move();
  });
  for (const kind of ["keyup", "click", "focus", "select"]) area.addEventListener(kind, move);
  area.addEventListener("scroll", scrolled, { passive: true });
  area.addEventListener("keydown", (event) => {
    // Enter keeps the indent. Tab leaves the field, as everywhere.
    if (event.key !== "Enter" || event.isComposing || event.ctrlKey || event.metaKey) return;
    const start = area.value.lastIndexOf("\n", area.selectionStart - 1) + 1;
    const indent = /^[ ]*/.exec(area.value.slice(start, area.selectionStart))[0];
    if (!indent) return;
    event.preventDefault();
    area.setRangeText(`\n${indent}`, area.selectionStart, area.selectionEnd, "end");
    area.dispatchEvent(new Event("input"));
  });
  number();

  return {
    node,
    text: () => area.value,
    line,
    /** Take another text, and stay where one is. */
    replace(other) {
      if (other === area.value) return;
      const [start, end, top] = [area.selectionStart, area.selectionEnd, area.scrollTop];
      area.value = other;
      area.setSelectionRange(Math.min(start, other.length), Math.min(end, other.length));
      area.scrollTop = top;
      number();
      changed();
    },
    /** Mark the lines of problems. */
    mark(problems) {
      marks = new Map();
      for (const { line: at, message } of problems) if (at) marks.set(at, [marks.get(at), message].filter(Boolean).join("\n"));
      number();
    },
    /** Put the cursor to a line and column, both from 1. */
    go(at, column) {
      const lines = area.value.split("\n");
      const before = lines.slice(0, Math.max(0, at - 1)).reduce((sum, one) => sum + one.length + 1, 0);
      const place = Math.min(area.value.length, before + Math.max(0, column - 1));
      area.focus();
      area.setSelectionRange(place, place);
      const tall = area.scrollHeight / Math.max(1, lines.length);
      area.scrollTop = Math.max(0, (at - 6) * tall);
      scrolled();
      last = -1;
      move();
    },
  };
}
