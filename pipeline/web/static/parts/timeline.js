/** The steps of a job with their times, and its attempts. */

import { element } from "../core/element.js";
import { duration, shortMoment } from "../core/format.js";
import { empty } from "../core/loading.js";
import { table } from "./panel.js";
import { ageOf, sign } from "./state.js";

const SIGN_OF = { done: "done", failed: "failed", skipped: "skipped", dropped: "skipped" };

/** The steps of the last attempt, one after the other. */
export function timeline(job) {
  const total = Math.max(job.timings.reduce((sum, timing) => sum + timing.seconds, 0), 1e-9);
  let begun = 0;
  const rows = job.timings.map((timing) => {
    const bar = element(`div.part.${SIGN_OF[timing.outcome] ?? "warned"}`);
    bar.style.marginLeft = `${(100 * begun) / total}%`;
    bar.style.width = `${(100 * timing.seconds) / total}%`;
    begun += timing.seconds;
    return element(
      "li.step-time",
      { title: `${timing.step}: ${timing.outcome}, ${duration(timing.seconds)}` },
      element("span.what", {}, sign(SIGN_OF[timing.outcome] ?? "warned"), " ", timing.step, timing.outcome !== "done" && element("small.soft", {}, ` ${timing.outcome}`)),
      element("div.track", { "aria-hidden": "true" }, bar),
      element("span.n", {}, duration(timing.seconds)),
    );
  });
  if (job.state === "running") {
    rows.push(element("li.step-time", {}, element("span.what", {}, sign("running"), " ", job.running_step || "starting"), element("div.track.busy", {}), element("span.n.soft", {}, "since ", ageOf(job.running_since || job.started))));
  }
  if (!rows.length) return empty(waiting(job));
  return element("ol.timeline", { "aria-label": "Steps" }, rows);
}

function waiting(job) {
  if (job.state === "queued") return job.not_before > 0 ? "It is tried again soon." : "It waits for a free worker.";
  if (job.state === "waiting") return job.reason ? `It ${job.reason.startsWith("waits") ? job.reason : `waits: ${job.reason}`}.` : "It waits.";
  return "No step was taken.";
}

/** All attempts, if there was more than one or it did not go well. */
export function attemptTable(attempts) {
  if (attempts.length < 2 && attempts.every((attempt) => attempt.outcome === "done")) return null;
  return element(
    "div.attempts",
    {},
    element("h3", {}, "Attempts"),
    table(
      [["", "n"], ["Begun"], ["Took", "n"], ["Outcome"], ["Why", "why"]],
      attempts.map((attempt) => [
        String(attempt.number),
        shortMoment(attempt.started),
        attempt.ended ? duration(attempt.seconds || attempt.ended - attempt.started) : "runs",
        attempt.outcome || "–",
        [attempt.step && attempt.error ? `${attempt.step}: ` : "", attempt.error],
      ]),
      { caption: "Attempts" },
    ),
  );
}
