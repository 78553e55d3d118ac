/** Short notices, questions, and the request for a token. */

import { send } from "./api.js";
import { setToken, token, whyNoToken } from "./access.js";
import { element } from "./element.js";

const LONG_ENOUGH = 6_000;

/** Say something for some seconds; what went wrong stays until it is closed. */
export function notice(text, { bad = false } = {}) {
  const place = document.getElementById("notices");
  const close = element("button.plain", { type: "button", "aria-label": "Close", click: () => box.remove() }, "✕");
  const box = element(bad ? "div.notice.bad" : "div.notice", { role: bad ? "alert" : "status" }, element("span", {}, text), close);
  place.append(box);
  while (place.children.length > 4) place.firstElementChild.remove();
  if (!bad) setTimeout(() => box.remove(), LONG_ENOUGH);
}

/** A window that asks something; resolves to the text of the pressed button's value, or "" if it was closed. */
function asked(title, content, buttons, kind = "dialog") {
  return new Promise((resolve) => {
    const dialog = element(
      kind,
      { "aria-label": title },
      element(
        "form",
        { method: "dialog" },
        element("h2", {}, title),
        content,
        element("div.buttons", {}, buttons),
      ),
    );
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue);
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A button that is not what the Enter key in a field presses: that is the first one that submits. */
function other(words, value = "") {
  return element("button", { type: "button", click: (event) => event.currentTarget.closest("dialog").close(value) }, words);
}

/** Ask whether something shall be done; what is asked about is text, or a node that may be large. */
export async function confirmed(title, content, { yes, dangerous = false }) {
  const isText = typeof content === "string";
  const answer = await asked(title, isText ? element("p", {}, content) : content, [
    other("Cancel"),
    element(dangerous ? "button.danger" : "button.primary", { value: "yes", autofocus: isText }, yes),
  ], isText ? "dialog" : "dialog.wide");
  return answer === "yes";
}

/** Ask for a line of text; null if the question was closed. */
export async function askText(title, label, { yes, value = "" }) {
  const field = element("input", { type: "text", maxlength: 300, value, autofocus: true });
  const answer = await asked(title, element("label.stack", {}, label, field), [
    other("Cancel"),
    element("button.primary", { value: "yes" }, yes),
  ]);
  return answer === "yes" ? field.value.trim() : null;
}

let asking = null;

/** Ask for a token; true if one was given. Several who ask at once share one question. */
export function askToken(why) {
  asking ??= askTokenOnce(why).finally(() => {
    asking = null;
  });
  return asking;
}

async function askTokenOnce(why) {
  const field = element("input", {
    type: "password", autocomplete: "current-password", required: true, autofocus: true, spellcheck: "false",
  });
  const keep = element("input", { type: "checkbox" });
  const content = element(
    "div",
    {},
    element("p", {}, why),
    element("label.stack", {}, "Token", field),
    element("label.check", {}, keep, "Keep it on this device"),
    element("p.soft", {}, "The administrator makes one with ", element("code", {}, "etendue token NAME"), "."),
  );
  const answer = await asked("A token, please", content, [
    other("Cancel"),
    token() && other("Forget mine", "forget"),
    element("button.primary", { value: "yes" }, "Use it"),
  ]);
  if (answer === "forget") setToken("");
  if (answer !== "yes" || !field.value.trim()) return false;
  setToken(field.value.trim(), { keep: keep.checked });
  return true;
}

/**
 * Change something; ask for a token where one is needed, and say what went wrong.
 *
 * @returns the answer, or undefined if it could not be done
 */
export async function change(method, path, body, { done } = {}) {
  for (;;) {
    try {
      const answer = await send(method, path, body);
      if (done) notice(typeof done === "function" ? done(answer) : done);
      return answer;
    } catch (error) {
      if ((error.status === 401 || error.status === 403) && (await askToken(error.status === 401 ? whyNoToken() : error.message))) continue;
      notice(error.message, { bad: true });
      return undefined;
    }
  }
}
