/** The list of jobs: it grows as one scrolls, and changes as the daemon tells. */

import { get, isAbort } from "../core/api.js";
import { element, fill, say } from "../core/element.js";
import { cause, count, duration, plural } from "../core/format.js";
import { on } from "../core/live.js";
import { empty, failed, throttled } from "../core/loading.js";
import { link } from "../core/router.js";
import { ageOf, stateMark } from "./state.js";

const PAGE = 100;
const NARROW = matchMedia("(max-width: 760px)");

/**
 * A list of jobs.
 *
 * @param {function} query () -> query of /api/jobs without paging
 * @param {Object} options
 * @param {string} options.nothing what is said when there are none
 * @param {function} options.told is called with the number of jobs
 */
export function jobList(query, windowed, { nothing, told = () => {}, signal }) {
  let jobs = [];
  let next = null;
  let busy = false;
  let again = false;
  let generation = 0;
  const problem = element("div");
  const rows = windowed({
    key: (job) => job.id, create: row, height: () => (NARROW.matches ? 62 : 34), nearEnd: () => next && more(), signal,
  });
  const fresh = element("button.fresh", { type: "button", hidden: true, click: toTop });
  const node = element(
    "div.joblist",
    { role: "table", "aria-label": "Jobs" },
    element(
      "div.row.titles",
      { role: "row" },
      ["State", "Image", "Chain", "Source", "Night", "What", "Took", "Came in"].map((title) =>
        element("span", { role: "columnheader" }, title),
      ),
    ),
    fresh,
    rows.node,
    problem,
  );
  let unseen = 0;

  function toTop() {
    scrollTo({ top: 0 });
    unseen = 0;
    fresh.hidden = true;
  }
  addEventListener("scroll", () => rows.scrolled() < 40 && unseen && ((unseen = 0), (fresh.hidden = true)), { passive: true, signal });

  /** Ask for the first page, and put it before what is known already. */
  async function refresh() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    const mine = generation;
    try {
      const page = await get("/api/jobs", { query: { ...query(), limit: PAGE }, signal });
      if (mine === generation) take(page);
    } catch (error) {
      if (error.status === undefined && !isAbort(error)) throw error;
      if (!isAbort(error) && !jobs.length) fill(problem, failed(error, refresh));
    } finally {
      busy = false;
    }
    if (again && !signal.aborted) {
      again = false;
      refresh();
    }
  }

  function take(page) {
    const found = new Set(page.jobs.map((job) => job.id));
    const anchor = page.jobs.at(-1)?.id;
    const at = jobs.findIndex((job) => job.id === anchor);
    const tail = page.next && at >= 0 ? jobs.slice(at + 1).filter((job) => !found.has(job.id)) : [];
    const known = new Set(jobs.map((job) => job.id));
    const added = jobs.length ? page.jobs.findIndex((job) => known.has(job.id)) : 0;
    if (!tail.length) next = page.next;
    jobs = [...page.jobs, ...tail];
    fill(problem, !jobs.length && empty(nothing()));
    const scrolled = rows.scrolled();
    rows.show(jobs);
    if (added > 0 && scrolled > 40) {
      rows.shift(added);
      unseen += added;
      say(fresh, `${plural(unseen, "new job")} above`);
      fresh.hidden = false;
    }
    told(page.total);
  }

  async function more() {
    if (busy || !next) return;
    busy = true;
    const mine = generation;
    try {
      const page = await get("/api/jobs", { query: { ...query(), limit: PAGE, before: next }, signal });
      if (mine === generation) {
        const known = new Set(jobs.map((job) => job.id));
        next = page.next;
        jobs = [...jobs, ...page.jobs.filter((job) => !known.has(job.id))];
        rows.show(jobs);
        fill(problem);
      }
    } catch (error) {
      if (error.status === undefined && !isAbort(error)) throw error;
      if (!isAbort(error)) fill(problem, failed(error, more));
    } finally {
      busy = false;
    }
    if (again && !signal.aborted) {
      again = false;
      refresh();
    }
  }

  function told1(job) {
    const at = jobs.findIndex((known) => known.id === job.id);
    const states = query().state ?? [];
    if (at >= 0 && (!states.length || states.includes(job.state))) {
      jobs = jobs.with ? jobs.with(at, { ...jobs[at], ...job }) : jobs.map((j, k) => (k === at ? { ...j, ...job } : j));
      rows.show(jobs);
      if (jobs[at].state === job.state) return;
    }
    soon();
  }

  const soon = throttled(refresh, 700, signal);
  on("job", told1, signal);
  on("changed", soon, signal);

  return {
    node,
    refresh,
    /** Begin anew, for another filter. */
    reset() {
      generation += 1;
      [jobs, next, unseen] = [[], null, 0];
      fresh.hidden = true;
      rows.show(jobs);
      fill(problem, element("p.empty", {}, "Looking …"));
      again = busy;
      if (!busy) refresh();
    },
  };
}

/** A job in one line, on a phone in three short ones. */
function row(job) {
  const cells = Object.fromEntries(
    ["state", "image", "chain", "source", "night", "what", "took", "came"].map((name) => [name, element(`span.cell.${name}`, { role: "cell" })]),
  );
  const node = element("div.row", { role: "row" }, Object.values(cells));
  node.update = (known) => {
    node.dataset.state = known.state;
    fill(cells.state, stateMark(known.state));
    // A link that is in focus stays where it is.
    const anchor = cells.image.querySelector("a") ?? cells.image.appendChild(element("a.stretched"));
    anchor.href = link("job", known.id);
    say(anchor, known.label);
    const target = [known.object, known.filter].filter(Boolean).join(" · ");
    anchor.title = [known.path, target].filter(Boolean).join("\n");
    const about = cells.image.querySelector("small") ?? cells.image.appendChild(element("small"));
    say(about, target);
    say(cells.chain, known.chain);
    say(cells.source, known.source);
    say(cells.night, known.night);
    fill(cells.what, what(known));
    say(cells.took, known.seconds && !["queued", "waiting", "running"].includes(known.state) ? duration(known.seconds) : "");
    fill(cells.came, ageOf(known.created));
  };
  node.update(job);
  return node;
}

/** What is worth saying of a job besides its state. */
function what(job) {
  const tries = job.attempts > 1 ? `attempt ${count(job.attempts)}` : "";
  if (job.error && job.state !== "done") {
    const text = `${job.step ? `${job.step}: ` : ""}${cause(job)}`;
    return [element("span", { title: text, class: job.state === "failed" ? "bad" : "quiet" }, text)];
  }
  const text = job.reason || (job.state === "running" && job.step) || (job.kind === "masters" ? "masters of a night" : "");
  return [text && element("span", { title: text }, text), tries && element("small", {}, tries)];
}
