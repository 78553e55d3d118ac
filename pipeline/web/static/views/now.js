/** What happens now. */

import { askText, change, notice } from "../core/dialogs.js";
import { headers } from "../core/api.js";
import { element, fill, reconcile, say } from "../core/element.js";
import { age, cause, count, duration, plural, serverNow, size, span } from "../core/format.js";
import { on } from "../core/live.js";
import { empty, failed, loader, throttled } from "../core/loading.js";
import { onNow, refreshNow } from "../core/now.js";
import { link } from "../core/router.js";
import { panel, panelWith, smallButton } from "../parts/panel.js";
import { ageOf, sign } from "../parts/state.js";
import { stepTimes } from "../parts/step_times.js";
import { latestPictures } from "../parts/latest.js";

export function now({ signal }) {
  const tiles = element("div.tiles");
  const workers = element("tbody");
  const idle = element("p.soft");
  const steps = element("div");
  const sources = element("div.things");
  const machine = element("div.things");
  const pause = element("span");
  const problem = element("div");

  const content = element(
    "div.grid",
    {},
    element(
      "div.wide",
      {},
      lately("Failed", "failed", { nothing: "No failure waits for a person.", signal }),
      panelWith("In work", pause, workerTable(workers), idle),
      latestPictures(signal),
      panelWith("Time per step", element("span.soft", {}, "last 24 h: median, and what 95 % stay below"), steps),
    ),
    element("div.narrow", {}, panel("Sources", sources), panel("Machine", machine), lately("Done last", "done", { nothing: "Nothing is done yet.", signal })),
  );
  content.hidden = true;

  onNow(
    (answer) => {
      content.hidden = false;
      fill(problem);
      showTiles(tiles, answer);
      showWorkers(workers, idle, answer);
      fill(pause, pauseButton(answer));
      fill(steps, stepTimes(answer.steps));
      reconcile(sources, answer.sources, (source) => source.name, sourceLine);
      if (!answer.sources.length) fill(sources, empty("The configuration names no source."));
      fill(machine, machineLines(answer));
    },
    signal,
    (error) => fill(problem, failed(error, refreshNow)),
  );
  const tick = setInterval(() => {
    for (const cell of workers.querySelectorAll("[data-since]")) say(cell, duration(Math.max(0, serverNow() - Number(cell.dataset.since))));
  }, 500);
  signal.addEventListener("abort", () => clearInterval(tick));

  return { title: "Now", node: element("div.now", {}, element("h1.hidden", {}, "Now"), problem, tiles, content) };
}

function showTiles(place, answer) {
  const { counts, today } = answer;
  const late = answer.oldest_queued;
  const figures = [
    ["running", counts.running, "running", busy(answer), link("jobs", { state: "running" })],
    ["queued", counts.queued, "queued", late > 1 && counts.queued ? `the oldest for ${span(late)}` : "", link("jobs", { state: "queued" })],
    ["waiting", counts.waiting, "waiting", "for masters or frames", link("jobs", { state: "waiting" })],
    ["failed", counts.failed, "failed", counts.failed ? `${counts.failed === 1 ? "waits" : "wait"} for a person` : "nothing to do", link("jobs", { state: "failed" })],
    ["done", today.done, "done today", [today.failed && `${count(today.failed)} failed`, today.skipped && `${count(today.skipped)} skipped`].filter(Boolean).join(", "), link("jobs", { state: "done" })],
    ["rate", Math.round(today.per_hour), "images per hour", "over the last hour", link("jobs", { state: "done" })],
  ];
  reconcile(place, figures, ([name]) => name, ([name]) => {
    const [number, word, more] = [element("b"), element("span"), element("small")];
    const tile = element("a.tile", { "data-tile": name }, number, word, more);
    tile.update = ([, value, words, rest, address]) => {
      tile.href = address;
      tile.classList.toggle("some", value > 0);
      say(number, count(value));
      say(word, words);
      say(more, rest ?? "");
    };
    return tile;
  });
  for (const [k, tile] of [...place.children].entries()) tile.update(figures[k]);
}

/** What the running ones are in: one more than there are workers may be taken already, so that none has to wait. */
function busy(answer) {
  const working = answer.workers.filter((worker) => worker.job !== null).length;
  const others = answer.daemons.filter((one) => one.alive).length > 1 ? " here" : "";
  const next = others ? 0 : Math.max(0, answer.counts.running - working);
  return `${working} of ${plural(answer.worker_count, "worker")}${others}${next && working ? `, ${count(next)} next` : ""}`;
}

function workerTable(body) {
  const columns = [["Image"], ["Step"], ["For", "n"], ["Memory", "n"], ["Images done", "n"]];
  return element(
    "div.scroll",
    {},
    element("table.workers", {}, element("thead", {}, element("tr", {}, columns.map(([title, kind]) => element("th", { scope: "col", class: kind }, title)))), body),
  );
}

/** A line for each worker, in the same order always: nothing on the page moves when one has nothing to do. */
function showWorkers(body, idle, answer) {
  reconcile(body, answer.workers, (worker) => worker.pid, (worker) => {
    const row = element("tr");
    row.update = (known) => {
      const busy = known.job !== null;
      fill(
        row,
        element("td.file", {}, busy ? element("a", { href: link("job", known.job) }, known.label || `job ${known.job}`) : element("span.soft", {}, "–")),
        element("td", {}, busy && (known.step || element("span.soft", {}, "starting"))),
        element("td.n", { "data-since": busy ? known.since : null }, busy && duration(Math.max(0, serverNow() - known.since))),
        element("td.n", {}, size(known.resident)),
        element("td.n.soft", {}, count(known.images)),
      );
    };
    row.update(worker);
    return row;
  });
  body.closest("table").hidden = !answer.workers.length;
  say(idle, answer.workers.some((worker) => worker.job !== null) ? "" : nothingToDo(answer));
}

function nothingToDo(answer) {
  if (answer.holding.length) return "No work is begun; the reason stands above.";
  if (answer.held.length) return "No image is in work; what waits for a destination stands above.";
  if (answer.paused.some((one) => one.chain === null)) return "Everything is paused.";
  return `${plural(answer.worker_count, "worker")} ready; no image is in work.`;
}

function pauseButton(answer) {
  if (answer.paused.some((one) => one.chain === null)) return null;
  return smallButton("Pause all", async () => {
    const reason = await askText("Pause all chains?", "Why? (others will read it)", { yes: "Pause all" });
    if (reason === null) return;
    await change("POST", "/api/pause", { chain: null, reason }, { done: "Paused: what runs is finished, nothing new is begun." });
    refreshNow();
  });
}

/** The last jobs of a state. */
function lately(title, state, { nothing, signal }) {
  const place = element("div");
  const list = element("div.lately");
  const load = loader(place, () => ["/api/jobs", { state, limit: 6, order: "newest" }], (page) => {
    reconcile(list, page.jobs, (job) => job.id, lateJob);
    fill(place, page.jobs.length ? list : empty(nothing));
    box.classList.toggle("alarmed", state === "failed" && page.jobs.length > 0);
    say(all, page.total > page.jobs.length ? `all ${count(page.total)}` : "all");
  }, signal);
  const all = element("a", { href: link("jobs", { state }) }, "all");
  const box = panelWith(title, all, place);
  const soon = throttled(load, 1500, signal);
  on("job", (job) => (job.state === state || list.querySelector(`[data-job="${Number(job.id)}"]`)) && soon(), signal);
  on("changed", soon, signal);
  load();
  return box;
}

function lateJob(job) {
  const node = element("div.late", { "data-job": job.id, class: job.state });
  node.update = (known) => {
    const bad = known.state === "failed";
    fill(
      node,
      sign(known.state),
      element("a.file", { href: link("job", known.id) }, known.label),
      element("span.soft", {}, bad ? ageOf(known.finished || known.changed) : duration(known.seconds)),
      bad && element("p", {}, known.step && element("b", {}, `${known.step}: `), cause(known) || known.reason),
      !bad && element("small.soft", {}, [known.object, known.filter].filter(Boolean).map((text) => `${text} · `), ageOf(known.finished || known.changed)),
      bad && smallButton("Retry", () => change("POST", `/api/jobs/${known.id}/retry`, {}, { done: `${known.label} is back in the queue.` })),
    );
  };
  node.update(job);
  return node;
}

function sourceLine(source) {
  const node = element("div.thing");
  node.update = (known) =>
    fill(
      node,
      element("div.first", {}, element("b", {}, known.name), element("span.soft", {}, known.kind), known.kind === "upload" && uploadButton(known.name)),
      element("div.soft.where", { title: known.where }, known.where),
      known.state === "ok"
        ? element("div", {}, known.count ? plural(known.count, "image") : "no image since the start", known.last ? ", the last " : "", known.last ? ageOf(known.last) : "")
        : element("div.bad", {}, sign("failed"), " ", known.message || known.state),
      known.waiting > 0 && element("div.soft", {}, `${plural(known.waiting, "file is", "files are")} not complete yet`),
      known.notes.length > 0 && element("ul.notes", {}, shortened(known.notes, 5).map((text) => element("li", {}, text.replace(`${known.where}/`, "")))),
    );
  node.update(source);
  return node;
}

/** The first of a list, and how many more there are. */
function shortened(list, most) {
  return list.length <= most ? list : [...list.slice(0, most), `and ${count(list.length - most)} more`];
}

function uploadButton(name) {
  const field = element("input", { type: "file", multiple: true, hidden: true });
  field.addEventListener("change", async () => {
    for (const file of field.files) await upload(name, file);
    field.value = "";
  });
  return [field, smallButton("Upload …", () => field.click())];
}

async function upload(source, file) {
  const path = `/api/upload/${encodeURIComponent(source)}?filename=${encodeURIComponent(file.name)}`;
  try {
    const answer = await fetch(path, { method: "POST", headers: headers({ "Content-Type": "application/octet-stream" }), body: file });
    const said = await answer.json();
    notice(answer.ok ? `${said.name} was taken.` : `${file.name}: ${said.error}`, { bad: !answer.ok });
  } catch {
    notice(`${file.name} could not be sent: the daemon does not answer.`, { bad: true });
  }
}

function machineLines(answer) {
  const { memory, disks, loop_lag: lag } = answer;
  return [
    memory.limit > 0 && meter("Memory for images", memory.used, memory.limit, `${size(memory.used)} of ${size(memory.limit)}`),
    memory.total > 0 &&
      meter("Memory of the machine", memory.total - memory.available, memory.total,
        `${size(memory.available)} free; workers ${size(memory.workers)}, daemon ${size(memory.daemon)}`),
    ...disks.map((disk) => {
      if (disk.reason) return element("div.thing", {}, element("div.first", {}, element("b", {}, disk.name)), element("div.bad", {}, sign("failed"), " ", disk.reason));
      if (disk.total === null || disk.free === null) {
        return element("div.thing", {}, element("div.first", {}, element("b", {}, disk.name)), element("div.soft.where", {}, disk.location));
      }
      return meter(disk.name, disk.total - disk.free, disk.total, `${size(disk.free)} free of ${size(disk.total)}`, disk.location);
    }),
    lag.samples > 0 && element("div.thing", {}, element("div.first", {}, element("b", {}, "Event loop"), element("span.soft", {}, `late by ${duration(lag.p99)} (99 %), ${duration(lag.longest)} at most`))),
    answer.daemons.length > 1 &&
      element("div.thing", {}, element("div.first", {}, element("b", {}, `${count(answer.daemons.length)} daemons`)),
        answer.daemons.map((one) => element("div", { class: one.alive ? "soft" : "bad" }, `${one.host}, pid ${one.pid}${one.self ? " (this one)" : ""}: ${one.alive ? "alive" : `not heard of, ${age(one.last_seen)}`}`))),
  ];
}

function meter(name, used, total, text, title) {
  const part = total > 0 ? Math.min(1, Math.max(0, used / total)) : 0;
  const bar = element("div.fill");
  bar.style.width = `${(100 * part).toFixed(1)}%`;
  return element(
    "div.thing",
    { title },
    element("div.first", {}, element("b", {}, name), element("span.soft", {}, text)),
    element("div.meter", { class: part > 0.95 ? "full" : part > 0.85 ? "nearly" : "", role: "meter", "aria-label": name, "aria-valuenow": Math.round(100 * part), "aria-valuemin": 0, "aria-valuemax": 100 }, bar),
  );
}
