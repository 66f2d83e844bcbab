// SPDX-License-Identifier: BSD-3-Clause
// What the phone's programmer said, line by line, as it comes.

import { h } from "./dom.js";
import { count, visible } from "./text.js";

const MOST = 2000;
const NEAR = 40; // pixels from its end, at which the log follows

/** The device log, folded; more: whether it is still growing. */
export function log(lines, more) {
  const told = lines.filter((line) => line.event === "device_log").map((line) => line.text);
  if (!told.length) return null;
  return h("details", { key: "log", id: "log" },
    h("summary", {}, `Device log: ${count(told.length, "line")}${more ? " so far" : ""}`),
    h("p", { class: "soft" }, "The phone\u2019s own words. Errors in it can be harmless: what counts "
      + "is told above."),
    h("div", {
      class: "log", role: "log", "aria-live": "off", tabindex: "0", "aria-label": "Device log",
      live: (element) => fill(element, told),
    }));
}

/** Add what is new; what is no longer kept is left as it is, up to MOST lines. */
function fill(element, told) {
  const known = element.told ?? [];
  const fresh = known.length <= told.length && known.at(-1) === told[known.length - 1]
    ? told.slice(known.length) : told;
  if (fresh === told) element.replaceChildren();
  const follows = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR;
  for (const text of fresh.slice(-MOST)) {
    const line = document.createElement("p");
    line.textContent = visible(text);
    element.append(line);
  }
  while (element.childElementCount > MOST) element.firstChild.remove();
  element.told = told;
  if (follows && fresh.length) element.scrollTop = element.scrollHeight;
}
