/** The daemon's JSON API, as everybody else has it. */

import { forgetToken, token } from "./access.js";

/** An answer that is none. */
class ApiError extends Error {
  constructor(status, message, detail) {
    super(message);
    this.status = status;
    this.detail = detail;
  }
}

/** Headers of a request: who asks, and that it is this page and no foreign one. */
export function headers(more = {}) {
  const known = token();
  return { "X-Etendue": "1", ...(known ? { Authorization: `Bearer ${known}` } : {}), ...more };
}

/** The address of something below /api, with a query; empty values are left out. */
function address(path, query = {}) {
  const parts = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) parts.append(key, one);
  }
  const text = parts.toString();
  return text ? `${path}?${text}` : path;
}

/** Look at something. */
export async function get(path, { query, signal } = {}) {
  const answer = await asked(address(path, query), { headers: headers(), signal });
  return answer.json();
}

/** Get something that is no JSON: a picture, a file, a log. */
export async function fetched(path, { query, signal } = {}) {
  return asked(address(path, query), { headers: headers(), signal });
}

/** Change something. */
export async function send(method, path, body = {}, { signal } = {}) {
  const answer = await asked(path, {
    method,
    headers: headers({ "Content-Type": "application/json" }),
    body: JSON.stringify(body),
    signal,
  });
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

async function asked(path, options) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The daemon does not answer. It may have ended, or the network is down.");
  }
  if (answer.ok) return answer;
  const problem = await problemOf(answer);
  if (answer.status === 401) forgetToken(problem.message);
  throw problem;
}

async function problemOf(answer) {
  const text = await answer.text();
  try {
    const { error, detail } = JSON.parse(text);
    return new ApiError(answer.status, sentence(error), detail);
  } catch {
    return new ApiError(answer.status, `The daemon answered ${answer.status} ${answer.statusText}.`);
  }
}

function sentence(error) {
  const text = typeof error === "string" && error ? error : "The daemon refused, and gave no reason.";
  return text[0].toUpperCase() + text.slice(1);
}

/** Whether an error only says that nobody waits for the answer any more. */
export function isAbort(error) {
  return error?.name === "AbortError";
}
