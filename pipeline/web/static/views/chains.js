/** Chains: what they do, drawn and in words, and an editor. */

import { editor } from "../chains/editor.js";
import { tidy } from "../chains/form.js";
import { choose, graph } from "../chains/graph.js";
import { askText, change } from "../core/dialogs.js";
import { element, fill } from "../core/element.js";
import { on } from "../core/live.js";
import { empty, loader, throttled } from "../core/loading.js";
import { link } from "../core/router.js";
import { written } from "../parts/documents.js";
import { panel } from "../parts/panel.js";
import { sign } from "../parts/state.js";

export function chains({ parts, query, signal }) {
  if (!parts[0]) return allChains(signal);
  return parts[1] === "edit" ? editChain(parts[0], signal) : oneChain(parts[0], query, signal);
}

function allChains(signal) {
  const place = element("div");
  const list = element("div.cards.wide");
  const load = loader(place, () => ["/api/chains", {}], (answer) => {
    fill(list, answer.chains.map(chainCard));
    fill(place, answer.chains.length ? list : empty("The configuration names no chain."));
  }, signal);
  on("changed", throttled(load, 3000, signal), signal);
  load();
  return { title: "Chains", node: element("div", {}, element("div.head", {}, element("h1", {}, "Chains")), place) };
}

function chainCard(chain) {
  return element(
    "a.card",
    { href: link("chains", chain.name) },
    element("div.first", {}, element("b", {}, chain.name), chain.paused && element("span.quiet", {}, sign("waiting"), " paused")),
    chain.description && element("span", {}, chain.description),
    element("span.soft.flow", {}, chain.steps.join(" → ")),
    chain.problems.length > 0 && element("span.bad", {}, sign("failed"), " the file as it is now is not in use: ", chain.problems[0]),
    element("span.mono.soft", {}, chain.file),
  );
}

function pauseButton(chain, load) {
  if (chain.paused) {
    return element("button", { type: "button", click: () => change("POST", "/api/resume", { chain: chain.name }, { done: `${chain.name} goes on.` }).then(load) }, "Resume");
  }
  return element("button", {
    type: "button",
    async click() {
      const reason = await askText(`Pause ${chain.name}?`, "Why? (others will read it)", { yes: "Pause it" });
      if (reason === null) return;
      await change("POST", "/api/pause", { chain: chain.name, reason }, { done: `${chain.name} is paused; what runs is finished.` });
      load();
    },
  }, "Pause");
}

function oneChain(name, query, signal) {
  const place = element("div");
  const head = element("div.head");
  const trouble = element("div");
  const drawing = element("div.drawing-place");
  const details = element("div");
  const text = element("div");
  const content = element("div", {}, trouble, element("div.grid.chain", {}, panel("Drawing", drawing), panel("Step", details)), panel("Text", text));
  content.hidden = true;

  const load = loader(place, () => [`/api/chains/${encodeURIComponent(name)}`, {}], (chain) => {
    content.hidden = false;
    fill(
      head,
      element("h1", {}, chain.name),
      element("div.buttons", {}, element("a.button", { href: link("jobs", { chain: chain.name }) }, "Its jobs"), pauseButton(chain, load), element("a.button", { href: link("chains", chain.name, "edit") }, "Edit")),
      chain.description && element("p", {}, chain.description),
    );
    fill(trouble, chain.problems.length > 0 && element("div.trouble", { role: "alert" },
      element("p", {}, element("b", {}, "The file as it is now is not taken over; the chain as it was goes on.")),
      element("ul.problems", {}, chain.problems.map((problem) => element("li.mono", {}, problem)))));
    fill(text, element("pre", { tabindex: "0", "aria-label": "Text of the chain" }, chain.text), element("p.soft.mono", {}, `${chain.file}  ${chain.fingerprint.slice(0, 12)}`));
    if (!chain.drawing) {
      fill(drawing, empty("The chain was never valid, so there is nothing to draw."));
      fill(details);
      return;
    }
    const steps = new Map(chain.drawing.steps.map((step) => [step.id, step]));
    const open = (id) => {
      if (!steps.has(id)) return;
      choose(svg, id);
      fill(details, stepDetails(steps.get(id)));
    };
    const svg = graph(chain.drawing, open);
    fill(drawing, svg);
    const first = query.get("step") ?? chain.drawing.steps[0]?.id;
    if (first) open(first);
    else fill(details, empty("The chain has no steps."));
  }, signal);
  load();
  return { title: name, node: element("div", {}, element("div.crumbs", {}, element("a", { href: link("chains") }, "All chains")), head, place, content) };
}

function stepDetails(step) {
  const [summary, ...rest] = step.documentation.split("\n\n");
  const policy = Object.entries(step.policy);
  return element(
    "div.step-details",
    {},
    element("div.first", {}, element("h3", {}, step.name), step.processor !== step.name && element("span.soft", {}, step.processor)),
    element("p", {}, tidy(summary)),
    rest.length > 0 && element("details", {}, element("summary", {}, "More"), rest.map((paragraph) => element("p.doc", {}, tidy(paragraph)))),
    policy.length > 0 && element("p", {}, policy.map(([key, value]) => element("span.policy", {}, element("span.soft", {}, `${key} `), written(value)))),
    (step.reads.length > 0 || step.writes.length > 0) && element("p.soft", {}, step.reads.length > 0 && `reads ${step.reads.join(", ")}`, step.reads.length > 0 && step.writes.length > 0 && "; ", step.writes.length > 0 && `writes ${step.writes.join(", ")}`),
    step.parameters.length ? element("dl.parameters", {}, step.parameters.map(parameter)) : empty("It has no parameters."),
  );
}

function parameter(one) {
  return [
    element("dt", { class: one.is_default ? "" : "changed" }, element("code", {}, one.name), element("span.soft", {}, ` ${one.type}`)),
    element("dd", {}, element("code.value", {}, written(one.value)), !one.is_default && !one.required && element("span.soft", {}, ` instead of ${written(one.default)}`), one.description && element("p.soft", {}, one.description)),
  ];
}

function editChain(name, signal) {
  const place = element("div");
  const body = element("div");
  let begun = false;
  const load = loader(place, () => [`/api/chains/${encodeURIComponent(name)}`, {}], (chain) => {
    if (!begun) fill(body, editor(chain, signal));
    begun = true;
  }, signal);
  load();
  return {
    title: `Edit ${name}`,
    node: element("div", {}, element("div.crumbs", {}, element("a", { href: link("chains") }, "All chains"), "/", element("a", { href: link("chains", name) }, name), "/ edit"), place, body),
  };
}
