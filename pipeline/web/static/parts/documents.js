/** Headers and provenance, and whatever is fetched only when somebody wants to see it. */

import { isAbort } from "../core/api.js";
import { element, fill } from "../core/element.js";
import { duration, number } from "../core/format.js";
import { empty, failed } from "../core/loading.js";
import { table } from "./panel.js";
import { sign } from "./state.js";

/** A place that fills itself with what is fetched. */
export function lazily(fetching, show) {
  const place = element("div", {}, element("p.empty", {}, "Looking …"));
  const load = async () => {
    try {
      fill(place, show(await fetching()));
    } catch (error) {
      if (isAbort(error)) return;
      fill(place, failed(error, load));
    }
  };
  load();
  return place;
}

/** A header, with a search. */
export function cardTable(cards) {
  if (!cards.length) return empty("The header is empty.");
  const rows = cards.map((card) => {
    const value = typeof card.value === "string" ? card.value : card.value === null ? "" : number(card.value, 12);
    const node = element("tr", {}, element("th.mono", { scope: "row" }, card.key), element("td.mono.value", {}, value), element("td.soft", {}, card.comment));
    return [`${card.key} ${value} ${card.comment}`.toLowerCase(), node];
  });
  const none = element("p.empty", { hidden: true }, "No card has this text.");
  const search = element("input", {
    type: "search", placeholder: `Search in ${cards.length} cards`, "aria-label": "Search in the header",
    input: () => {
      const text = search.value.trim().toLowerCase();
      for (const [words, node] of rows) node.hidden = !words.includes(text);
      none.hidden = rows.some(([, node]) => !node.hidden);
    },
  });
  return element(
    "div",
    {},
    search,
    element("div.scroll.cards", { tabindex: "0", role: "region", "aria-label": "Header" }, element("table", {}, element("tbody", {}, rows.map(([, node]) => node)))),
    none,
  );
}

/** What was done to an image. */
export function provenanceList({ steps }) {
  if (!steps.length) return empty("The image does not say what was done to it.");
  return element("ol.provenance", {}, steps.map(provenanceStep));
}

function provenanceStep(step) {
  const parameters = Object.entries(step.parameters);
  return element(
    "li",
    {},
    element(
      "div.first",
      {},
      sign(step.outcome === "done" ? "done" : step.outcome === "failed" ? "failed" : "warned"),
      element("b", {}, step.step),
      step.processor !== step.step && element("span.soft", {}, step.processor),
      element("span.soft", {}, step.version),
      element("span.soft", {}, duration(step.seconds)),
    ),
    step.message && element("p.quiet", {}, step.message),
    parameters.length > 0 &&
      element("p.parameters", {}, parameters.map(([key, value]) => element("span.nowrap-chunk", {}, element("span.soft", {}, `${key} `), written(value), "  "))),
    step.inputs.length > 0 &&
      table([["Used"], ["File", "file"], ["SHA-256"]], step.inputs.map((file) => [file.role, element("span.mono", {}, file.path), element("span.mono.soft", { title: file.sha256 }, file.sha256.slice(0, 16))])),
  );
}

/** A value of a parameter as YAML would have it. */
export function written(value) {
  if (value === null || value === undefined) return "null";
  if (typeof value === "number") return String(value);
  return typeof value === "string" ? value : JSON.stringify(value).replaceAll('":', '": ').replaceAll(",", ", ");
}
