// SPDX-License-Identifier: BSD-3-Clause
// Numbers, times and names as people read them. Nothing here knows of the page.

// What a file's or phone's own words could use to look like something else: controls, marks that
// turn the direction of writing or take no room, lone surrogates.
const ODD =
  /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e0fff}]/gu;

const UNITS = [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]];

/** The text with everything that is not to be seen written out, such as \u202e. */
export function visible(text) {
  return String(text).replace(
    ODD, (odd) => `\\u${odd.codePointAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Bytes: `512 bytes`, `33 KiB`, `7.4 GiB`, as the command line has them. */
export function size(bytes) {
  if (!Number.isFinite(bytes)) return "";
  for (const [unit, name] of UNITS) {
    if (bytes >= unit) {
      const value = bytes / unit;
      return `${value.toFixed(value >= 99.95 || bytes % unit === 0 ? 0 : 1)} ${name}`;
    }
  }
  return count(bytes, "byte");
}

/** A number with its noun: `1 step`, `2 steps`, `3 boxes`. */
export function count(number, noun, several = `${noun}s`) {
  return `${number} ${number === 1 ? noun : several}`;
}

/** Seconds for people who wait: `4 s`, `3 min 20 s`, `2 h 5 min`. */
export function wait(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 59.5) return `${Math.max(0, Math.round(seconds))} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  if (minutes < 10) return `${minutes} min ${Math.round(seconds) % 60} s`;
  const all = Math.round(seconds / 60);
  return all < 60 ? `${all} min` : `${Math.floor(all / 60)} h ${all % 60} min`;
}

/** Bytes a second. */
export function speed(bytesPerSecond) {
  return `${size(Math.round(bytesPerSecond))} a second`;
}

/** A point in time, ISO 8601, in the reader's own time; as it is if it is none. */
export function when(iso) {
  const date = new Date(iso);
  if (!iso || Number.isNaN(date.getTime())) return iso ?? "";
  const two = (number) => String(number).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** Whole percent from 0 to 100, and 100 only when all is done. */
export function percent(done, total) {
  if (!(total > 0)) return 0;
  return done >= total ? 100 : Math.min(99, Math.floor((100 * done) / total));
}

/** Names in one line, at most so many of them. */
export function list(names, most = 12) {
  const more = names.length - most;
  return more > 0 ? `${names.slice(0, most).join(", ")} and ${more} more` : names.join(", ");
}

/** What somebody typed as names with commas or blanks between them. */
export function names(typed) {
  return typed.split(/[,\s]+/).filter(Boolean);
}

/** A first letter that begins a sentence. */
export function sentence(text) {
  return text ? text[0].toUpperCase() + text.slice(1) : "";
}
