// SPDX-License-Identifier: BSD-3-Clause
// What becomes of a piece of storage: a sign, words, a pattern and a tone for each, as on the report
// pages. Neither the sign nor the pattern needs colour.

import { h, s } from "./dom.js";

const fate = (sign, words, pattern, tone) => ({ sign, words, pattern, tone });

export const FATES = {
  written: fate("W", "written and verified", "solid", "act"),
  sent: fate("S", "sent, not verified", "grid", "warn"),
  unchanged: fate("U", "was there already", "dots", "good"),
  resumed: fate("+", "there from the interrupted run", "dots", "good"),
  erased: fate("E", "erased", "grid", "act"),
  read: fate("R", "read into a file", "dots", "good"),
  failed: fate("!", "failed", "cross", "bad"),
  incomplete: fate("I", "incomplete: the job ended in the middle of it", "cross", "bad"),
  "not done": fate("N", "not done", "back", "warn"),
  program: fate("W", "to be written", "slash", "act"),
  erase: fate("E", "to be erased", "grid", "act"),
  readout: fate("R", "to be read into a file", "dots", "good"),
  equal: fate("=", "the same", "solid", "good"),
  different: fate("\u2260", "differs", "cross", "bad"),
  unique: fate("1", "exists only once", "bars", "own"),
  partition: fate("\u00b7", "partition", "none", "calm"),
  free: fate("", "in no partition", "none", "void"),
};

/** A small picture of a fate; its words stand beside it. */
export function swatch(key) {
  const { sign, pattern, tone } = FATES[key] ?? FATES.partition;
  return [
    s("svg", { class: "swatch", "aria-hidden": "true", focusable: "false" }, filled(tone, pattern)),
    h("span", { class: "sign", "aria-hidden": "true" }, sign),
  ];
}

/** Rectangles that fill all of their drawing. */
export function filled(tone, pattern) {
  const all = { width: "100%", height: "100%" };
  const drawn = pattern !== "solid" && pattern !== "none";
  return [
    s("rect", { class: tone, ...all }),
    drawn && s("rect", { fill: `url(#p-${pattern})`, ...all }),
  ];
}

/** A picture and the words. */
export function told(key, words = FATES[key]?.words ?? key) {
  return [swatch(key), " ", words];
}
