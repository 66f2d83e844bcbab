// SPDX-License-Identifier: BSD-3-Clause
// Pieces that several views are made of.

import { h } from "./dom.js";
import { explain } from "./explain.js";
import { count, visible } from "./text.js";

/** A table that becomes a list on narrow screens. name: the column that names the row. */
export function table({ caption, heads, rows, name = 0, id = null }) {
  return h("table", { role: "table", id },
    h("caption", {}, caption),
    h("thead", { role: "rowgroup" },
      h("tr", { role: "row" },
        heads.map((head) => h("th", { role: "columnheader", scope: "col" }, head)))),
    h("tbody", { role: "rowgroup" }, rows.map((row) => h("tr", { role: "row", ...row.props },
      row.map((cell, index) => (index === name
        ? h("th", { role: "rowheader", scope: "row" }, cell)
        : h("td", { role: "cell", "data-label": heads[index] }, cell)))))));
}

/** Names and what they stand for; what is empty is left out. */
export function facts(pairs) {
  return h("dl", {}, pairs
    .filter(([, value]) => ![null, undefined, false, ""].includes(value))
    .flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

/** A button that begins something; words: what it says. */
export function button(words, onclick, props = {}) {
  return h("button", { type: "button", onclick, ...props }, words);
}

/** A box with a coloured edge and a word that says the same. */
export function card(state, kind, ...children) {
  return h("div", { class: `card ${state}`, "data-state": state },
    h("p", { class: "kind" }, kind), children);
}

const MOST_FOUND = 8;
const RANK = { error: 0, warning: 1, info: 2 };
const WORD = { error: "Error", warning: "Warning", info: "Note" };

/** The findings of a check, the worst first. stops: errors among them stop the job. */
export function findings(found, { title = "What the check found", stops = true } = {}) {
  const sorted = [...found].sort((a, b) => (RANK[a.severity] ?? 3) - (RANK[b.severity] ?? 3));
  const many = (severity) => found.filter((each) => each.severity === severity).length;
  return h("section", { "aria-labelledby": "findings", key: "findings" },
    h("h2", { id: "findings" }, title),
    h("p", {}, found.length
      ? `${count(many("error"), "error")}, ${count(many("warning"), "warning")}, `
        + `${count(many("info"), "note")}.`
      : "Nothing speaks against it."),
    h("ul", { class: "findings" }, sorted.slice(0, MOST_FOUND).map((each) => finding(each, stops))),
    sorted.length > MOST_FOUND && h("details", {},
      h("summary", {}, `${sorted.length - MOST_FOUND} more`),
      h("ul", { class: "findings" }, sorted.slice(MOST_FOUND).map((each) => finding(each, stops)))));
}

function finding(found, stops) {
  return h("li", { class: `finding ${found.severity}`, "data-code": found.code },
    h("p", {}, h("strong", {}, WORD[found.severity] ?? found.severity,
      stops && found.severity === "error" && ": this stops the job"),
    found.where && h("span", { class: "soft" }, ` (${found.where})`)),
    h("p", {}, found.message),
    found.remedy && h("p", {}, h("span", { class: "soft" }, "What to do: "), found.remedy));
}

/** An error: what happened, the phone's words, what is on it, what to do. */
export function errorCard(error, kind = "It did not work") {
  return h("div", { class: "card failed", id: "error", "data-code": error.code, key: "error" },
    h("p", { class: "kind" }, kind),
    h("p", { class: "lines" }, h("strong", {}, error.message)),
    (error.device_log ?? []).map((line) =>
      h("p", {}, h("span", { class: "soft" }, "The phone said: "), h("q", {}, line))),
    error.state && h("p", {}, h("strong", {}, "On the phone now: "), error.state),
    error.remedies?.length > 0 && [
      h("p", {}, "What to do, most likely first:"),
      h("ol", {}, error.remedies.map((text) => h("li", {}, text))),
    ],
    error.code && h("p", { class: "actions" },
      h("span", { class: "soft" }, "Error code: "), h("code", {}, error.code), " ",
      button("Explain this", () => explain(error.code), { class: "quiet" })));
}

/** What the server would not do. */
export function refusal(error) {
  return error && h("div", { class: "card failed", role: "alert", key: "refusal" },
    h("p", { class: "kind" }, "That was not taken"), h("p", {}, error.message));
}

/** The plain command line of a job, to be copied. */
export function commandLine(command) {
  return h("div", { class: "command", key: "command" },
    h("p", { class: "soft", id: "command-about" },
      "The same on a command line, for a terminal or to ask somebody:"),
    h("pre", { tabindex: "0", role: "region", "aria-labelledby": "command-about" },
      h("code", { id: "command" }, command)),
    button("Copy it", (event) => copy(event.currentTarget, command), { class: "quiet" }));
}

async function copy(pressed, text) {
  try {
    await navigator.clipboard.writeText(visible(text));
    pressed.textContent = "Copied";
  } catch {
    const range = document.createRange();
    range.selectNodeContents(document.getElementById("command"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    pressed.textContent = "Marked: press Ctrl+C";
  }
}

/** A way back. */
export function back(href, words) {
  return h("p", { class: "back", key: "back" }, h("a", { href }, `\u2190 ${words}`));
}
