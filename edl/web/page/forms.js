// SPDX-License-Identifier: BSD-3-Clause
// Fields of forms.

import { h } from "./dom.js";
import { choose, recent } from "./files.js";
import { button } from "./parts.js";
import { phoneOf, working } from "./store.js";
import { names } from "./text.js";

/** A line of text with a label and a hint. */
export function text({ id, name, label, hint, value = "", required = false, mode = "text" }) {
  return h("div", { class: "field", key: id },
    h("label", { for: id }, label),
    h("input", {
      id, name, value, required, autocomplete: "off", autocapitalize: "none", spellcheck: "false",
      "aria-describedby": hint ? `${id}-hint` : null, inputmode: mode,
    }),
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint));
}

/** A path with a window to choose it, and those used lately. want: `package`, `file`, `folder`. */
export function path(field) {
  const { id, want, title, kind } = field;
  const put = (value) => {
    const input = document.getElementById(id);
    input.value = value;
    input.focus();
  };
  const lately = kind ? recent(kind) : [];
  return h("div", { class: "field", key: id },
    h("label", { for: id }, field.label),
    h("div", { class: "row" },
      h("input", {
        id, name: field.name, value: field.value ?? "", required: field.required ?? false, dir: "ltr",
        autocomplete: "off", autocapitalize: "none", spellcheck: "false",
        "aria-describedby": `${id}-hint`,
      }),
      button("Browse\u2026", async () => {
        const start = document.getElementById(id).value;
        const chosen = await choose({ title, start: start || null, want });
        if (chosen !== null) put(chosen);
      }, { id: `${id}-browse`, "aria-label": `Browse: ${field.label}` })),
    h("p", { class: "hint", id: `${id}-hint` }, field.hint),
    lately.length > 0 && h("div", { class: "recent", key: "recent" },
      h("p", { class: "soft", id: `${id}-recent` }, "Used lately:"),
      h("ul", { "aria-labelledby": `${id}-recent` }, lately.map((each) =>
        h("li", { key: each }, button(each, () => put(each), { class: "quiet" }))))));
}

/** One of several, or a yes and no, as radio buttons. choices: [value, words, hint]. */
export function oneOf({ id, name, legend, choices, value }) {
  return h("fieldset", { key: id, id },
    h("legend", {}, legend),
    choices.map(([key, words, hint, disabled]) => h("div", { class: "choice", key },
      h("input", {
        type: "radio", id: `${id}-${key}`, name, value: key, checked: key === value,
        disabled: disabled ?? false, "aria-describedby": hint ? `${id}-${key}-hint` : null,
      }),
      h("label", { for: `${id}-${key}` }, words),
      hint && h("p", { class: "hint", id: `${id}-${key}-hint` }, hint))));
}

/** Something that is wanted or not. */
export function flag({ id, name, label, hint, checked = false }) {
  return h("div", { class: "choice", key: id },
    h("input", {
      type: "checkbox", id, name, checked, "aria-describedby": hint ? `${id}-hint` : null,
    }),
    h("label", { for: id }, label),
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint));
}

/** Why nothing can be begun with that phone now, or null. */
export function notNow(id) {
  const phone = phoneOf(id);
  if (phone?.mode !== "edl") return "The phone is not there in EDL mode now. Bring it into EDL mode.";
  return working(id) ? "A job has the phone now. This can begin when it has ended." : null;
}

/** The button that sends a form. wait: why it cannot be sent now, or null. */
export function submitting(id, words, wait, local) {
  return h("div", { key: "submit" },
    h("div", { class: "buttons" }, h("button", {
      type: "submit", id, class: "main", disabled: wait !== null || local.beginning === true,
    }, words)),
    wait && h("p", { class: "hint", role: "status" }, wait));
}

const LISTS = new Set(["only", "skip", "overwrite", "partitions"]);
const FLAGS = new Set(["allow_missing", "unique", "from_other_device", "again", "resume"]);

/** What a form says, as options of a job: what is empty is left out. */
export function options(form) {
  const found = {};
  for (const [key, value] of new FormData(form)) {
    const typed = value.trim();
    if (!typed) continue;
    if (LISTS.has(key)) found[key] = names(typed);
    else if (FLAGS.has(key)) found[key] = true;
    else if (key === "choose") found[key] = pairs(typed);
    else if (key === "count") found[key] = Number(typed);
    else if (key === "data") Object.assign(found, typed === "wipe" ? { wipe: true } : {});
    else found[key] = typed;
  }
  return found;
}

/** `NAME=VALUE, OTHER=VALUE` as an object. */
function pairs(typed) {
  return Object.fromEntries(typed.split(",").map((pair) => pair.trim()).filter(Boolean).map((pair) => {
    const at = pair.indexOf("=");
    return at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
  }));
}

/** The same as somebody would type it. */
export function asTyped(value) {
  if (Array.isArray(value)) return value.join(", ");
  if (value && typeof value === "object") {
    return Object.entries(value).map(([key, each]) => `${key}=${each}`).join(", ");
  }
  return value ?? "";
}
