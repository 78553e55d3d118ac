/** What an operator must see on every view: why nothing is done. */

import { change } from "../core/dialogs.js";
import { element } from "../core/element.js";
import { plural } from "../core/format.js";
import { smallButton } from "./panel.js";
import { ageOf, sign } from "./state.js";

/** Lines about what holds the daemon. */
export function alarms(now) {
  return [
    ...now.holding.map((reason) => line("bad", "failed", "No work is begun: ", reason)),
    ...now.problems.map((problem) => line("bad", "failed", "Configuration: ", problem)),
    ...now.held.map(hold),
    ...now.sources.filter((source) => source.state !== "ok")
      .map((source) => line("bad", "failed", `Source ${source.name}: `, source.message || source.state)),
    now.draining && line("quiet", "waiting", "The daemon is about to end: ", "it finishes what runs and takes nothing new."),
    ...now.paused.map(pause),
  ];
}

function hold({ destination, reason, since, jobs }) {
  const waiting = `${plural(jobs, "job")} ${jobs === 1 ? "waits" : "wait"} for it, all others go on`;
  return line("bad", "failed", `Destination ${destination} is held: `, reason, ` (${waiting}; noticed `, ageOf(since), ")");
}

function line(kind, state, ...text) {
  return element(`div.alarm.${kind}`, { role: "alert" }, sign(state), element("p", {}, element("b", {}, text[0]), ...text.slice(1)));
}

function pause({ chain, reason, who, since }) {
  const resume = () => change("POST", "/api/resume", { chain }, { done: chain ? `${chain} goes on.` : "All chains go on." });
  return element(
    "div.alarm.quiet",
    {},
    sign("waiting"),
    element(
      "p",
      {},
      element("b", {}, chain ? `${chain} is paused` : "Everything is paused"),
      reason ? `: ${reason}` : "",
      " ",
      element("span.soft", {}, "(", who ? `${who}, ` : "", ageOf(since), ")"),
    ),
    smallButton("Resume", resume),
  );
}
