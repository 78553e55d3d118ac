/** All jobs, with a filter. */

import { get, isAbort } from "../core/api.js";
import { change, confirmed } from "../core/dialogs.js";
import { element, fill, say } from "../core/element.js";
import { count, plural } from "../core/format.js";
import { onNow } from "../core/now.js";
import { note } from "../core/router.js";
import { isWriting } from "../core/keys.js";
import { throttled } from "../core/loading.js";
import { jobList } from "../parts/job_list.js";
import { sign, STATES } from "../parts/state.js";
import { windowed } from "../parts/windowed.js";

const KINDS = [["image", "images"], ["tick", "interval runs"], ["frame", "calibration frames"], ["masters", "masters"]];

export function jobs({ query, signal }) {
  const filter = {
    state: query.getAll("state").flatMap((text) => text.split(",")).filter((name) => STATES.includes(name)),
    chain: query.get("chain") ?? "",
    source: query.get("source") ?? "",
    night: query.get("night") ?? "",
    kind: query.get("kind") ?? "",
    q: query.get("q") ?? "",
    order: query.get("order") === "oldest" ? "oldest" : "newest",
  };
  const total = element("span.soft", { role: "status" });
  const list = jobList(() => filter, windowed, {
    nothing: () => (isRestricted() ? "No job fits this filter." : "No job yet. The first image that comes in shows up here by itself."),
    told: (number) => say(total, plural(number, "job")),
    signal,
  });

  const isRestricted = () => filter.state.length || filter.chain || filter.source || filter.night || filter.kind || filter.q;

  function changed() {
    const { state, order, ...rest } = filter;
    note("jobs", { ...rest, state: state.join(","), order: order === "newest" ? "" : order });
    showBar();
    list.reset();
  }

  const chips = Object.fromEntries(
    STATES.map((name) => {
      const number = element("b");
      const chip = element("button.chip", { type: "button", "data-state": name, click: () => toggle(name) }, sign(name), name, number);
      return [name, { chip, number }];
    }),
  );

  function toggle(name) {
    filter.state = filter.state.includes(name) ? filter.state.filter((known) => known !== name) : [...filter.state, name];
    changed();
  }

  const search = element("input", {
    type: "search", placeholder: "Name, path, object, error", value: filter.q, "aria-label": "Search", maxlength: 200,
  });
  const searched = throttled(changed, 250, signal);
  search.addEventListener("input", () => {
    filter.q = search.value.trim();
    searched();
  });

  const choice = (name, label) => {
    const field = element("select", { "aria-label": label, "data-filter": name });
    field.addEventListener("change", () => {
      filter[name] = field.value;
      changed();
    });
    return field;
  };
  const fields = {
    chain: choice("chain", "Chain"), source: choice("source", "Source"), night: choice("night", "Night"), kind: choice("kind", "Kind"),
    order: choice("order", "Order"),
  };
  const options = (name, title, values) => {
    const known = values.map((value) => (Array.isArray(value) ? value : [value, value]));
    if (filter[name] && !known.some(([value]) => value === filter[name])) known.push([filter[name], filter[name]]);
    const all = title ? [["", title], ...known] : known;
    if (fields[name].optionsAre === JSON.stringify(all)) return;
    fields[name].optionsAre = JSON.stringify(all);
    fill(fields[name], all.map(([value, text]) => element("option", { value }, text)));
    fields[name].value = filter[name];
  };
  options("kind", "All kinds", KINDS);
  options("order", "", [["newest", "Newest first"], ["oldest", "Oldest first"]]);
  for (const [name, title] of [["chain", "All chains"], ["source", "All sources"], ["night", "All nights"]]) options(name, title, []);
  fillChoices(options, signal);

  const bulk = element("div.buttons");
  function showBar() {
    for (const [name, { chip }] of Object.entries(chips)) chip.setAttribute("aria-pressed", filter.state.includes(name));
    const only = filter.state.length === 1 ? filter.state[0] : "";
    fill(
      bulk,
      only === "failed" && element("button", { type: "button", click: () => all("retry", "Retry all of these") }, "Retry all"),
      ["failed", "queued", "waiting"].includes(only) &&
        element("button.danger", { type: "button", click: () => all("drop", "Drop all of these") }, "Drop all"),
      isRestricted() && element("button.plain", { type: "button", click: clear }, "Clear filter"),
    );
  }

  function clear() {
    Object.assign(filter, { state: [], chain: "", source: "", night: "", kind: "", q: "" });
    search.value = "";
    for (const [name, field] of Object.entries(fields)) if (name !== "order") field.value = "";
    changed();
  }

  async function all(what, title) {
    const words = {
      retry: ["They go back into the queue, and their attempts count from the beginning.", "Retry them"],
      drop: ["Nothing more will be done with them. They can be retried later.", "Drop them"],
    }[what];
    if (!(await confirmed(`${title}?`, `${total.textContent} in this filter. ${words[0]}`, { yes: words[1], dangerous: what === "drop" }))) return;
    const { state, order, ...rest } = filter;
    const body = { states: state, ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value)) };
    await change("POST", `/api/jobs/${what}`, body, {
      done: (answer) => `${plural(answer.changed, "job")} ${what === "retry" ? "back in the queue" : "dropped"}.`,
    });
    list.refresh();
  }

  onNow((answer) => {
    for (const [name, { number }] of Object.entries(chips)) say(number, count(answer.counts[name] ?? 0));
    options("source", "All sources", answer.sources.map((source) => source.name));
  }, signal);
  addEventListener("keydown", (event) => move(event, list.node), { signal });

  showBar();
  list.reset();
  return {
    title: "Jobs",
    node: element(
      "div.jobs",
      {},
      element("h1.hidden", {}, "Jobs"),
      element(
        "div.filter",
        { role: "search" },
        element("div.chips", { role: "group", "aria-label": "States" }, Object.values(chips).map(({ chip }) => chip)),
        element("div.fields", {}, search, Object.values(fields)),
        element("div.below", {}, total, bulk),
      ),
      list.node,
    ),
  };
}

async function fillChoices(options, signal) {
  try {
    const [chains, nights] = await Promise.all([get("/api/chains", { signal }), get("/api/nights", { signal })]);
    options("chain", "All chains", chains.chains.map((chain) => chain.name));
    options("night", "All nights", nights.nights.map((night) => night.night));
  } catch (error) {
    if (error.status === undefined && !isAbort(error)) throw error; // without them the filter is only less convenient
  }
}

/** j and k, or the arrows in the list, go from row to row. */
function move(event, list) {
  if (isWriting(event)) return;
  const within = list.contains(document.activeElement);
  const step = { j: 1, k: -1, ...(within ? { ArrowDown: 1, ArrowUp: -1 } : {}) }[event.key];
  if (!step) return;
  const links = [...list.querySelectorAll("a.stretched")];
  const at = links.indexOf(document.activeElement);
  const next = at < 0 ? links.find((anchor) => anchor.getBoundingClientRect().top > 60) : links[at + step];
  if (!next) return;
  event.preventDefault();
  next.focus({ preventScroll: true });
  next.closest(".row").scrollIntoView({ block: "nearest" });
}
