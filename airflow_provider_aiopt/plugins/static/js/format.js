/** Numbers as people read them, with units. */

const NONE = "–";
const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

const absent = (value) => value === null || value === undefined || Number.isNaN(value);

function digits(value, most) {
  return value.toLocaleString("en", { maximumFractionDigits: most, minimumFractionDigits: 0 });
}

/** @param {number|null|undefined} value */
export function count(value) {
  return absent(value) ? NONE : digits(value, Number.isInteger(value) ? 0 : 1);
}

/** Seconds as "350 ms", "4.2 s", "3 min 20 s" or "2 h 05 min".
 *  @param {number|null|undefined} value */
export function seconds(value) {
  if (absent(value)) return NONE;
  if (value === 0) return "0 s";
  const size = Math.abs(value);
  if (size < 0.001) return "< 1 ms";
  if (size < 0.9995) return `${digits(value * 1000, size < 0.01 ? 1 : 0)} ms`;
  if (size < 9.995) return `${digits(value, 2)} s`;
  if (size < 99.95) return `${digits(value, 1)} s`;
  return minutes(value < 0 ? "−" : "", Math.round(size));
}

function minutes(sign, whole) {
  const pad = (part) => String(part).padStart(2, "0");
  if (whole < 3600) return `${sign}${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  return `${sign}${digits(Math.floor(whole / 3600), 0)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
}

/** Seconds at a mark of an axis: "2 min" rather than "2 min 00 s".
 *  @param {number} value */
export function mark(value) {
  if (value < 60 || value % 60) return seconds(Number(value.toPrecision(6)));
  return value % 3600 ? (value < 3600 ? `${digits(value / 60, 0)} min` : seconds(value)) : `${digits(value / 3600, 0)} h`;
}

/** @param {number|null|undefined} value bytes */
export function bytes(value) {
  if (absent(value)) return NONE;
  let scaled = value;
  let unit = 0;
  while (scaled >= 1023.5 && unit < BYTE_UNITS.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  return `${digits(scaled, scaled < 100 && unit > 0 ? 1 : 0)} ${BYTE_UNITS[unit]}`;
}

/** @param {number|null|undefined} value 0 to 1 */
export function percent(value) {
  return absent(value) ? NONE : `${digits(value * 100, value < 0.1 ? 1 : 0)} %`;
}

/** @param {number|null|undefined} value records per second */
export function rate(value) {
  return absent(value) ? NONE : `${digits(value, value < 100 ? 1 : 0)}/s`;
}

/** UTC, to the second.
 *  @param {string|null|undefined} value ISO 8601 */
export function time(value) {
  if (!value) return NONE;
  return `${new Date(value).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** "06-15 10:00", for axes.
 *  @param {string|null|undefined} value ISO 8601 */
export function shortTime(value) {
  return value ? new Date(value).toISOString().slice(5, 16).replace("T", " ") : NONE;
}

/** The change from *before* to *after*, as "+12 %".
 *  @param {number|null|undefined} before
 *  @param {number|null|undefined} after */
export function change(before, after) {
  if (absent(before) || absent(after) || before === 0) return NONE;
  const ratio = (after - before) / before;
  return `${ratio > 0 ? "+" : ratio < 0 ? "−" : ""}${digits(Math.abs(ratio) * 100, 0)} %`;
}
