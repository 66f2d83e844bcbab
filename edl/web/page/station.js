// SPDX-License-Identifier: BSD-3-Clause
// The station: one package onto every phone that appears.

import { begin } from "./begin.js";
import { confirmed } from "./dialogs.js";
import { h } from "./dom.js";
import { explain } from "./explain.js";
import { flag, text } from "./forms.js";
import { form } from "./package.js";
import { button, errorCard, facts, findings, refusal, table as drawTable } from "./parts.js";
import { drawn } from "./plan.js";
import { brief } from "./progress.js";
import { jobs, linesOf, store } from "./store.js";
import { count, list, percent, sentence, size, speed, wait } from "./text.js";

export const title = () => "Station";

/** The view: choose a package, see what is in it, begin. */
export function view(route, local) {
  const running = jobs().find((job) => job.kind === "station" && !job.ended);
  const check = local.check && store.jobs.get(local.check);
  return [
    h("h1", { tabindex: "-1" }, "Station: one package, many phones"),
    h("p", {}, "Writes a package to every phone that appears in EDL mode, all at the same time. What "
      + "fails on one changes nothing for the others. A phone that was written is not written again "
      + "in the same run. While it runs, it has all phones."),
    running
      ? h("div", { class: "card plan", key: "running" }, brief(running))
      : form({
        before: {}, local, submit: "Look at the package",
        more: [
          text({
            id: "count", name: "count", label: "End after so many phones", mode: "numeric",
            hint: "Empty: until it is stopped.",
          }),
          flag({
            id: "again", name: "again", label: "Write phones again that were written already",
            hint: "Otherwise a phone that comes back after its restart is left alone.",
          }),
        ],
        onsubmit: (given) => examine(given, local),
      }),
    refusal(local.error),
    check && !running && checked(check, local),
  ];
}

async function examine(given, local) {
  local.given = given;
  const { count: many, again, loader, overwrite, ...rest } = given;
  const job = await begin(local, "check", null, rest, { stay: true });
  local.check = job?.id;
}

function checked(check, local) {
  const lines = linesOf(check.id);
  const plan = lines.findLast((line) => line.type === "plan")?.plan;
  const found = lines.filter((line) => line.type === "finding");
  if (!check.ended) return h("div", { class: "card plan", key: "check" }, brief(check));
  return h("section", { key: "check", "aria-labelledby": "checked" },
    h("h2", { id: "checked", tabindex: "-1" }, "The package"),
    check.error && errorCard(check.error, "It cannot be written"),
    !check.error && h("div", { class: "card plan", id: "write-step" },
      h("p", { class: "kind" }, "The next step"),
      h("p", {}, "Every phone that is in EDL mode now, and every one that appears later, is written."),
      h("button", {
        type: "button", class: "main", id: "start-station", disabled: local.beginning === true,
        onclick: () => start(plan, local),
      }, "Start the station\u2026")),
    plan ? drawn(plan) : findings(found));
}

async function start(plan, local) {
  const { given } = local;
  const agreed = await confirmed({
    title: "Write to every phone that appears?",
    body: [
      facts([
        ["Package", given.package],
        ["For each phone", plan && `${size(plan.write_bytes)}, ${count(plan.steps.length, "step")}`],
        ["Phones that are there now", String(store.phones.filter((each) => each.mode === "edl").length)],
        ["Ends", given.count ? `after ${count(given.count, "phone")}` : "when it is stopped"],
        ["User\u2019s data", given.wipe ? h("strong", {}, "replaced on every phone") : "kept"],
        ["Only", list(given.only ?? [])], ["Not", list(given.skip ?? [])],
        ["Overwritten, although it exists only once", list(given.overwrite ?? [])],
      ]),
      h("p", {}, "Nobody is asked about a single phone: where one would need an answer of its own, it "
        + "is left alone and told."),
    ],
    yes: "Yes, write every phone",
  });
  if (agreed) await begin(local, "station", null, given);
}

const TONES = { done: "done", failed: "failed", stopped: "unready", "left alone": "unready" };
const MOST_NOTES = 3;
const OVER = new Set(Object.keys(TONES));

/** The last news of each phone, in the order in which they appeared. */
export function rows(lines) {
  const found = new Map();
  for (const line of lines) {
    if (line.type !== "phone") continue;
    const key = line.serial || line.place;
    const before = found.get(key) ?? found.get(line.place);
    if (line.serial && found.has(line.place)) found.delete(line.place);
    found.set(key, { ...line, notes: [...(before?.notes ?? []), ...line.notes] });
  }
  return [...found.values()];
}

/** The table of a station job. */
export function table(job, lines) {
  const phones = rows(lines);
  const many = (state) => phones.filter((phone) => phone.state === state).length;
  const bytes = phones.filter((phone) => phone.state === "done")
    .reduce((sum, phone) => sum + (phone.written_bytes ?? 0), 0);
  return h("section", { key: "station", "aria-labelledby": "station" },
    h("h2", { id: "station" }, "Phones"),
    h("p", { id: "station-counts", "data-done": many("done"), "data-failed": many("failed") },
      h("strong", {}, `${many("done")} done, ${many("failed")} failed`),
      `, ${phones.filter((phone) => !OVER.has(phone.state)).length} at work, `
      + `${many("left alone")} left alone, ${many("stopped")} stopped; ${size(bytes)} written.`),
    phones.length === 0 && h("p", {}, "No phone has appeared yet."),
    phones.length > 0 && drawTable({
      id: "station-table", caption: "In the order in which they appeared",
      heads: ["Phone", "State", "Progress", "News"],
      rows: phones.map((phone) => row(phone, job)),
    }));
}

function row(phone, job) {
  const cells = [
    [phone.serial || "not known yet", h("br", {}),
      h("span", { class: "soft" }, [phone.chip, phone.place].filter(Boolean).join(", "))],
    h("span", { class: `state ${TONES[phone.state] ?? "plan"}` }, sentence(phone.state)),
    progress(phone), news(phone, job),
  ];
  cells.props = {
    key: phone.serial || phone.place, "data-phone": phone.serial || phone.place,
    "data-state": phone.state,
  };
  return cells;
}

function progress(phone) {
  const { done_bytes: done, job_bytes: total, seconds, written_bytes: written } = phone;
  if (phone.state === "done") {
    return `${size(written)} written${phone.verified_how ? ", verified" : ", not verified"}, `
      + `${wait(seconds)}${written && seconds ? ` (${speed(written / seconds)})` : ""}`;
  }
  if (OVER.has(phone.state) || !total) return "";
  const many = percent(done, total);
  return [
    h("progress", {
      max: total, value: done, "aria-label": `${phone.serial || phone.place}: ${many} percent`,
    }),
    ` ${many} %, ${size(done)} of ${size(total)}`,
  ];
}

function news(phone, job) {
  const page = phone.report.split(/[\\/]/).at(-1);
  return [
    phone.message && h("p", {}, h("strong", {}, phone.message)),
    phone.on_phone && h("p", {}, h("span", { class: "soft" }, "On the phone now: "), phone.on_phone),
    phone.remedies.length > 0 && [
      h("p", {}, "What to do, most likely first:"),
      h("ol", {}, phone.remedies.map((text) => h("li", {}, text))),
    ],
    phone.code && h("p", { class: "actions" }, h("span", { class: "soft" }, "Error code: "),
      h("code", {}, phone.code), " ", button("Explain this", () => explain(phone.code),
        { class: "quiet", "aria-label": `Explain ${phone.code}` })),
    phone.notes.slice(-MOST_NOTES).map((text) => h("p", { class: "soft" }, text)),
    page && job.ended && h("p", {}, h("a", {
      href: `reports/${encodeURIComponent(job.id)}/${encodeURIComponent(page)}`,
      "aria-label": `Report page of phone ${phone.serial || phone.place}`,
    }, "Report page")),
  ];
}
