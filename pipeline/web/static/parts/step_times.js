/** How long steps take, as bars. */

import { element } from "../core/element.js";
import { count, duration } from "../core/format.js";
import { empty } from "../core/loading.js";

/** Bars of median and 95 % limit, by chain. */
export function stepTimes(steps) {
  if (!steps.length) return empty("No image has gone through a chain in the last 24 hours.");
  const byChain = Map.groupBy ? Map.groupBy(steps, (step) => step.chain) : grouped(steps);
  return element(
    "div.chain-times",
    {},
    [...byChain].map(([chain, known]) => {
      const longest = Math.max(...known.map((step) => step.p95 ?? step.median ?? 0), 1e-6);
      return element(
        "div",
        {},
        element("h3", {}, chain, element("small.soft", {}, ` ${duration(known.reduce((sum, step) => sum + (step.median ?? 0), 0))} in all`)),
        known.map((step) => line(step, longest)),
      );
    }),
  );
}

function grouped(steps) {
  const found = new Map();
  for (const step of steps) found.set(step.chain, [...(found.get(step.chain) ?? []), step]);
  return found;
}

function line(step, longest) {
  const median = element("div.median");
  const tail = element("div.tail");
  median.style.width = `${(100 * (step.median ?? 0)) / longest}%`;
  tail.style.width = `${(100 * (step.p95 ?? 0)) / longest}%`;
  const text = `${step.step}: ${duration(step.median)} (95 %: ${duration(step.p95)}), ${count(step.count)} images`;
  return element(
    "div.step-time",
    { title: text },
    element("span.what", {}, step.step),
    element("div.track", { "aria-hidden": "true" }, tail, median),
    element("span.n", {}, duration(step.median)),
    element("span.n.soft", {}, duration(step.p95)),
  );
}
