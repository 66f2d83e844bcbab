// SPDX-License-Identifier: BSD-3-Clause
// The view of one phone: what is known of it, what can be done, and what came of that.

import { begin, look } from "./begin.js";
import { h } from "./dom.js";
import { path } from "./forms.js";
import { back, button, card, errorCard, refusal } from "./parts.js";
import { brief } from "./progress.js";
import * as results from "./results.js";
import { to } from "./route.js";
import { jobs, latest, loaderOf, phoneOf, working } from "./store.js";
import { sentence, size, when } from "./text.js";
import { kindOf, modeOf, phoneName, SMALL, stateOf, stopped, whereOf, WRITES } from "./words.js";

export const title = ({ words }) => sentence(phoneName(phoneOf(words[1])));

/** Look at once for jobs that were interrupted. */
export function enter() {
  look("jobs");
}

export function view({ words }, local) {
  const id = words[1];
  const phone = phoneOf(id);
  const job = working(id);
  if (!phone) return gone(id, job);
  const ready = phone.mode === "edl" && !phone.problem;
  return [
    back(to("phones"), "All phones"),
    h("h1", { tabindex: "-1" }, sentence(phoneName(phone))),
    h("p", { id: "mode", "data-mode": phone.mode }, h("strong", {}, sentence(modeOf(phone))),
      phone.chip && `; chip ${phone.chip}`, `; ${whereOf(phone)}`),
    phone.problem && h("div", { class: "card failed", key: "problem", id: "problem" },
      h("p", { class: "kind" }, "It cannot be used as it is"), h("p", {}, phone.problem)),
    refusal(local.error),
    h("div", { id: "working", key: "working" }, job && h("div", { class: "card plan" }, brief(job))),
    unfinished(phone, job, local),
    lastJob(id, job),
    phone.mode === "crash dump" && crashed(phone, job, local),
    phone.virtual && !["edl", "crash dump"].includes(phone.mode) && h("p", { key: "plug" },
      button("Bring the virtual phone into EDL mode",
        () => begin(local, "plug", id, {}, { stay: true }), { id: "plug", disabled: job !== null })),
    ready && todo(phone, job, local),
    known(id),
  ];
}

function gone(id, job) {
  return [
    back(to("phones"), "All phones"),
    h("h1", { tabindex: "-1" }, "This phone is not there now"),
    h("p", { id: "gone" }, "It was unplugged, has restarted, or changed its mode. When it is back in "
      + "EDL mode at the same place, it appears here by itself."),
    job && h("div", { class: "card plan", key: "working" }, brief(job)),
    known(id),
  ];
}

function todo(phone, job, local) {
  const { id } = phone;
  const busy = job !== null || local.beginning === true;
  const loader = () => {
    const path = document.getElementById("phone-loader").value.trim();
    return path ? { loader: path } : {};
  };
  const run = (kind, options = {}) => () => begin(local, kind, id,
    kind === "identify" ? options : { ...options, ...loader() }, { stay: true });
  const deed = (key, doing, why) =>
    h("li", { key }, doing, h("p", { class: "hint", id: `why-${key}` }, why));
  // the one that was pressed keeps the focus, so it is not switched off as the others are
  const act = (key, words, why, onclick) => deed(key, button(words, busy ? null : () => {
    local.pressed = key;
    onclick();
  }, {
    id: `do-${key}`, disabled: busy && local.pressed !== key, "aria-disabled": busy ? "true" : null,
    "aria-describedby": `why-${key}`,
  }), why);
  const lead = (key, words, why) => deed(key, h("a", {
    class: "button", href: to("phone", id, key), id: `do-${key}`, "aria-describedby": `why-${key}`,
  }, words), why);
  return h("section", { "aria-labelledby": "todo", key: "todo" },
    h("h2", { id: "todo" }, "What you can do"),
    busy && h("p", { class: "soft", key: "busy" },
      "A job has the phone now. The next one can begin when it has ended."),
    !busy && h("p", { key: "order" }, "With a dead phone: first look, then save what is there, then "
      + "write."),
    h("ol", { class: "deeds" },
      act("identify", "See what phone it is",
        "Chip, maker\u2019s key, serial number. Reads only.", run("identify")),
      act("storage", "Look at the storage",
        "The map of its partitions. Reads only.", run("storage")),
      act("health", "Is the storage worn out?",
        "Reads spots all over, twice: is the flash dead, or only the data on it wrong?",
        run("health")),
      act("writes", "Does it still take writes?",
        "Worn-out flash refuses them first. A pattern goes to sectors that are blank and belong to "
        + "nothing; it asks before, and makes them blank again.", run("health", { allow_write: true })),
      lead("backup", "Back up\u2026", "Save what can be read, before anything is written."),
      lead("package", "Write a package\u2026",
        "The stock ROM of exactly this model. You see the plan first."),
      act("boot-check", "Would it start?",
        "Looks at everything that the phone needs to start. Reads only.", run("boot-check")),
      lead("restore", "Write a backup back\u2026", "You see the plan first."),
      act("info", "Ask for all about it",
        "Also the storage, how worn it is, and what its loader can do. Reads only; needs a loader "
        + "that fits.", run("info")),
      act("reset", "Restart the phone", "It leaves EDL mode and tries to start.",
        run("reset", { to: "system" }))),
    h("details", { key: "loader", id: "loader-more" },
      h("summary", {}, "It says that it needs a loader?"),
      h("p", {}, "A loader (also: programmer, firehose) is a small program signed by the phone\u2019s "
        + "maker. Without it, the chip does not let anybody at the storage. It is in the stock ROM of "
        + "exactly this model, and called prog_*firehose*.mbn or .elf. Loaders that edl was given "
        + "before are found by itself."),
      path({
        id: "phone-loader", name: "loader", label: "Loader for the looks above", want: "file",
        title: "Choose a loader", kind: "loaders", value: loaderOf(id),
        hint: "Empty: found by itself.",
      })));
}

function crashed(phone, job, local) {
  return h("section", { class: "card unready", key: "crashed", id: "crashed" },
    h("p", { class: "kind" }, "This is a crash, and no EDL mode"),
    h("p", {}, "The software on the phone crashed, and the phone now offers a copy of its memory "
      + "(900E mode, crash dump). Nothing can be written like this. That is no damage by itself."),
    h("ol", {},
      h("li", {}, "Hold the power button for 15 seconds until it disappears here. Then enter EDL mode: "
        + "hold both volume keys while plugging it in."),
      h("li", {}, "Or restart it from here: ",
        button("Restart it", () => begin(local, "reset", phone.id, { to: "system" }, { stay: true }),
          { id: "do-reset", disabled: job !== null })),
      h("li", {}, "If it always comes back like this, its boot chain is damaged. Then EDL mode needs "
        + "the test points inside the phone, joined before power comes.")),
    h("p", { class: "soft" }, "For developers: ", h("code", {}, "edl ramdump"),
      " saves its memory, which a restart loses."));
}

function unfinished(phone, job, local) {
  const serial = phone.serial || phone.identity?.serial;
  const list = jobs().find((each) => each.kind === "jobs" && each.result)?.result.jobs ?? [];
  const mine = list.filter((each) => serial && each.serial === serial);
  if (!mine.length || phone.mode !== "edl" || job) return null;
  return h("section", { class: "card unready", key: "unfinished", id: "unfinished" },
    h("p", { class: "kind" }, "Something is unfinished on this phone"),
    h("ul", {}, mine.map((each) => h("li", { key: each.name },
      `${each.title || each.command || each.name}: ${size(each.done_bytes)} of `
      + `${size(each.change_bytes)} done`, each.begun && `, begun ${when(each.begun)}`))),
    h("p", {}, "Until it is finished, the phone is incomplete and may not start. Going on is mostly "
      + "the right thing: it writes what is missing, and verifies all of it."),
    button("Go on with it", () => begin(local, "resume", phone.id), { id: "do-resume", class: "main" }));
}

function lastJob(id, job) {
  const last = jobs().find((each) => each.phone === id && !SMALL.has(each.kind));
  if (job || !last) return null;
  const more = h("p", {}, h("a", { href: to("job", last.id) }, "All about this job"));
  if (last.error && !last.result) {
    return h("div", { key: "last", id: "last" },
      errorCard(last.error, `${kindOf(last)}: ${stopped(last) ? "stopped" : "it did not work"}`), more);
  }
  return (WRITES.has(last.kind) || last.kind === "backup") && h("div", { key: "last", id: "last" },
    card(last.error ? "unready" : "done", `Last job: ${kindOf(last)}`,
      h("p", {}, `${stateOf(last)}, ${when(last.ended)}. `), more));
}

/** Whether the phone was written after that job had looked at it. */
function stale(id, seen) {
  return jobs().some((each) => each.phone === id && WRITES.has(each.kind)
    && Number(each.id) > Number(seen.id));
}

function known(id) {
  const shown = [
    ["identity", "What phone it is", latest(id, "info", "identify"), results.identity],
    ["map", "Map of the storage", latest(id, "storage"), results.storage],
    ["health", "Health of the storage", latest(id, "health"), results.health],
    ["boot", "Would it start?", latest(id, "boot-check"), results.bootCheck],
  ];
  return shown.filter(([, , job]) => job).map(([key, words, job, drawn]) =>
    h("section", { key, "aria-labelledby": key, "data-result": job.kind },
      h("h2", { id: key }, words), drawn(job.result),
      h("p", { class: "soft" }, `Looked at ${when(job.ended)}. `,
        stale(id, job) && h("strong", {}, "The phone was written since: look again. "),
        h("a", { href: to("job", job.id), "aria-label": `All about this job: ${words}` },
          "All about this job"))));
}
