/** Stretch, levels and zoom of the picture. */

import { element, fill, say } from "../core/element.js";
import { count, number, sexagesimal, signed } from "../core/format.js";

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
    const from = known.low ?? 0;
    // Where nearly all pixels are the same, no level lies above the other.
    set({ stretch: name, low: from, high: known.high > from ? known.high : from + 1 });
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

/** The line above the picture: where the pointer is, what is there, and where on the sky that is. */
export function readout() {
  const place = element("output.readout");
  const one = (name, ...said) => element("span", {}, element("b", {}, name), " ", said);
  return {
    node: place,
    /** `pixel` is the answer of /pixel, or null as long as there is none; `source` the number of a source. */
    show(x, y, pixel, source, trouble = "") {
      const { ra, dec, frame } = pixel ?? { ra: null };
      fill(
        place,
        element("span.place", {}, one("x", number(x, 7)), " ", one("y", number(y, 7))),
        " ",
        pixel ? element("span.value", {}, valueOf(pixel)) : element("span.soft", {}, trouble || "…"),
        source !== null && element("span.soft", {}, ` source ${count(source)}`),
        ra !== null && element(
          "span.sky",
          { title: `Coordinates of the position: ${frame.toUpperCase()}` },
          one("RA", sexagesimal(ra / 15, 2), element("span.soft", {}, ` ${ra.toFixed(5)}°`)),
          " ",
          one("Dec", sexagesimal(dec, 1, { sign: true }), element("span.soft", {}, ` ${signed(dec.toFixed(5))}°`)),
          element("span.soft", {}, ` ${frame.toUpperCase()}`),
        ),
      );
    },
    clear: (text) => fill(place, element("span.soft", {}, text)),
  };
}

/** The value of a pixel, and why it is excluded if it is. */
function valueOf({ plane, values, unit, excluded, flags }) {
  const said = values.map((value) => (value === null ? "no value" : number(value, 7))).join(", ");
  const why = flags.map((flag) => flag.toLowerCase().replaceAll("_", " ")).join(", ");
  return [
    plane !== "data" && element("span.soft", {}, `${plane} `),
    element("b", {}, said),
    unit && ` ${unit}`,
    excluded && element("span.quiet", {}, ` excluded${why ? `: ${why}` : ""}`),
  ];
}
