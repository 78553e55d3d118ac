/** Frames that make a master, and masters. */

import { element } from "../core/element.js";
import { count, duration, number, plural } from "../core/format.js";
import { link } from "../core/router.js";
import { decide } from "./decision.js";
import { table } from "./panel.js";
import { sign } from "./state.js";

const SIGN = {
  accepted: "done", reused: "done", built: "done", candidate: "warned", "not built": "failed", rejected: "failed",
  collecting: "waiting", "too few": "warned", held: "waiting", complete: "queued", building: "running",
};

/** Groups of calibration frames and how far they are. */
export function groupTable(groups) {
  const several = new Set(groups.map((group) => group.instrument)).size > 1;
  const columns = [["Group", "file"], ...(several ? [["Instrument"]] : []), ["Frames", "n"], ["State"], ["", "why"]];
  return table(
    columns,
    groups.map((group) => [
      group.label || group.kind,
      ...(several ? [group.instrument] : []),
      group.needed ? `${count(group.frames)} of ${count(group.needed)}` : count(group.frames),
      [element("span.state", { "data-state": SIGN[group.state] ?? "queued" }, sign(SIGN[group.state] ?? "queued"), group.state)],
      [group.reason, group.job ? element("a", { href: link("job", group.job) }, group.reason ? " job" : "job") : ""],
    ]),
    { caption: "Calibration frames" },
  );
}

/**
 * Masters with what they are made of and how they compare.
 *
 * @param {function} again is called when a person has decided on one that waited for it
 */
export function masterList(masters, again) {
  return element("div.masters", {}, masters.map((one) => master(one, again)));
}

function master(one, again) {
  const state = SIGN[one.status] ?? "queued";
  const numbers = Object.entries(one.numbers ?? {}).filter(([, value]) => value !== null && typeof value !== "object");
  return element(
    "div.master",
    {},
    element("div.first", {}, element("b", {}, one.label || one.kind), element("span.soft", {}, one.instrument)),
    element("div", {}, element("span.state", { "data-state": state }, sign(state), one.status), element("span.soft", {}, [one.frames ? ` ${plural(one.frames, "frame")}` : "", one.seconds ? `, ${duration(one.seconds)}` : ""].join(""))),
    (one.reasons ?? []).map((reason) => element("p", { class: state === "done" ? "soft" : "quiet" }, reason)),
    numbers.length > 0 && element("dl.facts", {}, numbers.map(([key, value]) => [element("dt", {}, key.replaceAll("_", " ")), element("dd", {}, number(value, 5))])),
    one.path && element("p.mono.soft.path", {}, one.path),
    one.job && element("a", { href: link("job", one.job) }, "The job that built it"),
    one.job && one.path && one.status === "candidate" && element(
      "div.buttons",
      {},
      element("button.primary", { type: "button", click: () => decide(one, "accept", again) }, "Accept …"),
      element("button.danger", { type: "button", click: () => decide(one, "reject", again) }, "Reject …"),
    ),
  );
}
