/** The editor of a chain: its text with what is wrong at its lines, forms for its steps, and its drawing. */

import { get, isAbort, send } from "../core/api.js";
import { change, confirmed, notice } from "../core/dialogs.js";
import { element, fill } from "../core/element.js";
import { plural } from "../core/format.js";
import { go } from "../core/router.js";
import { recall, remember } from "../core/storage.js";
import { tabs } from "../parts/panel.js";
import { sign } from "../parts/state.js";
import { stepForm } from "./form.js";
import { graph } from "./graph.js";
import { findSteps, withStep, withValue } from "./lines.js";
import { textField } from "./text.js";

const PAUSE = 350; // after the last key [ms]

/** An editor for a chain as the API gives it. */
export function editor(chain, signal) {
  const draftKey = `etendue.draft.${chain.name}`;
  let base = chain.base;
  let saved = chain.text;
  let schema = null;
  let problems = [];
  let timer = null;
  let asking = null;

  const field = textField(chain.text, { changed: edited, moved: showForm });
  const verdict = element("div.verdict", { role: "status" });
  const list = element("ol.problems");
  const form = element("div");
  const picture = element("div.drawing-place");
  const adder = element("select", { "aria-label": "Add a step", change: () => add(adder.value) }, element("option", { value: "" }, "Add a step …"));
  const save = element("button.primary", { type: "button", disabled: true, click: store }, "Save");
  const back = element("button", { type: "button", click: discard }, "Discard changes");
  const snippets = new Map();

  function edited() {
    const isChanged = field.text() !== saved;
    save.disabled = !isChanged || problems.length > 0 || !chain.can_be_saved;
    back.disabled = !isChanged;
    remember(draftKey, isChanged ? JSON.stringify({ base, text: field.text() }) : "", false);
    clearTimeout(timer);
    timer = setTimeout(validate, PAUSE);
  }

  async function validate() {
    asking?.abort();
    asking = new AbortController();
    const text = field.text();
    try {
      const answer = await send("POST", "/api/chains/validate", { text, name: chain.name }, { signal: asking.signal });
      if (signal.aborted || text !== field.text()) return;
      problems = answer.problems;
      show(answer);
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      fill(verdict, sign("failed"), " ", error.message);
    }
  }

  function show(answer) {
    field.mark(problems.filter((one) => !one.file));
    fill(
      verdict,
      sign(answer.valid ? "done" : "failed"),
      element("span", { class: answer.valid ? "good" : "bad" }, answer.valid ? "The chain is valid." : `${plural(problems.length, "problem")}.`),
    );
    fill(list, problems.map((problem) =>
      element("li", {}, element("button.problem", { type: "button", click: () => field.go(problem.line, problem.column) },
        element("span.mono", {}, problem.line ? `${problem.file ? `${problem.file}:` : ""}${problem.line}:${problem.column}` : problem.file || "–"),
        element("span", {}, problem.where && element("b", {}, `${problem.where}: `), problem.message))),
    ));
    if (answer.drawing) fill(picture, graph(answer.drawing, openStep));
    else if (!picture.children.length) fill(picture, element("p.empty", {}, "The drawing shows up when the chain is valid."));
    save.disabled = field.text() === saved || !answer.valid || !chain.can_be_saved;
  }

  /** Show the form of the step in which the cursor is. */
  function showForm() {
    if (!schema) return;
    const line = field.line();
    const steps = findSteps(field.text());
    const step = steps.findLast?.((one) => one.line <= line && line < one.end) ?? [...steps].reverse().find((one) => one.line <= line && line < one.end);
    if (form.contains(document.activeElement) && document.activeElement.closest("form")) return;
    if (!step) {
      fill(form, steps.length ? element("p.empty", {}, "Put the cursor into a step, or choose one:") : element("p.empty", {}, "The text has no steps yet."), stepButtons(steps));
      return;
    }
    fill(form, stepForm(schema, step, (key, value) => set(step.line, key, value)));
  }

  function stepButtons(steps) {
    return element("div.buttons", {}, steps.map((step) => element("button.small", { type: "button", click: () => field.go(step.line + 1, 1) }, step.name)));
  }

  function set(line, key, value) {
    const step = findSteps(field.text()).find((one) => one.line === line);
    if (!step) return;
    field.replace(withValue(field.text(), step, key, value));
    const now = findSteps(field.text()).find((one) => one.line === line);
    form.querySelector(`[data-key="${CSS.escape(key)}"]`)?.classList.toggle("given", now?.keys.has(key) ?? false);
  }

  function openStep(id) {
    const [, index] = /^steps\.(\d+)$/.exec(id) ?? [];
    const steps = findSteps(field.text());
    const outer = steps.filter((step) => step.indent === Math.min(...steps.map((one) => one.indent)));
    const step = index === undefined ? null : outer[Number(index)];
    if (!step) return;
    field.go(step.line + 1, 1);
    side.querySelector('[data-tab="form"]').click();
  }

  function add(name) {
    adder.value = "";
    if (!name) return;
    const line = field.line();
    const steps = findSteps(field.text());
    const step = steps.filter((one) => one.line <= line).at(-1) ?? steps.at(-1);
    const made = withStep(field.text(), step, snippets.get(name));
    field.replace(made.text);
    field.go(made.line + 1, 1);
  }

  async function store() {
    const text = field.text();
    const answer = await change("PUT", `/api/chains/${encodeURIComponent(chain.name)}`, { text, base });
    if (!answer) return;
    base = answer.base;
    saved = text;
    remember(draftKey, "", false);
    edited();
    if (answer.problems.length) notice(`Saved, but not in use: ${answer.problems.join("; ")}`, { bad: true });
    else notice(`${chain.name} is saved and in use. Images in work are finished with the old one.`);
  }

  async function discard() {
    if (!(await confirmed("Discard your changes?", "The text becomes again what is saved.", { yes: "Discard them", dangerous: true }))) return;
    remember(draftKey, "", false);
    field.replace(saved);
  }

  async function begin() {
    try {
      [schema] = await Promise.all([get("/api/schema", { signal }), fillSnippets()]);
      showForm();
    } catch (error) {
      if (!isAbort(error)) fill(form, element("p.bad", {}, error.message));
    }
  }

  async function fillSnippets() {
    const { processors } = await get("/api/processors", { signal });
    const kinds = [...new Set(processors.map((one) => one.kind))].sort();
    for (const one of processors) snippets.set(one.name, one.snippet);
    fill(adder, element("option", { value: "" }, "Add a step …"), kinds.map((kind) =>
      element("optgroup", { label: kind }, processors.filter((one) => one.kind === kind).map((one) => element("option", { value: one.name, title: one.summary }, one.name)))));
  }

  addEventListener("beforeunload", (event) => field.text() !== saved && event.preventDefault(), { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));

  const side = element("div.editor-side", {}, tabs("Step and drawing", [["form", "Form", () => form], ["graph", "Drawing", () => picture]]));
  const draft = readDraft(draftKey);
  const restored = draft && draft.base === base && draft.text !== saved;
  if (restored) field.replace(draft.text);
  else edited();
  begin();
  return element(
    "div.editor",
    {},
    element("div.editor-bar", {}, verdict, adder, element("div.buttons", {}, element("button.plain", { type: "button", click: () => go("chains", chain.name) }, "Close"), back, save)),
    restored && element("p.soft", {}, "Your changes from before are back; they are not saved yet."),
    !chain.can_be_saved && element("p.quiet", {}, "This is a built-in chain, or its file cannot be written: it can be tried here, but not saved. Copy the text into a file of your own and name that in the configuration."),
    element("div.editor-body", {}, element("div", {}, field.node, list), side),
  );
}

function readDraft(key) {
  try {
    return JSON.parse(recall(key, false));
  } catch {
    return null;
  }
}
