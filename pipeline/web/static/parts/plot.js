/** Plots over the time of a night: axes with units, a mark for each frame, the keyboard and the pointer find each. */

import { drawn, element, fill } from "../core/element.js";
import { clock, number } from "../core/format.js";

const [WIDTH, HEIGHT] = [560, 220];
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 12, 12, 28];
const CYCLE = ["blue", "orange", "green", "purple", "sky", "yellow"];
const FILTERS = { B: "blue", V: "green", R: "orange", I: "purple", U: "sky", g: "green", r: "orange", i: "purple", z: "yellow", u: "sky" };
const SHAPES = ["circle", "square", "diamond", "triangle"];

/** Colour and shape of each label; labels that are known have always the same colour. */
export function styles(labels) {
  const taken = new Set();
  return new Map(
    labels.map((label, k) => {
      let color = FILTERS[label] ?? CYCLE[k % CYCLE.length];
      if (taken.has(color)) color = CYCLE.find((other) => !taken.has(other)) ?? color;
      taken.add(color);
      return [label, { color, shape: SHAPES[k % SHAPES.length] }];
    }),
  );
}

/**
 * Draw values over time.
 *
 * @param {Object} options
 * @param {string} options.title what is shown
 * @param {string} options.unit of the values
 * @param {Array} options.points {time, value, set, name, open}: `set` is the label of its colour, `open()` shows more
 * @param {Map} options.look answer of styles()
 * @param {boolean} options.downwards larger values lie lower
 * @param {boolean} options.zero the axis begins at zero
 */
export function plot({ title, unit, points, look, downwards = false, zero = false }) {
  const known = points.filter((point) => Number.isFinite(point.value) && point.time > 0).sort((a, b) => a.time - b.time);
  if (!known.length) return null;
  const times = known.map((point) => point.time);
  const values = known.map((point) => point.value);
  const across = scale(Math.min(...times), Math.max(...times), LEFT, WIDTH - RIGHT, 60);
  const [low, high] = [zero ? Math.min(0, ...values) : Math.min(...values), Math.max(...values)];
  const room = 0.07 * (high - low || Math.abs(high) || 1);
  const [first, last] = [zero && low >= 0 ? 0 : low - room, high + room];
  const down = (value) => {
    const part = (value - first) / (last - first);
    return TOP + (downwards ? part : 1 - part) * (HEIGHT - TOP - BOTTOM);
  };
  const steps = ticks(first, last);
  const spots = known.map((point) => [across(point.time), down(point.value)]);
  const hint = element("div.hint", { hidden: true });
  const ring = drawn("circle", { class: "ring", r: 7, visibility: "hidden" });
  const drawing = drawn(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", tabindex: "0", "aria-label": `${title}: ${known.length} frames, ${number(Math.min(...values), 4)} to ${number(Math.max(...values), 4)} ${unit}` },
    steps.map((tick) => grid(down(tick), spelled(tick, steps))),
    moments(across).map(([x, text]) => moment(x, text)),
    known.map((point, k) => mark(look.get(point.set), ...spots[k])),
    ring,
  );
  const box = element("div.plot", {}, element("h3", {}, title, unit && element("span.soft", {}, ` [${unit}]`), element("span.range", {}, summary(values))), element("div.drawing", {}, drawing, hint));
  let current = -1;

  function point(k) {
    current = k;
    hint.hidden = k < 0;
    ring.setAttribute("visibility", k < 0 ? "hidden" : "visible");
    if (k < 0) return;
    const { name, value, time, set } = known[k];
    fill(hint, element("b", {}, `${number(value, 4)} ${unit}`), ` ${set}`, element("br"), name, element("br"), `${clock(time)} UTC`);
    ring.setAttribute("cx", spots[k][0]);
    ring.setAttribute("cy", spots[k][1]);
    hint.style.left = `${(100 * spots[k][0]) / WIDTH}%`;
    hint.style.top = `${(100 * spots[k][1]) / HEIGHT}%`;
    hint.classList.toggle("leftwards", spots[k][0] > WIDTH * 0.6);
  }

  function nearest(event) {
    const frame = drawing.getBoundingClientRect();
    const [x, y] = [((event.clientX - frame.left) * WIDTH) / frame.width, ((event.clientY - frame.top) * HEIGHT) / frame.height];
    let [best, least] = [-1, 40];
    for (const [k, [px, py]] of spots.entries()) {
      const distance = Math.hypot(px - x, py - y);
      if (distance < least) [best, least] = [k, distance];
    }
    return best;
  }

  drawing.addEventListener("pointermove", (event) => point(nearest(event)));
  drawing.addEventListener("pointerleave", () => point(-1));
  drawing.addEventListener("blur", () => point(-1));
  drawing.addEventListener("click", (event) => {
    const k = nearest(event);
    if (k < 0) return;
    if (event.pointerType === "touch" && current !== k) point(k);
    else known[k].open?.();
  });
  drawing.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) point(Math.min(known.length - 1, Math.max(0, current + step)));
    else if (event.key === "Enter" && current >= 0) known[current].open?.();
    else return;
    event.preventDefault();
  });
  return box;
}

/** Labels with their colours and marks. */
export function legend(look) {
  if (look.size < 2) return null;
  return element(
    "div.legend",
    {},
    [...look].map(([label, style]) => element("span", {}, drawn("svg", { viewBox: "0 0 10 10", class: "swatch", "aria-hidden": "true" }, mark(style, 5, 5)), label || "no filter")),
  );
}

function summary(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length % 2 ? sorted[(sorted.length - 1) / 2] : (sorted[sorted.length / 2 - 1] + sorted[sorted.length / 2]) / 2;
  return `median ${number(middle, 4)}`;
}

function scale(low, high, left, right, least) {
  const span = Math.max(high - low, least);
  const [first, last] = [low - 0.03 * span, low + 1.03 * span];
  const place = (value) => left + ((value - first) / (last - first)) * (right - left);
  return Object.assign(place, { first, last });
}

function mark({ color, shape }, x, y) {
  const path = {
    square: `M${x - 2.9} ${y - 2.9}h5.8v5.8h-5.8z`,
    diamond: `M${x} ${y - 4}l4 4l-4 4l-4-4z`,
    triangle: `M${x} ${y - 3.8}l4 7h-8z`,
  }[shape];
  return path ? drawn("path", { d: path, class: `spot ${color}` }) : drawn("circle", { cx: x, cy: y, r: 3.2, class: `spot ${color}` });
}

function grid(y, text) {
  return drawn("g", {}, drawn("path", { d: `M${LEFT} ${y.toFixed(1)}H${WIDTH - RIGHT}`, class: "gridline" }), drawn("text", { x: LEFT - 7, y, dy: ".35em", "text-anchor": "end" }, text));
}

function moment(x, text) {
  const floor = HEIGHT - BOTTOM;
  return drawn("g", {}, drawn("path", { d: `M${x.toFixed(1)} ${floor}v4`, class: "tick" }), drawn("text", { x, y: floor + 17, "text-anchor": "middle" }, text));
}

/** Some round numbers between two values. */
export function ticks(low, high) {
  if (!(high > low)) return [low];
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.9999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high * (1 + Math.sign(high) * 1e-12) + step * 1e-9; k += 1) found.push(k * step);
  return found;
}

function spelled(value, steps) {
  const step = steps.length > 1 ? Math.abs(steps[1] - steps[0]) : Math.abs(value) || 1;
  const digits = Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)));
  const text = value.toFixed(digits);
  return Number(text) === 0 ? (0).toFixed(digits) : text.replace("-", "−");
}

/** Times of day for the axis. */
function moments(across) {
  const span = across.last - across.first;
  const step = [60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200].find((seconds) => span / seconds <= 8) ?? 86400;
  const found = [];
  for (let time = Math.ceil(across.first / step) * step; time <= across.last; time += step) found.push([across(time), clock(time, { withSeconds: false })]);
  return found;
}
