// SPDX-License-Identifier: BSD-3-Clause
// The lists: backups on this computer, interrupted jobs, jobs of this run of edl web.

import * as api from "./api.js";
import { begin, look } from "./begin.js";
import { h } from "./dom.js";
import { button, refusal, table } from "./parts.js";
import { backups } from "./results.js";
import { to } from "./route.js";
import { changed, jobs, store } from "./store.js";
import { size, when } from "./text.js";
import { kindOf, SMALL, stateOf } from "./words.js";

export const title = ({ view: name }) => (name === "backups" ? "Backups" : "Jobs");

/** Have the list made anew whenever it is looked at. */
export function enter({ view: name }) {
  look(name);
}

/** The views `backups` and `jobs`. */
export function view(route, local) {
  const list = jobs().find((job) => job.kind === route.view && job.ended);
  const head = (words) => h("h1", { tabindex: "-1" }, words);
  const wait = h("p", { key: "wait", role: "status" }, "Looking\u2026");
  if (route.view === "backups") {
    return [
      head("Backups on this computer"),
      list ? list.result && backups(list.result, store.phones) : wait,
      list?.error && h("p", {}, list.error.message),
    ];
  }
  return [
    head("Jobs"), refusal(local.error),
    h("section", { "aria-labelledby": "interrupted" },
      h("h2", { id: "interrupted" }, "Interrupted"),
      list?.result ? interrupted(list.result.jobs, local) : list?.error
        ? h("p", {}, list.error.message) : wait),
    h("section", { "aria-labelledby": "session" },
      h("h2", { id: "session" }, "Since edl web was started"), session()),
  ];
}

function interrupted(rows, local) {
  if (!rows.length) return h("p", { id: "no-interrupted" }, "No phone has an unfinished job.");
  return table({
    id: "interrupted-table", caption: "Of each phone, the oldest first",
    heads: ["Job", "Phone", "Begun", "How far", "What can be done"],
    rows: rows.map((row) => {
      const phone = store.phones.find((each) => each.serial === row.serial && each.mode === "edl");
      return [
        row.title || row.command || row.name, row.serial, when(row.begun),
        `${size(row.done_bytes)} of ${size(row.change_bytes)}`,
        phone
          ? button("Go on with it", () => begin(local, "resume", phone.id), {
            "aria-label": `Go on with it: ${row.name} of phone ${row.serial}`,
            disabled: local.beginning === true || phone.job !== null,
          })
          : "Bring the phone into EDL mode: then it can go on.",
      ];
    }),
  });
}

function session() {
  const rows = jobs().filter((job) => !SMALL.has(job.kind));
  if (!rows.length) return h("p", { id: "no-jobs" }, "Nothing has been done yet.");
  return table({
    id: "jobs-table", caption: "The newest first",
    heads: ["Job", "Phone", "Begun", "State", "In the list"],
    rows: rows.map((job) => Object.assign([
      h("a", { href: to("job", job.id) }, kindOf(job)), job.serial || job.phone || "", when(job.begun),
      [stateOf(job), job.error && `: ${job.error.message}`],
      job.ended && button("Remove", () => remove(job), {
        class: "quiet", "aria-label": `Remove from the list: ${kindOf(job)}, ${when(job.begun)}`,
      }),
    ], { props: { key: job.id, "data-job": job.id, "data-state": job.state } })),
  });
}

async function remove(job) {
  try {
    await api.forget(job.id);
  } finally {
    store.jobs.delete(job.id);
    changed();
  }
}
