// SPDX-License-Identifier: BSD-3-Clause
// A plan: what would be written, what the check found, and the step from there to writing.

import { begin } from "./begin.js";
import { confirmed } from "./dialogs.js";
import { h, once } from "./dom.js";
import { told } from "./fates.js";
import { button, card, facts, findings, refusal, table } from "./parts.js";
import { leftOut } from "./results.js";
import { to } from "./route.js";
import { phoneOf } from "./store.js";
import { count, list, sentence, size } from "./text.js";
import { phoneName } from "./words.js";

const KEPT = "They exist only once, on this phone alone (calibration, numbers, keys), so they are "
  + "saved first and left as they are.";

/** What the plan of a job says. */
export const drawn = once((plan) => {
  const steps = plan.steps;
  return [
    facts([
      [plan.job === "restore" ? "Backup" : "Package", plan.title],
      ["To be written", size(plan.write_bytes)],
      ["Steps", String(steps.length)], ["Storage", plan.memory.toUpperCase()],
      ["At the end", { reset: "the phone restarts", off: "the phone is switched off" }[plan.reset]],
      ["No phone was asked", plan.geometry_assumed
        && "the size of the storage is a guess; with a phone the plan is its own"],
    ]),
    findings(plan.findings),
    plan.kept.length > 0 && h("section", { "aria-labelledby": "kept", key: "kept" },
      h("h2", { id: "kept" }, "What is kept"),
      h("p", {}, KEPT), h("p", { id: "kept-names" }, list(plan.kept, 60))),
    steps.length > 0 && h("section", { "aria-labelledby": "steps", key: "steps" },
      h("h2", { id: "steps" }, "What would be done"),
      h("details", { open: steps.length <= 12 },
        h("summary", {}, `${count(steps.length, "step")}, in order`),
        table({
          id: "steps-table", caption: "Nothing else is changed", name: 1,
          heads: ["No.", "Partition", "What happens", "Size", "From file", "Where"],
          rows: steps.map((step, index) => [
            String(index + 1), step.label, told(step.do === "read" ? "readout" : step.do),
            size(step.bytes), step.file ?? "",
            `LUN ${step.lun}, sector ${step.start_sector}`,
          ]),
        })),
      plan.patches.length > 0 && h("p", { class: "soft" },
        `${count(plan.patches.length, "small change")} of partition tables (patches) come with it.`)),
    leftOut(plan.left_out),
  ];
});

const WRITES = { plan: "rawprogram", "plan-restore": "restore" };

/** From a plan to writing. job: that made the plan. */
export function step(job, plan, local) {
  const phone = phoneOf(job.phone);
  const change = h("a", {
    class: "button", id: "change-choices",
    href: `${to("phone", job.phone, job.kind === "plan" ? "package" : "restore")}?from=${job.id}`,
  }, "Change the choices");
  if (job.error || !plan || plan.findings.some((each) => each.severity === "error")) {
    return h("p", { class: "actions", key: "confirm" }, change);
  }
  const trouble = wrongPhone(job, phone);
  return h("section", { class: "card plan", key: "confirm", id: "write-step" },
    h("p", { class: "kind" }, "The next step"),
    h("p", {}, `Write ${size(plan.write_bytes)} in ${count(plan.steps.length, "step")} to `,
      h("strong", {}, phoneName(phone)), phone?.chip && `, chip ${phone.chip}`, "."),
    trouble && h("p", { id: "wrong-phone" }, h("strong", {}, trouble)),
    refusal(local.error),
    h("p", { class: "actions" },
      h("button", {
        type: "button", class: "main", id: "write",
        disabled: trouble !== null || local.beginning === true,
        onclick: () => write(job, plan, phone, local),
      }, `Write it to ${phoneName(phone)}\u2026`), " ", change, " ",
      job.kind === "plan" && button("Only compare the phone with it", () => {
        const { overwrite, ...options } = job.options;
        begin(local, "verify", job.phone, options);
      }, { id: "compare", disabled: trouble !== null || local.beginning === true })));
}

function wrongPhone(job, phone) {
  if (!phone) return "The phone is not there now. Plug it in again, in EDL mode.";
  if (phone.mode !== "edl") return "The phone is not in EDL mode now. Enter EDL mode again.";
  if (job.serial && phone.serial && job.serial !== phone.serial) {
    return `Another phone is plugged in there now: ${phone.serial}. The plan was made for `
      + `${job.serial}. Make a new plan.`;
  }
  return null;
}

async function write(job, plan, phone, local) {
  const warnings = plan.findings.filter((each) => each.severity === "warning").length;
  const agreed = await confirmed({
    title: `Write to ${phoneName(phone)}?`,
    body: [
      facts([
        ["Serial number", phone.serial || "the phone does not tell it"],
        ["Chip", phone.chip || phone.identity?.chip || "the phone does not tell it"],
        ["Plugged in at", phone.place],
        [job.options.package ? "Package" : "Backup", job.options.package ?? job.options.folder],
        ["Will be written", `${size(plan.write_bytes)}, ${count(plan.steps.length, "step")}`],
        ["User\u2019s data", userData(job, plan)],
        ["Overwritten, although it exists only once", list(job.options.overwrite ?? [])],
        ["Kept", list(plan.kept, 8)],
        ["Warnings", warnings ? `${count(warnings, "warning")}: read them before` : null],
      ]),
      h("p", {}, "What is overwritten is gone. Leave the cable in until the job has ended."),
    ],
    yes: `Yes, write to ${phoneName(phone)}`,
  });
  if (agreed) await begin(local, WRITES[job.kind], job.phone, job.options);
}

function userData(job, plan) {
  const touched = plan.steps.some((each) => each.label.toLowerCase() === "userdata");
  if (touched) return h("strong", {}, "replaced: photos, apps and settings are lost");
  return job.options.wipe ? "the package has nothing for it" : "kept, as far as partitions go";
}

/** What a package is, by `check`. */
export function checked(result) {
  return [
    card(result.warnings ? "unready" : "done", "The package", h("p", {},
      h("strong", {}, sentence(result.package.kind)))),
    facts([
      ["For", list(result.package.devices)], ["Version", result.package.version],
      ...result.package.facts.map((each) => [sentence(each.name), each.value]),
      ["Loaders in it", list(result.loaders)],
    ]),
  ];
}
