/** What the browser keeps for us: on this device, or in this window. Where it may keep nothing, it is kept until the page is closed. */

const memory = new Map();

function place(keep) {
  try {
    return keep ? localStorage : sessionStorage;
  } catch {
    return null; // the browser is set to keep nothing
  }
}

/** What is kept under a key, or null. */
export function recall(key, keep) {
  return place(keep)?.getItem(key) ?? memory.get(`${keep} ${key}`) ?? null;
}

/** Keep a text; an empty one is forgotten. */
export function remember(key, text, keep) {
  memory.delete(`${keep} ${key}`);
  const storage = place(keep);
  if (!text) {
    storage?.removeItem(key);
    return;
  }
  try {
    if (!storage) throw new Error("nothing is kept");
    storage.setItem(key, text);
  } catch {
    memory.set(`${keep} ${key}`, text); // the storage is full, or there is none
  }
}
