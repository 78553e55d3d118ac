/** The question whether a master may be used that differs from the last one: numbers, pictures, and who says so. */

import { fetched, get, isAbort } from "../core/api.js";
import { change, confirmed } from "../core/dialogs.js";
import { element, fill } from "../core/element.js";
import { number } from "../core/format.js";
import { empty, failed } from "../core/loading.js";

const SIDE = 800; // of a picture [px]

const WORDS = {
  accept: { title: "Accept", yes: "Accept it", done: "was accepted. It is used from now on, and frames that wait for it go on." },
  reject: { title: "Reject", yes: "Reject it", done: "was rejected. It is not used; its file remains." },
};

const FIGURES = {
  bad_fraction: "bad pixels", bad_fraction_increase: "increase of bad pixels", noise: "noise / that of the last one", level: "change of level [adu]", structure: "structure",
  illumination: "change of illumination", expected_noise: "expected noise", spread: "spread of the difference",
};

/**
 * Show a candidate beside the last master of its kind, and ask whether it shall be accepted or rejected.
 *
 * @param {Object} master of a night: label, path, job
 * @param {string} what "accept" or "reject"
 * @param {function} again is called when it was decided
 */
export async function decide(master, what, again) {
  const words = WORDS[what];
  const looked = new AbortController();
  const place = element("div", {}, element("p.empty", {}, "Comparing …"));
  const reason = element("input", { type: "text", maxlength: 300, autofocus: true });
  let base = "";
  compare(master, place, looked.signal, (found) => {
    base = found.base;
  });
  const yes = await confirmed(
    `${words.title} ${master.label}?`,
    element("div.decision", {}, place, element("label.stack", {}, "Why (it is noted in the file)", reason)),
    { yes: words.yes, dangerous: what === "reject" },
  );
  looked.abort();
  if (!yes) return;
  const body = { name: master.path, reason: reason.value.trim(), base };
  await change("POST", `/api/jobs/${master.job}/masters/${what}`, body, { done: `${master.label} ${words.done}` });
  again?.();
}

async function compare(master, place, signal, show) {
  const address = `/api/jobs/${master.job}/masters/comparison`;
  try {
    const found = await get(address, { query: { name: master.path }, signal });
    show(found);
    fill(
      place,
      found.reasons.map((reason) => element("p", { class: found.passed ? "" : "quiet" }, reason)),
      element(
        "div.beside-each-other",
        {},
        figure(master, "new", ["New: ", element("span.mono", {}, master.path)], signal),
        found.compared_with
          ? figure(master, "last", ["Last accepted: ", element("span.mono", {}, found.compared_with)], signal)
          : empty("It is the first of its kind: there is nothing to compare it with."),
      ),
      element("dl.facts", {}, Object.entries(found.figures).map(([key, value]) => [element("dt", {}, FIGURES[key] ?? key.replaceAll("_", " ")), element("dd", {}, number(value, 3))])),
    );
  } catch (error) {
    if (!isAbort(error)) fill(place, failed(error, () => compare(master, place, signal, show)));
  }
}

function figure(master, which, caption, signal) {
  const box = element("div.frame", {}, element("span.soft", {}, "…"));
  draw(master, which, box, signal);
  return element("figure.picture", {}, box, element("figcaption", {}, caption));
}

async function draw(master, which, box, signal) {
  try {
    const answer = await fetched(`/api/jobs/${master.job}/masters/picture`, { query: { name: master.path, which, size: SIDE }, signal });
    const picture = await createImageBitmap(await answer.blob());
    const canvas = element("canvas", { width: picture.width, height: picture.height, role: "img", "aria-label": which === "new" ? "The new master" : "The last accepted master" });
    canvas.getContext("2d").drawImage(picture, 0, 0);
    fill(box, canvas);
  } catch (error) {
    if (!isAbort(error)) fill(box, element("span.soft", { title: error.message }, "no picture"));
  }
}
