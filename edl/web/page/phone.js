// SPDX-License-Identifier: BSD-3-Clause
// The view of one phone: what is known of it, what can be done, and what came of that.

import { begin, look } from "./begin.js";
import { deeds } from "./deeds.js";
import { h } from "./dom.js";
import { back, button, card, errorCard, refusal } from "./parts.js";
import { brief } from "./progress.js";
import * as results from "./results.js";
import { to } from "./route.js";
import { jobs, jobsOf, latest, phoneOf, working } from "./store.js";
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
    ready && deeds(phone, job, local),
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
  const last = jobsOf(id).find((each) => !SMALL.has(each.kind));
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
  return jobsOf(id).some((each) => WRITES.has(each.kind) && Number(each.id) > Number(seen.id));
}

/** Of which phone it was, where the one that is there now does not tell who it is. */
function whose(id, job) {
  return job.serial && !phoneOf(id)?.serial ? `, on phone ${job.serial}` : "";
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
      h("p", { class: "soft" }, `Looked at ${when(job.ended)}${whose(id, job)}. `,
        stale(id, job) && h("strong", {}, "The phone was written since: look again. "),
        h("a", { href: to("job", job.id), "aria-label": `All about this job: ${words}` },
          "All about this job"))));
}
