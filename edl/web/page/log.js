// SPDX-License-Identifier: BSD-3-Clause
// What the phone's programmer said, line by line, as it comes.

import { h } from "./dom.js";
import { count, visible } from "./text.js";

const MOST = 2000;
const filled = new WeakMap(); // element → numbers of the first and last line in it
const NEAR = 40; // pixels from its end, at which the log follows

/** The device log, folded; more: whether it is still growing. */
export function log(lines, more) {
  const told = lines.filter((line) => line.event === "device_log");
  if (!told.length) return null;
  return h("details", { key: "log", id: "log" },
    h("summary", {}, told.length < MOST
      ? `Device log: ${count(told.length, "line")}${more ? " so far" : ""}`
      : `Device log: the last ${MOST} lines`),
    h("p", { class: "soft" }, "The phone\u2019s own words. Errors in it can be harmless: what counts "
      + "is told above."),
    h("div", {
      class: "log", role: "log", "aria-live": "off", tabindex: "0", "aria-label": "Device log",
      live: (element) => fill(element, told),
    }));
}

/** Add what is new; if lines came that are older than the first one, begin anew. */
function fill(element, told) {
  const shown = filled.get(element) ?? { first: Infinity, last: -1 };
  const anew = told[0].n < shown.first;
  if (anew) element.replaceChildren();
  const fresh = anew ? told.slice(-MOST) : told.filter((line) => line.n > shown.last);
  if (!fresh.length) return;
  const follows = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR;
  element.append(...fresh.map(({ text }) => {
    const line = document.createElement("p");
    line.textContent = visible(text);
    return line;
  }));
  while (element.childElementCount > MOST) element.firstChild.remove();
  filled.set(element, { first: anew ? told[0].n : shown.first, last: told.at(-1).n });
  if (follows) element.scrollTop = element.scrollHeight;
}
