// SPDX-License-Identifier: BSD-3-Clause
// What can be done with a phone in EDL mode.

import { begin } from "./begin.js";
import { h } from "./dom.js";
import { path } from "./forms.js";
import { button } from "./parts.js";
import { to } from "./route.js";
import { loaderOf } from "./store.js";

// [key, words, why, kind of job, options]; without a kind: a form of its own, with that key
const DEEDS = [
  ["identify", "See what phone it is", "Chip, maker\u2019s key, serial number. Reads only.", "identify"],
  ["storage", "Look at the storage", "The map of its partitions. Reads only.", "storage"],
  ["health", "Is the storage worn out?",
    "Reads spots all over, twice: is the flash dead, or only the data on it wrong?", "health"],
  ["writes", "Does it still take writes?",
    "Worn-out flash refuses them first. A pattern goes to sectors that are blank and belong to "
    + "nothing; it asks before, and makes them blank again.", "health", { allow_write: true }],
  ["backup", "Back up\u2026", "Save what can be read, before anything is written."],
  ["package", "Write a package\u2026", "The stock ROM of exactly this model. You see the plan first."],
  ["boot-check", "Would it start?",
    "Looks at everything that the phone needs to start. Reads only.", "boot-check"],
  ["restore", "Write a backup back\u2026", "You see the plan first."],
  ["info", "Ask for all about it",
    "Also the storage, how worn it is, and what its loader can do. Reads only; needs a loader that "
    + "fits.", "info"],
  ["reset", "Restart the phone", "It leaves EDL mode and tries to start.", "reset", { to: "system" }],
];

/** All of it. job: the one that has the phone now, or null. */
export function deeds(phone, job, local) {
  const busy = job !== null || local.beginning === true;
  return h("section", { "aria-labelledby": "todo", key: "todo" },
    h("h2", { id: "todo" }, "What you can do"),
    h("p", { class: busy ? "soft" : "" }, busy
      ? "A job has the phone now. The next one can begin when it has ended."
      : "With a dead phone: first look, then save what is there, then write."),
    h("ol", { class: "deeds" }, DEEDS.map(([key, words, why, kind, options]) => h("li", { key },
      kind
        ? starting(phone, local, busy, { key, words, kind, options })
        : h("a", {
          class: "button", href: to("phone", phone.id, key), id: `do-${key}`,
          "aria-describedby": `why-${key}`,
        }, words),
      h("p", { class: "hint", id: `why-${key}` }, why)))),
    loader(phone));
}

function starting(phone, local, busy, { key, words, kind, options = {} }) {
  const run = () => {
    local.pressed = key;
    const path = document.getElementById("phone-loader").value.trim();
    const more = path && kind !== "identify" ? { loader: path } : {};
    begin(local, kind, phone.id, { ...options, ...more }, { stay: true });
  };
  // the one that was pressed keeps the focus, so it is not switched off as the others are
  return button(words, busy ? null : run, {
    id: `do-${key}`, disabled: busy && local.pressed !== key, "aria-disabled": busy ? "true" : null,
    "aria-describedby": `why-${key}`,
  });
}

function loader(phone) {
  return h("details", { key: `loader ${phone.serial}`, id: "loader-more" },
    h("summary", {}, "It says that it needs a loader?"),
    h("p", {}, "A loader (also: programmer, firehose) is a small program signed by the phone\u2019s "
      + "maker. Without it, the chip does not let anybody at the storage. It is in the stock ROM of "
      + "exactly this model, and called prog_*firehose*.mbn or .elf. Loaders that edl was given "
      + "before are found by itself."),
    path({
      id: "phone-loader", name: "loader", label: "Loader for the looks above", want: "file",
      title: "Choose a loader", kind: "loaders", value: loaderOf(phone.id),
      hint: "Empty: found by itself.",
    }));
}
