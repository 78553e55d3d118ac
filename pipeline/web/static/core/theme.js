/** Light, dark, or as the device has it; and red on black for eyes that are used to the dark. */

import { recall, remember } from "./storage.js";

const KEY = "etendue.theme";
export const THEMES = [
  ["system", "As the device"],
  ["light", "Light"],
  ["dark", "Dark"],
  ["red", "Red, for the dome"],
];

/** The chosen theme. */
export function theme() {
  const known = recall(KEY, true);
  return THEMES.some(([name]) => name === known) ? known : "system";
}

/** Choose a theme, and remember it on this device. */
export function setTheme(name) {
  remember(KEY, name, true);
  applyTheme();
  dispatchEvent(new Event("themechange"));
}

/** Show the page in the chosen theme. */
export function applyTheme() {
  const name = theme();
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
}
