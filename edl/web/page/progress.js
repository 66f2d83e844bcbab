// SPDX-License-Identifier: BSD-3-Clause
// How far a job is.

import * as api from "./api.js";
import { h } from "./dom.js";
import { button } from "./parts.js";
import { to } from "./route.js";
import { store } from "./store.js";
import { percent, sentence, size, speed, wait } from "./text.js";
import { kindOf, stateOf } from "./words.js";

/** In short: one line and a bar, with the way to the job. */
export function brief(job) {
  return h("div", { class: "brief", key: `job ${job.id}`, "data-job": job.id },
    h("p", {}, h("strong", {}, `${kindOf(job)}: ${stateOf(job).toLowerCase()}`),
      job.title && ` \u2013 ${job.title}`),
    !job.question && job.kind !== "station" && bar(job),
    h("p", {}, h("a", { href: to("job", job.id) }, "Look at this job")));
}

/** The bar with what was done, how fast, and what is left. */
function bar(job) {
  const { done_bytes: done, total_bytes: total } = job.progress ?? {};
  if (!(total > 0)) {
    return h("p", { class: "bar", key: "bar" },
      h("progress", { "aria-label": `${kindOf(job)}: at work` }),
      done > 0 && h("span", {}, size(done)));
  }
  const pace = store.paces.get(job.id);
  const now = performance.now() / 1000;
  const [moves, left] = [pace?.speed(now), pace?.left(total, now)];
  const many = percent(done, total);
  return h("div", { class: "bar", key: "bar" },
    h("progress", { max: total, value: done, "aria-label": `${kindOf(job)}: ${many} percent` }),
    h("p", { class: "numbers" }, [
      `${many} %`, `${size(done)} of ${size(total)}`, moves && speed(moves),
      left > 1 && `about ${wait(left)} left`,
    ].filter(Boolean).join(" \u00b7 ")));
}

/** All of a job that is at work. lines: what it has told. */
export function working(job, lines) {
  const step = lines.findLast((line) => line.event === "step");
  const stage = lines.findLast((line) => line.event === "stage");
  const busy = lines.at(-1)?.event === "busy" ? lines.at(-1) : null;
  const after = stage && step && lines.indexOf(stage) > lines.indexOf(step);
  return h("section", { class: "card plan", id: "progress", key: "progress", "data-state": job.state },
    h("p", { class: "kind" }, stateOf(job)),
    step && !after && h("p", { id: "step", key: "step" }, h("strong", {},
      `Step ${step.index} of ${step.count}: ${step.title}${step.bytes ? ` (${size(step.bytes)})` : ""}`)),
    h("p", { id: "stage", key: "stage" }, step && !after
      ? h("span", { class: "soft" }, sentence(stage?.text ?? ""))
      : h("strong", {}, sentence(stage?.text ?? "beginning"))),
    job.kind !== "station" && bar(job),
    busy && h("p", { id: "busy" }, silence(busy)),
    stopping(job));
}

function silence({ doing, waited_s: waited, left_s: left }) {
  const what = doing ? `The phone is ${doing}, and has said nothing for ${wait(waited)}`
    : `The phone has said nothing for ${wait(waited)}`;
  const rest = left === null ? "" : ` It is waited for at most ${wait(left)} more.`;
  return `${what}.${doing ? " That is normal." : ""}${rest} Leave the cable in.`;
}

function stopping(job) {
  const stop = (how) => async (event) => {
    const said = event.currentTarget.parentElement.querySelector("[role=alert]");
    try {
      await api.stop(job.id, how);
      said.textContent = "";
    } catch (error) {
      said.textContent = `${error.message} Press again.`;
    }
  };
  return h("div", { class: "stop", key: "stop" },
    job.state === "stopping"
      ? [
        h("p", { key: "why" }, "It ends the piece that it is at, so that the phone stays in a state "
          + "that can be gone on with. That can take a minute."),
        button("Stop at once", stop("at once"), { id: "stop-now", class: "danger", key: "now" }),
        h("p", { class: "soft", key: "now-why" }, job.stop === "at once"
          ? "It was told to stop at once. If it has not in five seconds, press again: then it is ended, "
            + "whatever it is at."
          : "At once ends it inside a piece. It can mostly be gone on with, but the phone may have to "
            + "enter EDL mode again first."),
      ]
      : [
        button("Stop gently", stop("gently"), { id: "stop", key: "gently" }),
        h("p", { class: "soft", key: "gently-why" },
          "Ends after the piece that it is at. Nothing that was written is lost, and it can be gone "
          + "on with. Do not pull the cable to stop it."),
      ],
    h("p", { role: "alert", key: "said", live: () => {} }));
}
