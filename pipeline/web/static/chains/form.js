/** A form for one step, made from the JSON Schema of its processor. */

import { element, fill } from "../core/element.js";
import { written } from "../parts/documents.js";
import { bare, quoted } from "./lines.js";

const POLICY = ["name", "when", "on_error", "retry", "timeout"];

/**
 * The form of a step.
 *
 * @param {Object} schema the JSON Schema of chains
 * @param {Object} step as findSteps() finds it
 * @param {function} set is called with (key, value as YAML); an empty value takes the key out
 */
export function stepForm(schema, step, set) {
  const known = schema.$defs[`step.${step.name}`];
  if (!known) {
    return element("p.empty", {}, `There is no form for '${step.name}': no processor of this name is installed. Its parameters are edited in the text.`);
  }
  const keys = Object.keys(known.properties).filter((key) => key !== "class");
  const own = keys.filter((key) => !POLICY.includes(key));
  const [summary, ...rest] = known.description.split("\n\n");
  return element(
    "form.step-form",
    { submit: (event) => event.preventDefault(), "data-step": step.name },
    element("h3", {}, step.name),
    element("p", {}, tidy(summary)),
    rest.length > 0 && element("details", {}, element("summary", {}, "More"), rest.map((text) => element("p.doc", {}, tidy(text)))),
    own.map((key) => field(schema, key, known.properties[key], step, known.required?.includes(key), set)),
    own.length === 0 && element("p.soft", {}, "It has no parameters."),
    element("h4", {}, "How the step is treated"),
    POLICY.filter((key) => key in known.properties).map((key) => field(schema, key, known.properties[key], step, false, set)),
  );
}

/** Documentation without its markup. */
export function tidy(text) {
  return text.replace(/:[a-z]+:`~?([^`]*)`/g, (_, name) => name.split(".").at(-1)).replace(/``?([^`]+)``?/g, "$1").replace(/\s*\n\s*/g, " ");
}

function field(schema, key, property, step, required, set) {
  const kind = kindOf(schema, property);
  const written1 = step.keys.get(key);
  const id = `field-${key}`;
  const problem = element("p.bad", { role: "alert" });
  const control = written1 && !written1.isPlain ? null : made(kind, written1?.value ?? "", property, id, (value) => {
    const wrong = check(kind, value);
    fill(problem, wrong);
    if (!wrong) set(key, value);
  });
  return element(
    "div.field",
    { class: written1 ? "given" : "", "data-key": key },
    element("label", { for: id }, key, required && !written1 && element("span.bad", {}, " needed")),
    control ?? element("p.soft", { id }, "It is written over several lines; edit it in the text."),
    problem,
    property.description && element("p.soft", {}, property.description),
  );
}

/** What a value may be: {type, values, least, most, above, below}. */
function kindOf(schema, property) {
  const parts = flattened(schema, property);
  const values = parts.flatMap((part) => part.enum ?? ("const" in part ? [part.const] : []));
  const types = new Set(parts.map((part) => part.type).filter(Boolean));
  const simple = [...types].filter((type) => type !== "null");
  const number = parts.find((part) => part.type === "number" || part.type === "integer");
  if (values.length && simple.every((type) => type === "string")) return { type: "choice", values, nullable: types.has("null") };
  if (simple.length === 1 && simple[0] === "boolean") return { type: "choice", values: [true, false], nullable: types.has("null") };
  if (simple.length === 1 && number) {
    return { type: number.type, least: number.minimum, most: number.maximum, above: number.exclusiveMinimum, below: number.exclusiveMaximum, nullable: types.has("null") };
  }
  if (simple.length === 1 && simple[0] === "string") return { type: "string" };
  return { type: "yaml" };
}

function flattened(schema, property) {
  if (!property || typeof property !== "object") return [];
  if (property.$ref) {
    const name = property.$ref.split("/").at(-1);
    return name === "variable" ? [] : flattened(schema, schema.$defs[name]);
  }
  const choices = property.anyOf ?? property.oneOf;
  return choices ? choices.flatMap((part) => flattened(schema, part)) : [property];
}

function made(kind, value, property, id, changed) {
  const standard = "default" in property ? written(property.default) : "";
  if (kind.type === "choice") {
    const options = kind.values.map(written);
    if (kind.nullable) options.push("null");
    const now = bare(value);
    if (now && !options.includes(now)) options.push(now);
    const control = element(
      "select",
      { id, change: () => changed(control.value === "" ? "" : /^(true|false|null)$/.test(control.value) || control.value.includes("${") ? control.value : quoted(control.value)) },
      element("option", { value: "" }, standard === "" ? "–" : `${standard} (default)`),
      options.map((option) => element("option", { value: option, selected: option === now }, option)),
    );
    return control;
  }
  const text = kind.type === "string";
  const control = element("input", {
    id, type: "text", spellcheck: "false", autocomplete: "off", placeholder: standard, value: text ? bare(value) : value,
    inputmode: kind.type === "number" || kind.type === "integer" ? "decimal" : null,
    change: () => {
      const given = control.value.trim();
      changed(given === "" || !text ? given : quoted(given));
    },
  });
  return control;
}

/** What is wrong with a number, before anybody else says so; everything else is for the validation. */
function check(kind, value) {
  if (value === "" || value.includes("${") || (kind.nullable && value === "null")) return "";
  if (kind.type !== "number" && kind.type !== "integer") return "";
  const given = Number(value);
  if (!Number.isFinite(given)) return "This must be a number.";
  if (kind.type === "integer" && !Number.isInteger(given)) return "This must be a whole number.";
  if (kind.least !== undefined && given < kind.least) return `This must be at least ${kind.least}.`;
  if (kind.most !== undefined && given > kind.most) return `This must be at most ${kind.most}.`;
  if (kind.above !== undefined && given <= kind.above) return `This must be more than ${kind.above}.`;
  if (kind.below !== undefined && given >= kind.below) return `This must be less than ${kind.below}.`;
  return "";
}
