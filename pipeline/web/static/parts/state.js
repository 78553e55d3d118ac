/** States, by word, sign and colour: nobody has to tell colours apart. */

import { drawn, element } from "../core/element.js";
import { age, moment } from "../core/format.js";

export const STATES = ["running", "queued", "waiting", "done", "failed", "skipped", "dropped"];

const SIGNS = {
  queued: "M8 3.2a4.8 4.8 0 1 0 0 9.6a4.8 4.8 0 1 0 0-9.6",
  waiting: "M8 3.2a4.8 4.8 0 1 0 0 9.6a4.8 4.8 0 1 0 0-9.6M8 5.4V8.2l1.9 1.4",
  running: "M5 3.4v9.2l7.4-4.6z",
  done: "M3.4 8.4l3 3l6.2-6.6",
  skipped: "M3.6 8h8.8",
  failed: "M4.2 4.2l7.6 7.6M11.8 4.2l-7.6 7.6",
  dropped: "M8 3.2a4.8 4.8 0 1 0 0 9.6a4.8 4.8 0 1 0 0-9.6M4.8 4.8l6.4 6.4",
  warned: "M8 3L13.6 12.6H2.4zM8 6.6v2.6M8 10.8v.4",
};

/** The sign of a state. */
export function sign(state) {
  return drawn(
    "svg",
    { viewBox: "0 0 16 16", "aria-hidden": "true", class: `sign ${state in SIGNS ? state : "queued"}` },
    drawn("path", { d: SIGNS[state] ?? SIGNS.queued }),
  );
}

/** Sign and word of a state. */
export function stateMark(state) {
  return element("span.state", { "data-state": state }, sign(state), state);
}

/** A moment as its age, which grows while one looks; the exact time as a hint. */
export function ageOf(seconds) {
  if (!seconds) return element("span.soft", {}, "–");
  const text = age(seconds);
  return element("time", { "data-at": seconds, datetime: new Date(seconds * 1000).toISOString(), title: moment(seconds) }, text);
}

/** Keep ages true. */
export function startAges() {
  setInterval(() => {
    for (const time of document.querySelectorAll("time[data-at]")) {
      const text = age(Number(time.dataset.at));
      if (time.textContent !== text) time.textContent = text;
    }
  }, 1000);
}
