/**
 * The steps in the text of a chain, by their lines.
 *
 * A form changes single lines and leaves everything else as its author has written it, comments too. Steps are
 * found by their layout; whoever writes them otherwise (in braces, say) edits the text.
 */

const ITEM = /^(\s*)-(\s+)(?=\S)/;
const KEY = /^(\s*)(?:-\s+)?([A-Za-z_][\w-]*)\s*:(?:\s+(.*)|)$/;
const PLAIN = /^[A-Za-z_][\w ./-]*$/;
const WORDS = new Set(["true", "false", "null", "yes", "no", "on", "off", "~"]);

/**
 * All steps.
 *
 * @returns {Array} {line, end, indent, name, keys}: lines count from 0, `end` is the line after the last; keys are
 *     {line, end, value, isPlain} by name. `isPlain` values stand on one line.
 */
export function findSteps(text) {
  const lines = text.split("\n");
  const found = [];
  for (const [line, content] of lines.entries()) {
    const item = ITEM.exec(content);
    if (!item) continue;
    const indent = item[0].length;
    const keys = keysOf(lines, line, indent);
    if (!keys.map.has("class")) continue;
    const name = bare(keys.map.get("class").value);
    found.push({ line, end: keys.end, indent, name, keys: keys.map });
  }
  return found;
}

function keysOf(lines, first, indent) {
  const map = new Map();
  let end = first + 1;
  let last = null;
  for (let line = first; line < lines.length; line += 1) {
    const content = lines[line];
    if (content.trim() === "" || /^\s*#/.test(content)) continue;
    const depth = line === first ? indent : content.length - content.trimStart().length;
    if (depth < indent) break;
    end = line + 1;
    if (depth > indent || (line > first && content.trimStart().startsWith("- "))) {
      if (last) Object.assign(last, { end: line + 1, isPlain: false });
      continue;
    }
    const key = KEY.exec(content);
    if (!key) {
      if (last) Object.assign(last, { end: line + 1, isPlain: false });
      continue;
    }
    const [value] = withoutComment(key[3] ?? "");
    last = { line, end: line + 1, value, isPlain: !/^[|>&*!]/.test(value) && balanced(value) };
    map.set(key[2], last);
  }
  return { map, end };
}

/** A value and the comment behind it. */
function withoutComment(text) {
  let quote = "";
  for (let k = 0; k < text.length; k += 1) {
    const sign = text[k];
    if (quote) quote = sign === quote ? "" : quote;
    else if (sign === '"' || sign === "'") quote = sign;
    else if (sign === "#" && (k === 0 || /\s/.test(text[k - 1]))) return [text.slice(0, k).trimEnd(), text.slice(k)];
  }
  return [text.trimEnd(), ""];
}

/** Whether all brackets that a value opens are closed. */
function balanced(text) {
  const outside = text.replace(/"(?:[^"\\]|\\.)*"|'[^']*'/g, "");
  return (outside.match(/[[{]/g) ?? []).length === (outside.match(/[\]}]/g) ?? []).length;
}

/** Text without its quotes. */
export function bare(value) {
  if (/^".*"$/.test(value)) {
    try {
      return JSON.parse(value);
    } catch {
      return value;
    }
  }
  return /^'.*'$/.test(value) ? value.slice(1, -1).replaceAll("''", "'") : value;
}

/** Text in quotes, where it would be something else without them. */
export function quoted(text) {
  const isSafe = PLAIN.test(text) && !WORDS.has(text.toLowerCase()) && text === text.trim();
  return isSafe ? text : JSON.stringify(text);
}

/** The text with another value of a step's key; an empty value takes the key out. */
export function withValue(text, step, key, value) {
  const lines = text.split("\n");
  const known = step.keys.get(key);
  if (known) {
    if (!known.isPlain) return text;
    if (value === "" && known.line !== step.line) lines.splice(known.line, 1);
    else lines[known.line] = replaced(lines[known.line], value);
    return lines.join("\n");
  }
  if (value === "") return text;
  lines.splice(step.end, 0, `${" ".repeat(step.indent)}${key}: ${value}`);
  return lines.join("\n");
}

function replaced(content, value) {
  const [, start, rest] = /^(\s*(?:-\s+)?[A-Za-z_][\w-]*\s*:)(.*)$/.exec(content);
  const [, comment] = withoutComment(rest.trimStart());
  const gap = comment ? " ".repeat(Math.max(2, content.length - comment.length - start.length - 1 - value.length)) : "";
  return `${start} ${value}${gap}${comment}`;
}

/** The text with another step after `step`, or at the end. */
export function withStep(text, step, snippet) {
  const lines = text.replace(/\n+$/, "").split("\n");
  const indent = step ? step.indent - 2 : /^(\s*)-\s/.exec(lines.findLast?.((line) => /^\s*-\s/.test(line)) ?? "  - ")[1].length;
  const own = snippet.replace(/\n+$/, "").split("\n");
  const base = own[0].length - own[0].trimStart().length;
  const made = own.map((line) => " ".repeat(Math.max(0, indent)) + line.slice(base));
  const at = step ? step.end : lines.length;
  const before = lines[at - 1]?.trim() && step ? [""] : lines[at - 1]?.trim() ? [""] : [];
  lines.splice(at, 0, ...before, ...made);
  return { text: `${lines.join("\n")}\n`, line: at + before.length };
}
