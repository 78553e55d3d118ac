/** Nights: frames, masters, and how good the frames were. */

import { element, fill } from "../core/element.js";
import { count, plural } from "../core/format.js";
import { on } from "../core/live.js";
import { empty, loader, throttled } from "../core/loading.js";
import { go, link } from "../core/router.js";
import { groupTable, masterList } from "../parts/masters.js";
import { panel, panelWith } from "../parts/panel.js";
import { legend, plot, styles } from "../parts/plot.js";
import { sign, STATES } from "../parts/state.js";

const PLOTS = [
  { key: "seeing", title: "Seeing", unit: "arcsec", zero: true },
  { key: "fwhm", title: "Width of stars (FWHM)", unit: "px", zero: true, unless: "seeing" },
  { key: "sky", title: "Sky", unit: "per px" },
  { key: "zero_point", title: "Zero point", unit: "mag" },
  { key: "limiting_magnitude", title: "Limiting magnitude", unit: "mag" },
  { key: "n_sources", title: "Sources", unit: "", zero: true },
  { key: "airmass", title: "Airmass", unit: "", downwards: true },
];

export function nights({ parts, query, signal }) {
  return parts[0] ? oneNight(parts[0], query, signal) : allNights(signal);
}

function allNights(signal) {
  const place = element("div");
  const list = element("div.cards");
  const load = loader(place, () => ["/api/nights", {}], (answer) => {
    fill(list, answer.nights.map(nightCard));
    fill(place, answer.nights.length ? list : empty("No night yet. Frames whose headers tell when they were taken are grouped by night."));
  }, signal);
  const soon = throttled(load, 3000, signal);
  on("job", soon, signal);
  on("changed", soon, signal);
  load();
  return { title: "Nights", node: element("div", {}, element("div.head", {}, element("h1", {}, "Nights")), place) };
}

function nightCard(night) {
  return element(
    "a.card",
    { href: link("nights", night.night) },
    element("b", {}, night.night),
    element("span.soft", {}, night.instruments.join(", ")),
    element("div.counts", {}, counts(night.counts)),
    element("span.soft", {}, kinds(night.kinds)),
  );
}

function kinds(known) {
  const words = { image: ["image", "images"], frame: ["calibration frame", "calibration frames"], masters: ["master job", "master jobs"], tick: ["run", "runs"] };
  return Object.entries(known).filter(([, n]) => n).map(([kind, n]) => plural(n, ...(words[kind] ?? [kind, kind]))).join(", ");
}

function counts(known) {
  return STATES.filter((state) => known[state]).map((state) => element("span.state", { "data-state": state, title: state }, sign(state), count(known[state])));
}

function oneNight(night, query, signal) {
  const place = element("div");
  const summary = element("div.counts");
  const groups = element("div");
  const masters = element("div");
  const plots = element("div");
  const head = element("div.head", {}, element("h1", {}, `Night of ${night}`), element("span.soft"), summary, element("div.buttons", {}, element("a.button", { href: link("jobs", { night }) }, "Jobs of this night")));
  const lacking = element("div");
  const content = element("div", {}, lacking, plots, panel("Calibration frames", groups), panel("Masters", masters));
  content.hidden = true;
  let shown = "";
  let shownMasters = "";

  const load = loader(place, () => [`/api/nights/${encodeURIComponent(night)}`, {}], (answer) => {
    content.hidden = false;
    fill(head.querySelector("span.soft"), answer.instruments.join(", "));
    fill(summary, counts(answer.counts));
    const waiting = Object.entries(answer.lacking ?? {});
    fill(lacking, waiting.length > 0 && element("div.trouble.quiet", {}, waiting.map(([reason, n]) => element("p", {}, element("b", {}, plural(n, "science frame")), n === 1 ? " waits for " : " wait for ", reason.replace(/^waits? for /, "")))));
    fill(groups, answer.groups.length ? groupTable(answer.groups) : empty("No calibration frames came in."));
    const built = JSON.stringify(answer.masters);
    // Nobody's button goes away while it is pressed.
    if (built !== shownMasters) fill(masters, answer.masters.length ? masterList(answer.masters, load) : empty("No master was built from the frames of this night."));
    shownMasters = built;
    const series = JSON.stringify(answer.series);
    if (series !== shown) fill(plots, qualityPlots(answer.series));
    shown = series;
  }, signal);
  const soon = throttled(load, 3000, signal);
  on("job", (job) => job.night === night && soon(), signal);
  on("changed", soon, signal);
  load();
  return { title: `Night of ${night}`, node: element("div.night", {}, element("div.crumbs", {}, element("a", { href: link("nights") }, "All nights")), head, place, content) };
}

function qualityPlots(series) {
  if (!series.length) return panel("Quality", empty("Plots of seeing, sky and zero point show up here as soon as frames of this night are done."));
  const has = (key) => series.some((point) => Number.isFinite(point[key]));
  const look = styles([...new Set(series.map((point) => point.filter))].sort());
  const drawings = PLOTS.filter((one) => has(one.key) && !(one.unless && has(one.unless))).map((one) =>
    plot({
      ...one,
      look,
      points: series.map((point) => ({
        time: point.time, value: point[one.key], set: point.filter, name: [point.object, point.label].filter(Boolean).join(" · "), open: () => go("job", point.job),
      })),
    }),
  );
  if (!drawings.some(Boolean)) return panel("Quality", empty("The frames carry no seeing, sky or zero point; the steps SepSourceDetection and FrameQuality measure them."));
  return panelWith(`Quality of ${plural(series.length, "frame")}`, legend(look), element("div.plots", {}, drawings));
}
