/** How numbers, times and sizes are written. */

const THIN = "\u202f";
let skew = 0;

/** Learn how far this device's clock is from that of the daemon [s since 1970]. */
export function setServerTime(seconds) {
  if (Number.isFinite(seconds)) skew = seconds - Date.now() / 1000;
}

/** The daemon's time [s since 1970]. */
export function serverNow() {
  return Date.now() / 1000 + skew;
}

const two = (n) => String(n).padStart(2, "0");

/** 2026-03-20 (UTC). */
function date(seconds) {
  const t = new Date(seconds * 1000);
  return `${t.getUTCFullYear()}-${two(t.getUTCMonth() + 1)}-${two(t.getUTCDate())}`;
}

/** 03:14:07 (UTC). */
export function clock(seconds, { withSeconds = true } = {}) {
  const t = new Date(seconds * 1000);
  const short = `${two(t.getUTCHours())}:${two(t.getUTCMinutes())}`;
  return withSeconds ? `${short}:${two(t.getUTCSeconds())}` : short;
}

/** 2026-03-20 03:14:07 UTC. */
export function moment(seconds) {
  return seconds ? `${date(seconds)} ${clock(seconds)} UTC` : "–";
}

/** A time of today by its hour, another one by its date, too. */
export function shortMoment(seconds) {
  if (!seconds) return "–";
  return date(seconds) === date(serverNow()) ? clock(seconds) : `${date(seconds)} ${clock(seconds, { withSeconds: false })}`;
}

/** 4 s, 3 min, 2 h, 5 d: how long ago, or how long still. */
export function span(seconds) {
  const s = Math.abs(seconds);
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 36 * 3600) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

/** "3 min ago", "in 20 s". */
export function age(seconds) {
  const past = serverNow() - seconds;
  if (past < -1.5) return `in ${span(past)}`;
  return past < 1.5 ? "now" : `${span(past)} ago`;
}

/** A measured duration: 340 ms, 1.24 s, 3 min 20 s. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 0.0005) return "0 ms";
  if (seconds < 0.9995) return `${significant(seconds * 1000, seconds < 0.00995 ? 2 : 3)} ms`;
  if (seconds < 60) return `${significant(seconds, 3)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return whole % 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole / 60} min`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

function significant(value, digits) {
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return value.toFixed(Math.min(decimals, 6));
}

/** 12 345. */
export function count(value) {
  if (value === null || value === undefined) return "–";
  const [whole, rest] = String(value).split(".");
  const grouped = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+(?!\d))/g, THIN) : whole;
  return rest ? `${grouped}.${rest}` : grouped;
}

/** 1.4 GB. */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  for (const [unit, factor] of [["TB", 1e12], ["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (bytes >= factor * 0.9995) return `${significant(bytes / factor, 3)} ${unit}`;
  }
  return `${Math.round(bytes)} B`;
}

/** A number of unknown meaning, as short as it can be without losing what matters. */
export function number(value, digits = 6) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return signed(String(value));
  const magnitude = Math.abs(value);
  const text = magnitude >= 1e7 || magnitude < 1e-4 ? value.toExponential(digits - 1) : value.toPrecision(digits);
  const [mantissa, exponent] = text.split("e");
  const shorter = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
  return signed(exponent ? `${shorter}e${exponent.replace("+", "")}` : shorter);
}

/** 12:34:56.78: an angle in its unit (degrees or hours), minutes and seconds, rounded as a whole. */
export function sexagesimal(value, decimals, { sign = false } = {}) {
  const scale = 10 ** decimals;
  const parts = Math.round(Math.abs(value) * 3600 * scale);
  const seconds = ((parts % (60 * scale)) / scale).toFixed(decimals).padStart(decimals ? 3 + decimals : 2, "0");
  const minutes = Math.floor(parts / (60 * scale));
  const whole = Math.floor(minutes / 60) % (sign ? Infinity : 24);
  return `${sign ? (value < 0 && parts ? "−" : "+") : ""}${two(whole)}:${two(minutes % 60)}:${seconds}`;
}

/** A real minus sign. */
export function signed(text) {
  return text.replace(/^-/, "−");
}

/** "1 image", "3 images". */
export function plural(n, word, words = `${word}s`) {
  return `${count(n)} ${n === 1 ? word : words}`;
}

/** What went wrong with a job, without the names that stand beside it anyway. */
export function cause({ label, path, step, error }) {
  let text = error;
  for (const name of [`image ${label}`, path, label, step]) if (name && text.startsWith(`${name}: `)) text = text.slice(name.length + 2);
  return text;
}
