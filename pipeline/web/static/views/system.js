/** Versions, configuration, daemons, and who one is. */

import { forgetToken, onToken, token } from "../core/access.js";
import { fetched } from "../core/api.js";
import { askToken, change, confirmed, notice } from "../core/dialogs.js";
import { element, fill } from "../core/element.js";
import { count, moment, size } from "../core/format.js";
import { empty, loader } from "../core/loading.js";
import { onNow, refreshNow } from "../core/now.js";
import { link } from "../core/router.js";
import { setTheme, theme, THEMES } from "../core/theme.js";
import { facts, panel, panelWith, table } from "../parts/panel.js";
import { ageOf, sign } from "../parts/state.js";

const RIGHTS = { none: "look at nothing", read: "look at everything", change: "look at everything, retry, drop, pause and upload" };

export function system({ signal }) {
  const place = element("div");
  const access = element("div");
  const program = element("div");
  const versions = element("div");
  const daemons = element("div");
  const workers = element("div");
  const configuration = element("div");
  const problems = element("div");
  const content = element(
    "div.grid.even",
    {},
    element("div", {}, panel("Program", program), panel("Daemons on this queue", daemons), panel("Worker processes", workers), panel("Versions", versions)),
    element("div", {}, panel("Access", access), panel("Colours", colours()), panelWith("Configuration", reloadButton(problems), problems, configuration), panel("For programs", forPrograms())),
  );
  content.hidden = true;

  const load = loader(place, () => ["/api/system", {}], (answer) => {
    content.hidden = false;
    fill(access, accessLines(answer, load));
    fill(program, facts([
      ["Observatory", answer.name], ["Etendue", answer.version], ["Python", answer.python], ["Machine", answer.platform],
      ["Configuration", element("span.mono", {}, answer.configuration_file)], ["Queue", element("span.mono", {}, answer.queue)],
    ]));
    fill(versions, facts(Object.entries(answer.versions)));
    fill(configuration, element("pre", { tabindex: "0", "aria-label": "Configuration" }, JSON.stringify(answer.configuration, null, 2)));
  }, signal);
  onToken(load, signal);
  onNow((answer) => {
    fill(daemons, daemonTable(answer.daemons));
    fill(workers, workerTable(answer));
  }, signal);
  load();
  return { title: "System", node: element("div.system", {}, element("div.head", {}, element("h1", {}, "System")), place, content) };
}

function accessLines(answer, load) {
  const saving = answer.can_save_chains ? "You may save chains." : "To save a chain, a token with the right to change is needed.";
  return element(
    "div.stack",
    {},
    element("p", {}, answer.who ? element("b", {}, answer.who) : "You", ` may ${RIGHTS[answer.rights]}. `, saving),
    element(
      "div.buttons",
      {},
      element("button", { type: "button", click: () => askToken("Paste the token that you were given.").then((given) => given && load()) }, token() ? "Another token" : "Give a token"),
      token() && element("button", { type: "button", click: () => forgetToken() }, "Forget my token"),
    ),
  );
}

function colours() {
  const choice = element("select", { "aria-label": "Colours", change: () => setTheme(choice.value) }, THEMES.map(([name, words]) => element("option", { value: name, selected: theme() === name }, words)));
  return choice;
}

function reloadButton(problems) {
  return element("button.small", {
    type: "button",
    async click() {
      if (!(await confirmed("Read the configuration again?", "Changed chains are checked and taken over; jobs in work are finished with the old ones. What is wrong is refused, and the old one goes on.", { yes: "Read it again" }))) return;
      const answer = await change("POST", "/api/reload", {});
      if (!answer) return;
      fill(problems, answer.problems.length ? element("ul.problems", { role: "alert" }, answer.problems.map((text) => element("li.mono", {}, text))) : element("p.good", { role: "status" }, "It was read again and is in use."));
      refreshNow();
    },
  }, "Reload");
}

function daemonTable(daemons) {
  if (!daemons.length) return empty("No daemon is known.");
  return table(
    [["Host"], ["Process", "n"], ["Version"], ["Since", "nowrap"], ["Heard of", "nowrap"]],
    daemons.map((one) => [
      [one.host, one.self && element("span.soft", {}, " (this one)")], String(one.pid), one.version, moment(one.started),
      one.alive ? ageOf(one.last_seen) : element("span.bad", {}, sign("failed"), " ", ageOf(one.last_seen)),
    ]),
    { caption: "Daemons" },
  );
}

function workerTable(answer) {
  if (!answer.workers.length) return empty(`No worker has been started yet; there can be ${count(answer.worker_count)}.`);
  return table(
    [["Process", "n"], ["Image", "file"], ["Step"], ["Images", "n"], ["Memory", "n"]],
    answer.workers.map((worker) => [
      String(worker.pid),
      worker.job === null ? element("span.soft", {}, "nothing to do") : element("a", { href: link("job", worker.job) }, worker.label || `job ${worker.job}`),
      worker.step, count(worker.images), size(worker.resident),
    ]),
    { caption: "Workers" },
  );
}

/** A link does not show the token: with one, the answer is fetched, and opened from here. */
async function opened(event, href) {
  if (!token()) return;
  event.preventDefault();
  try {
    const answer = await fetched(href);
    const address = URL.createObjectURL(new Blob([await answer.text()], { type: "text/plain; charset=utf-8" }));
    window.open(address, "_blank");
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  } catch (error) {
    notice(error.message, { bad: true });
  }
}

function forPrograms() {
  const entry = (href, text) => {
    const anchor = element("a", { href, click: (event) => opened(event, href) }, element("code", {}, href));
    return element("li", {}, anchor, ` ${text}`);
  };
  return element(
    "ul.plain-list",
    {},
    entry("/openapi.json", "the JSON API, as an OpenAPI document"), entry("/metrics", "numbers for Prometheus"),
    entry("/healthz", "whether the daemon lives"), entry("/readyz", "whether it can work"), entry("/api/schema", "JSON Schema of chains, for editors"),
  );
}
