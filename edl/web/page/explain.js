// SPDX-License-Identifier: BSD-3-Clause
// What an error code means, in a window: `edl explain CODE`.

import * as api from "./api.js";
import { tell } from "./dialogs.js";
import { h } from "./dom.js";
import { store, watch } from "./store.js";

const known = new Map(); // code → job id
let shown = null;

/** Tell what code means. */
export async function explain(code) {
  shown = tell("explain", `What \u201c${code}\u201d means`, () => content(code));
  shown.code = code;
  if (known.has(code)) return;
  try {
    known.set(code, (await api.begin("explain", null, { code })).id);
  } catch (error) {
    known.delete(code);
    shown.problem = error.message;
  }
  shown.update();
}

watch(() => shown?.element.isConnected && shown.update());

function content(code) {
  const job = store.jobs.get(known.get(code));
  if (shown?.problem) return h("p", {}, shown.problem);
  if (!job?.ended) return h("p", { role: "status" }, "Looking it up\u2026");
  if (!job.result) return h("p", {}, job.error?.message ?? "Nothing is known about it.");
  const { title, text, remedies } = job.result;
  return [
    h("p", {}, h("strong", {}, title)),
    text.replace(title, "").trim().split(/\n{2,}/)
      .map((part) => h("p", {}, withCode(part.replace(/\n/g, " ")))),
    remedies.length > 0 && [
      h("p", {}, "What to do, most likely first:"),
      h("ol", {}, remedies.map((each) => h("li", {}, withCode(each)))),
    ],
  ];
}

/** Text in which commands stand between backquotes. */
function withCode(text) {
  return text.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part));
}
