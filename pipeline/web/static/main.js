/** The page: its head, its alarms, and the view that the address names. */

import { onToken } from "./core/access.js";
import { element, fill, say } from "./core/element.js";
import { clock, serverNow } from "./core/format.js";
import { startKeys } from "./core/keys.js";
import { liveState, on, startListening } from "./core/live.js";
import { onNow, refreshNow, startNow } from "./core/now.js";
import { startRouter } from "./core/router.js";
import { applyTheme, setTheme, theme, THEMES } from "./core/theme.js";
import { alarms } from "./parts/alarms.js";
import { startAges } from "./parts/state.js";
import { chains } from "./views/chains.js";
import { job } from "./views/job.js";
import { jobs } from "./views/jobs.js";
import { nights } from "./views/nights.js";
import { now } from "./views/now.js";
import { system } from "./views/system.js";

const NAMES = { live: "live", connecting: "connecting", lost: "reconnecting", refused: "token needed" };
const at = (id) => document.getElementById(id);

let observatory = "Etendue";
let title = "";

function showTitle(failed = 0) {
  document.title = `${failed ? `(${failed} failed) ` : ""}${title} · ${observatory}`;
}

function showView(name, viewTitle) {
  title = viewTitle;
  showTitle();
  const tab = name === "job" ? "jobs" : name;
  for (const anchor of at("nav").children) {
    if (anchor.dataset.view === tab) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
}

function showLive() {
  const state = liveState();
  at("live").dataset.state = state;
  fill(at("live"), element("span.dot", {}), NAMES[state]);
}

function showTheme() {
  const [, words] = THEMES.find(([name]) => name === theme());
  fill(at("theme"), element(`span.theme-sign.${theme()}`, { "aria-hidden": "true" }));
  at("theme").title = `Colours: ${words}. Press to change`;
  at("theme").setAttribute("aria-label", at("theme").title);
}

function nextTheme() {
  const names = THEMES.map(([name]) => name);
  setTheme(names[(names.indexOf(theme()) + 1) % names.length]);
  showTheme();
}

applyTheme();
showTheme();
at("theme").addEventListener("click", nextTheme);
at("skip").addEventListener("click", (event) => {
  event.preventDefault();
  at("main").focus();
});
on("state", showLive);
showLive();
onNow((answer) => {
  observatory = answer.name;
  say(at("name").querySelector("span"), answer.name);
  fill(at("alarms"), alarms(answer));
  showTitle(answer.counts.failed);
});
onToken(refreshNow);
setInterval(() => say(at("clock"), `${clock(serverNow())} UTC`), 500);
startAges();
startKeys();
startNow();
startListening();
startRouter(at("main"), { now, jobs, job, nights, chains, system }, showView);

