/** Stretch, levels and zoom of the picture. */

import { element, fill, say } from "../core/element.js";
import { number } from "../core/format.js";

const STRETCHES = [["asinh", "asinh"], ["linear", "linear"], ["log", "logarithm"], ["sqrt", "square root"], ["zscale", "zscale"]];

const PLANES = ["data", "raw", "uncertainty", "mask"];

/**
 * The controls.
 *
 * @param {Object} info answer of /info
 * @param {Object} does `look({stretch, low, high})`, `zoom(factor)`, `fit()`, `actual()`, `sources(shown)`
 */
export function controls(info, does) {
  let look = { stretch: "asinh", low: null, high: null, plane: "data", mask: false };
  const planes = info.planes.filter((name) => PLANES.includes(name));
  const plane = element("select", { "aria-label": "Plane", change: () => set({ plane: plane.value }) }, planes.map((name) => element("option", { value: name }, name)));
  const veil = element("input", { type: "checkbox", change: () => set({ mask: veil.checked }) });
  const stretch = element("select", { "aria-label": "Stretch", change: () => choose(stretch.value) }, STRETCHES.map(([value, text]) => element("option", { value }, text)));
  const low = level("Black", "low");
  const high = level("White", "high");
  const marks = element("input", { type: "checkbox", checked: info.sources > 0, change: () => does.sources(marks.checked) });
  const zoom = element("output", { title: "Screen pixels of one image pixel" });

  function level(title, key) {
    const field = element("input", { type: "text", inputmode: "decimal", "aria-label": `${title} [${info.unit || "value"}]`, size: 8, spellcheck: "false" });
    field.addEventListener("change", () => {
      const value = Number(field.value.replace("−", "-"));
      if (Number.isFinite(value) && field.value.trim()) set({ [key]: value });
      else show();
    });
    field.addEventListener("keydown", (event) => {
      const step = { ArrowUp: 1, ArrowDown: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      set({ [key]: look[key] + step * 0.02 * Math.max(look.high - look.low, 1e-9) });
    });
    return field;
  }

  function choose(name) {
    const known = info.levels[name] ?? { low: info.lowest, high: info.highest };
    set({ stretch: name, low: known.low ?? 0, high: known.high ?? 1 });
  }

  function set(change) {
    const next = { ...look, ...change };
    if (next.low !== null && next.low >= next.high) {
      show();
      return;
    }
    look = next;
    show();
    // Levels are those of the data; other planes get their own.
    does.look(look.plane === "data" ? look : { ...look, low: null, high: null });
  }

  function show() {
    stretch.value = look.stretch;
    for (const field of [low, high]) field.disabled = look.plane !== "data";
    low.value = number(look.low, 5);
    high.value = number(look.high, 5);
  }

  const button = (text, title, click) => element("button.small", { type: "button", title, "aria-label": title, click }, text);
  const bar = element(
    "div.controls",
    { role: "toolbar", "aria-label": "Picture" },
    element("span.group", {}, button("−", "Zoom out (−)", () => does.zoom(1 / 1.5)), button("+", "Zoom in (+)", () => does.zoom(1.5)), button("Fit", "Show the whole image (0)", does.fit), button("1:1", "One screen pixel for each image pixel (1)", does.actual), zoom),
    planes.length > 1 && element("label.inline", {}, "Plane ", plane),
    element("label.inline", {}, "Stretch ", stretch),
    element("label.inline", {}, "Black ", low),
    element("label.inline", {}, "White ", high),
    button("Auto", "Levels found from the image", () => choose(look.stretch)),
    info.sources > 0 && element("label.check", {}, marks, "Sources"),
    info.masked > 0 && element("label.check", { title: "Tint the pixels that are excluded" }, veil, "Masked"),
  );
  choose("asinh" in info.levels ? "asinh" : Object.keys(info.levels)[0] ?? "linear");
  return {
    node: bar,
    look: () => look,
    toggleSources() {
      marks.checked = !marks.checked;
      does.sources(marks.checked);
    },
    showZoom: (value) => say(zoom, value >= 1 ? `${number(value, 3)} ×` : `1/${number(1 / value, 3)}`),
  };
}

/** The line below the picture: where the pointer is. */
export function readout() {
  const place = element("output.readout");
  return {
    node: place,
    show: (x, y, more) => fill(place, element("b", {}, "x "), number(x, 7), element("b", {}, "  y "), number(y, 7), more && element("span.soft", {}, `  ${more}`)),
    clear: (text) => fill(place, element("span.soft", {}, text)),
  };
}
