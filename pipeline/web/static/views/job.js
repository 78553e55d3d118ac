/** One job: what became of it and why, its picture, header, provenance, log. */

import { fetched, get } from "../core/api.js";
import { change, confirmed } from "../core/dialogs.js";
import { element, fill } from "../core/element.js";
import { cause, count, duration, moment, number, size } from "../core/format.js";
import { isWriting } from "../core/keys.js";
import { on } from "../core/live.js";
import { empty, loader, throttled } from "../core/loading.js";
import { go, link } from "../core/router.js";
import { cardTable, lazily, provenanceList } from "../parts/documents.js";
import { download, productTable } from "../parts/products.js";
import { masterList } from "../parts/masters.js";
import { facts, panel, panelWith, table, tabs } from "../parts/panel.js";
import { ageOf, stateMark } from "../parts/state.js";
import { attemptTable, timeline } from "../parts/timeline.js";
import { viewer } from "../viewer/viewer.js";

const OPEN = ["waiting", "queued", "running"];

export function job({ parts, query, signal }) {
  const id = Number(parts[0]);
  const head = element("div.head");
  const trouble = element("div");
  const story = element("div");
  const products = element("div");
  const about = element("div");
  const place = element("div");
  const record = element("div.grid.even", {}, story, about);
  const content = element("div.job", {}, head, trouble, record, products);
  const node = element("div", {}, place, content);
  content.hidden = true;
  let shownProducts = "";
  let known = null;

  const load = loader(place, () => [`/api/jobs/${id}`, {}], (detail) => {
    known = detail;
    content.hidden = false;
    document.title = document.title.replace(/^[^·]*·/, `${detail.label} ·`);
    showHead(head, detail, load);
    showTrouble(trouble, detail);
    fill(story, panel("What happened", built(detail) ?? (detail.pruned ? pruned() : timeline(detail)), attemptTable(detail.attempts_made), notes(detail.notes)), detail.kind !== "masters" && measured(detail.facts));
    fill(about, panel("About", aboutFacts(detail)));
    // Of what went well one wants to see the picture, of all else what happened.
    const first = detail.state === "done" && detail.products.length ? products : record;
    if (trouble.nextElementSibling !== first) trouble.after(first);
    const now = JSON.stringify([detail.products, detail.outdated, detail.has_log, detail.fingerprint, detail.state === "running"]);
    if (now !== shownProducts) {
      shownProducts = now;
      fill(products, documents(detail, query.get("tab"), signal), outdated(detail));
    }
  }, signal);
  const soon = throttled(load, 400, signal);
  on("job", (event) => event.id === id && soon(), signal);
  on("changed", soon, signal);
  addEventListener("keydown", (event) => {
    if (!known || isWriting(event)) return;
    if (event.key === "r") act(known, "retry", load);
    if (event.key === "Escape" && !event.target.closest?.(".viewer")) history.back();
  }, { signal });
  if (Number.isSafeInteger(id) && id > 0) load();
  else fill(place, empty(`There is no job '${parts[0] ?? ""}'. `, element("a", { href: link("jobs") }, "All jobs")));
  return { title: `Job ${parts[0] ?? ""}`, node };
}

const ACTIONS = {
  retry: ["Retry", "is back in the queue."],
  drop: ["Drop", "was dropped."],
  requeue: ["Do again", "is done again; what it makes replaces what there is."],
};

async function act(detail, what, load) {
  if (!possible(detail).includes(what)) return;
  if (what === "drop" && !(await confirmed(`Drop ${detail.label}?`, "Nothing more will be done with it. It can be retried later.", { yes: "Drop it", dangerous: true }))) return;
  const answer = await change("POST", `/api/jobs/${detail.id}/${what}`, {}, { done: `${detail.label} ${ACTIONS[what][1]}` });
  if (what === "requeue" && answer?.jobs?.length) go("job", answer.jobs[0]);
  else load();
}

function possible({ state }) {
  return {
    failed: ["retry", "drop"], dropped: ["retry"], skipped: ["retry", "requeue"], done: ["requeue"], queued: ["drop"], waiting: ["drop"], running: [],
  }[state];
}

function showHead(head, detail, load) {
  const target = [detail.object, detail.filter, detail.exposure_time ? `${number(detail.exposure_time)} s` : ""].filter(Boolean).join(" · ");
  const focused = head.contains(document.activeElement) ? document.activeElement.dataset.action : null;
  fill(
    head,
    stateMark(detail.state),
    element("h1", {}, detail.label),
    target && element("span.soft", {}, target),
    element(
      "div.buttons",
      {},
      possible(detail).map((what) =>
        element(
          what === "retry" ? "button.primary" : what === "drop" ? "button.danger" : "button",
          { type: "button", "data-action": what, title: what === "retry" ? "Key: r" : null, click: () => act(detail, what, load) },
          ACTIONS[what][0],
        ),
      ),
    ),
  );
  if (focused) head.querySelector(`[data-action="${focused}"]`)?.focus();
}

function showTrouble(place, detail) {
  const text = cause(detail) || (detail.state === "failed" ? detail.reason : "");
  if (!text || detail.state === "done") {
    fill(place, detail.reason && element("div.why", {}, detail.state === "done" ? "" : `${detail.state}: `, detail.reason));
    return;
  }
  const open = place.querySelector("details")?.open ?? false;
  const still = OPEN.includes(detail.state);
  const quiet = still || detail.state === "skipped";
  fill(
    place,
    element(
      quiet ? "div.trouble.quiet" : "div.trouble",
      { role: quiet ? "status" : "alert" },
      element("p", {}, detail.step && element("b", {}, `${detail.step}: `), text),
      still && element("p.soft", {}, "It is tried again", detail.not_before > 0 && detail.state === "queued" ? [" ", ageOf(detail.not_before)] : "", "."),
      detail.state === "failed" && element("p.soft", {}, `It was tried ${detail.attempts === 1 ? "once" : `${count(detail.attempts)} times`}, and waits for a person: look at the log and traceback, then retry or drop it.`),
      detail.traceback && element("details", { open }, element("summary", {}, "Traceback"), element("pre", { tabindex: "0" }, detail.traceback)),
    ),
  );
}

function pruned() {
  return empty("Its attempts, log and times of steps were removed, so long after its end (queue: keep).");
}

/** Files of earlier runs that the newest one has not made again. */
function outdated({ outdated: files }) {
  if (!files.length) return null;
  const made = (file) => ["made by ", element("a", { href: link("job", file.job) }, `job ${file.job}`), `; ${file.reason}`];
  const rows = files.map((file) => [element("span.mono", { title: `in ${file.destination}` }, file.name), made(file), size(file.size), download(file)]);
  const columns = [["File", "why"], ["Why", "why"], ["Size", "n"], ["", "n"]];
  const words = element("p.soft", {}, "Earlier runs of this image have made them, the newest has not. ", element("code", {}, "etendue queue outdated CONFIG --remove"), " removes them.");
  return panel(`Outdated files (${files.length})`, words, table(columns, rows, { caption: "Outdated files" }));
}

function notes(list) {
  return list.length ? element("ul.notes", {}, list.map((text) => element("li", {}, text))) : null;
}

function aboutFacts(detail) {
  const filtered = (query, text) => element("a", { href: link("jobs", query) }, text);
  return facts([
    ["Chain", element("a", { href: link("chains", detail.chain) }, detail.chain)],
    ["Source", filtered({ source: detail.source }, detail.source)],
    ["File", detail.path && element("span.mono", {}, detail.path)],
    ["Size", detail.size ? `${size(detail.size)}, changed ${moment(detail.mtime)}` : null],
    ["Night", detail.night && element("a", { href: link("nights", detail.night) }, detail.night)],
    ["Instrument", detail.instrument],
    ["Came in", [moment(detail.created), " (", ageOf(detail.created), ")"]],
    ["Begun", detail.started ? moment(detail.started) : null],
    ["Finished", detail.finished ? moment(detail.finished) : null],
    ["Not before", detail.not_before ? moment(detail.not_before) : null],
    ["Waits until", detail.deadline ? [moment(detail.deadline), " (", ageOf(detail.deadline), ")"] : null],
    ["Took", detail.seconds ? duration(detail.seconds) : null],
    ["Attempts", detail.attempts ? count(detail.attempts) + (detail.interruptions ? `, and ${count(detail.interruptions)} cut short by the end of a daemon` : "") : null],
    ["Daemon", detail.daemon && element("span.mono", {}, detail.daemon)],
    ["Memory", detail.memory ? size(detail.memory) : null],
    ["Priority", detail.priority ? number(detail.priority) : null],
    ["Done again", detail.generation ? `${count(detail.generation)} ×` : null],
    ["Chain version", detail.fingerprint && element("span.mono", {}, detail.fingerprint.slice(0, 12))],
  ]);
}

const FACTS = {
  seeing: ["Seeing", "arcsec"], fwhm: ["Width of stars (FWHM)", "px"], ellipticity: ["Ellipticity", ""], sky: ["Sky", "per px"], sky_noise: ["Noise of the sky", "per px"],
  background: ["Median of the raw pixels", ""], zero_point: ["Zero point", "mag"], n_sources: ["Sources", ""], limiting_magnitude: ["Limiting magnitude", "mag"],
  airmass: ["Airmass", ""], observation_time: ["Observed", ""], image_type: ["Type", ""], binning: ["Binning", ""],
  telescope: ["Telescope", ""], temperature: ["Temperature", "°C"],
};
const SHOWN_ABOVE = ["object_name", "filter", "exposure_time", "instrument", "night"];

/** Masters that a job of that kind has built, and what was decided about each; null if it has built none. */
function built({ kind, facts: known, instrument }) {
  const masters = (kind === "masters" && known.nights?.masters) || [];
  return masters.length ? masterList(masters.map((one) => ({ ...one, instrument, frames: one.frames?.length, path: one.name }))) : null;
}

/** What header and catalogue say of the frame. */
function measured(known) {
  const rest = Object.keys(known).filter((key) => !(key in FACTS) && !SHOWN_ABOVE.includes(key)).sort();
  const pairs = [...Object.keys(FACTS), ...rest]
    .filter((key) => known[key] !== null && known[key] !== undefined && typeof known[key] !== "object")
    .map((key) => {
      const [words, unit] = FACTS[key] ?? [key[0].toUpperCase() + key.slice(1).replaceAll("_", " "), ""];
      return [words, [number(known[key]).replace(/\+00:00$/, " UTC"), unit && element("span.soft", {}, ` ${unit}`)]];
    });
  return pairs.length ? panel("The frame", facts(pairs)) : null;
}

/** Picture, files, header, provenance, log, chain: whatever there is. */
function documents(detail, chosen, signal) {
  const image = detail.products.find((product) => product.kind === "image");
  const picture = detail.products.find((product) => product.kind === "picture");
  const choices = [
    image && ["picture", "Picture", () => viewer(detail.products.filter((product) => product.kind === "image"), signal)],
    !image && picture && ["picture", "Picture", () => plainPicture(picture, signal)],
    detail.products.length && ["products", `Files (${detail.products.length})`, () => productTable(detail.products)],
    image && ["header", "Header", () => lazily(() => get(`/api/products/${image.id}/header`, { signal }), (answer) => cardTable(answer.cards))],
    detail.path && ["raw", "Raw header", () => lazily(() => get(`/api/jobs/${detail.id}/raw-header`, { signal }), (answer) => cardTable(answer.cards))],
    image && ["provenance", "Provenance", () => lazily(() => get(`/api/products/${image.id}/provenance`, { signal }), provenanceList)],
    ["log", "Log", () => detail.pruned ? pruned() : lazily(() => get(`/api/jobs/${detail.id}/log`, { signal }), logText)],
    detail.chain_text && ["chain", "Chain as it was", () => element("pre", { tabindex: "0" }, pretty(detail.chain_text))],
    Object.keys(detail.payload).length && ["payload", "Work", () => element("pre", { tabindex: "0" }, JSON.stringify(detail.payload, null, 2))],
  ].filter(Boolean);
  return panelWith("Products and records", null, tabs("Products and records", choices, { chosen: chosen ?? (detail.products.length ? choices[0][0] : "log") }));
}

function plainPicture(product, signal) {
  return lazily(
    async () => {
      const answer = await fetched(`/api/products/${product.id}`, { signal });
      return createImageBitmap(await answer.blob());
    },
    (bitmap) => {
      const canvas = element("canvas.plain-picture", { width: bitmap.width, height: bitmap.height, role: "img", "aria-label": product.name });
      canvas.getContext("2d").drawImage(bitmap, 0, 0);
      return canvas;
    },
  );
}

function logText({ log, attempts }) {
  const earlier = attempts.map((text, k) => text && element("details", {}, element("summary", {}, `Attempt ${k + 1}`), element("pre.wrap", { tabindex: "0" }, text)));
  return element("div", {}, log ? element("pre.wrap", { tabindex: "0" }, log) : empty("The steps have said nothing."), earlier);
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
