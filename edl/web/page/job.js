// SPDX-License-Identifier: BSD-3-Clause
// The view of one job: how far it is, what came of it, what it told.

import { begin } from "./begin.js";
import { h } from "./dom.js";
import { log } from "./log.js";
import { back, button, commandLine, errorCard, facts, findings, refusal } from "./parts.js";
import * as plans from "./plan.js";
import { working } from "./progress.js";
import * as questions from "./questions.js";
import * as results from "./results.js";
import { to } from "./route.js";
import * as station from "./station.js";
import { linesOf, phoneOf, store } from "./store.js";
import { percent, sentence, when } from "./text.js";
import { kindOf, phoneName, stateOf, stopped } from "./words.js";

export const title = ({ words }) => {
  const job = store.jobs.get(words[1]);
  if (!job) return "Job";
  const { done_bytes: done, total_bytes: total } = job.progress ?? {};
  const far = !job.ended && total > 0 ? `${percent(done, total)} % ` : "";
  return `${far}${kindOf(job)}: ${stateOf(job)}`;
};

const MOST_NOTICES = 10;
const DRAWN = {
  identify: results.identity, info: results.identity, storage: results.storage,
  health: results.health, "boot-check": results.bootCheck, backup: results.backup,
  rawprogram: results.written, restore: results.written, resume: results.written,
  verify: results.compared, check: plans.checked,
};

export function view({ words }, local) {
  const job = store.jobs.get(words[1]);
  if (!job) {
    return [
      h("h1", { tabindex: "-1" }, "There is no such job"),
      h("p", {}, "edl web was started anew since then, or the job was removed from the list. What was "
        + "written is noted on this computer: look under \u201cJobs\u201d for what is unfinished."),
    ];
  }
  const lines = linesOf(job.id);
  const whose = who(job);
  return [
    job.phone ? back(to("phone", job.phone), `Back to ${whose}`) : back(to("jobs"), "All jobs"),
    h("h1", { tabindex: "-1", id: "job-title" }, kindOf(job), job.phone && ` \u2013 ${whose}`),
    h("p", { id: "job-state", "data-state": job.state, "data-job": job.id },
      h("strong", {}, stateOf(job)), `; begun ${when(job.begun)}`,
      job.ended && `, ended ${when(job.ended)}`),
    refusal(local.error),
    job.question && h("div", { class: "card unready", key: "asks", id: "asks" },
      h("p", { class: "kind" }, "It waits for your answer"),
      h("p", { class: "lines" }, job.question.text),
      button("Answer", () => questions.ask(job, nameOf(job)), { class: "main" })),
    !job.ended && !job.question && working(job, lines),
    job.error && errorCard(job.error, stopped(job) ? "Stopped"
      : job.kind === "station" && job.result ? "Not all phones are done" : "It did not work"),
    job.ended && after(job, local),
    outcome(job, lines, local),
    notices(lines, job),
    log(lines, !job.ended),
    h("section", { "aria-labelledby": "more", key: "more" },
      h("h2", { id: "more" }, "More"),
      job.report && job.kind !== "station" && h("p", {},
        h("a", { href: `reports/${encodeURIComponent(job.id)}`, id: "report" },
          "The report page of this job"), " (a page to keep or to show somebody)"),
      commandLine(job.command)),
  ];
}

/** What a job is called where its phone is not seen. */
export function nameOf(job) {
  return job.phone ? `${kindOf(job)} (${who(job)})` : kindOf(job);
}

function who(job) {
  const phone = phoneOf(job.phone);
  return job.serial ? `phone ${job.serial}` : phoneName(phone);
}

function outcome(job, lines, local) {
  const plan = lines.findLast((line) => line.type === "plan")?.plan;
  const found = lines.filter((line) => line.type === "finding");
  if (job.kind === "plan" || job.kind === "plan-restore" || job.kind === "check") {
    return [
      job.ended && job.kind !== "check" && plans.step(job, plan, local),
      job.kind === "check" && job.result && plans.checked(job.result),
      plan ? plans.drawn(plan) : found.length > 0 && findings(found),
    ];
  }
  if (job.kind === "station") return station.table(job, lines);
  return [
    job.result && DRAWN[job.kind] && [
      h("h2", { id: "outcome", key: "outcome" }, "What came of it"), DRAWN[job.kind](job.result),
    ],
    !job.result && results.parts(job.error?.parts),
    plan && h("details", { key: "plan", id: "plan" }, h("summary", {}, "The plan of this job"),
      plans.drawn(plan)),
  ];
}

/** What can be done once it has ended. */
function after(job, local) {
  const begun = job.error?.parts?.some((part) => part.state !== "not done") || job.status === 10;
  const offers = [];
  const writes = ["rawprogram", "restore", "resume"].includes(job.kind);
  if (job.error && writes && (begun || job.error.state)) {
    offers.push(["Go on with it", () => begin(local, "resume", place(job)?.id), "do-resume"]);
  } else if (job.error && job.kind === "backup") {
    offers.push(["Go on with it",
      () => begin(local, "backup", place(job)?.id, { ...job.options, resume: true }), "do-resume"]);
  } else if (job.error && job.phone && job.kind !== "plug") {
    offers.push(["Try again", () => begin(local, job.kind, place(job)?.id, job.options), "do-again"]);
  }
  if (!offers.length || job.kind.startsWith("plan")) return null;
  const there = place(job);
  return h("div", { key: "after", class: "actions" }, offers.map(([words, act, id]) =>
    button(words, act, { id, class: "main", disabled: !there || local.beginning === true })),
  !there && h("p", { class: "hint" }, "The phone is not there in EDL mode now. Bring it into EDL mode "
    + "again (unplug it, hold both volume keys while plugging it in): then this can go on."));
}

/** Where the job's phone is now: it may be plugged in elsewhere. */
function place(job) {
  const ready = store.phones.filter((phone) => phone.mode === "edl" && !phone.problem);
  const same = (phone) => !job.serial || !phone.serial || phone.serial === job.serial;
  return ready.find((phone) => phone.id === job.phone && same(phone))
    ?? ready.find((phone) => job.serial && phone.serial === job.serial) ?? null;
}

function notices(lines, job) {
  const told = [...new Set(lines.filter((line) => line.event === "notice").map((line) => line.text))];
  const stages = lines.filter((line) => line.event === "stage").map((line) => line.text);
  return [
    told.length > 0 && h("section", { "aria-labelledby": "notices", key: "notices" },
      h("h2", { id: "notices" }, "What is odd, but does not stop it"),
      h("ul", {}, told.slice(0, MOST_NOTICES).map((text) => h("li", {}, text))),
      told.length > MOST_NOTICES && h("details", {},
        h("summary", {}, `${told.length - MOST_NOTICES} more`),
        h("ul", {}, told.slice(MOST_NOTICES).map((text) => h("li", {}, text))))),
    stages.length > 0 && h("details", { key: "stages", id: "stages" },
      h("summary", {}, job.ended ? "What was done, in order" : "What was done so far"),
      h("ol", {}, stages.map((text) => h("li", {}, sentence(text))))),
    job.kind === "reset" && job.result && facts([["Restarted into", job.result.mode]]),
  ];
}
