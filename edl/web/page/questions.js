// SPDX-License-Identifier: BSD-3-Clause
// What jobs ask. It is asked in a window where the job or its phone is looked at, and told at the
// top of the page elsewhere; it goes away when it was answered in another tab.

import * as api from "./api.js";
import * as dialogs from "./dialogs.js";
import { h } from "./dom.js";
import { button, refusal } from "./parts.js";
import { here, to } from "./route.js";
import { jobs } from "./store.js";

let shown = null; // {job, question, close, update}
const later = new Set(); // put aside with Escape, as `job question`

/** Open and close windows so that they fit what is asked now. */
export function tend(nameOf) {
  const open = jobs().filter((job) => job.question);
  if (shown && !open.some((job) => same(job, shown))) shown.close();
  if (shown || dialogs.isOpen()) return;
  const { view, words } = here();
  const mine = open.find((job) => !later.has(key(job)) &&
    words.length === 2 && words[1] === (view === "job" ? job.id : view === "phone" && job.phone));
  if (mine) ask(mine, nameOf(mine));
}

const key = (job) => `${job.id} ${job.question.id}`;
const same = (job, other) => job.id === other.job && job.question.id === other.question.id;

/** Ask what job wants to know. */
export function ask(job, name) {
  later.delete(key(job));
  const { question } = job;
  const asked = { job: job.id, question, sent: false, error: null };
  const send = async (given) => {
    if (asked.sent) return;
    asked.sent = true;
    try {
      await api.answer(job.id, question.id, given);
      asked.close();
    } catch (error) {
      Object.assign(asked, { error, sent: false });
      asked.update();
    }
  };
  shown = asked;
  const opened = dialogs.open({
    id: "question", title: `${name} asks`,
    content: () => [
      h("p", { class: "lines asked", id: "question-text" }, question.text),
      refusal(asked.error),
      question.kind === "word" ? typed(question, send) : yesOrNo(send),
    ],
    done: () => {
      if (!asked.sent) later.add(key(job));
      shown = null;
    },
  });
  opened.element.setAttribute("aria-describedby", "question-text");
  Object.assign(asked, opened);
}

function yesOrNo(send) {
  return h("div", { class: "buttons" },
    button("No", () => send(false), { id: "answer-no", autofocus: true }),
    button("Yes", () => send(true), { id: "answer-yes", class: "danger" }));
}

function typed(question, send) {
  return h("form", {
    onsubmit: (event) => {
      event.preventDefault();
      const field = event.target.elements.word;
      if (field.value === question.word) send(field.value);
      else {
        event.target.querySelector(".wrong").textContent =
          `That is not it. Type exactly: ${question.word}`;
        field.focus();
      }
    },
  },
  h("label", { for: "answer-word" },
    "To go on, type these words exactly: ", h("strong", {}, question.word)),
  h("input", {
    id: "answer-word", name: "word", autocomplete: "off", autocapitalize: "none", spellcheck: "false",
    "aria-describedby": "answer-wrong",
  }),
  h("p", { class: "wrong", id: "answer-wrong", role: "alert", live: () => {} }),
  h("div", { class: "buttons" },
    button("Stop here", () => send(""), { id: "answer-no", autofocus: true }),
    h("button", { type: "submit", id: "answer-yes", class: "danger" }, "Go on")));
}

/** What is asked, for the top of the page. */
export function banner(nameOf) {
  return jobs().filter((job) => job.question).map((job) =>
    h("div", { class: "banner ask", key: key(job), "data-job": job.id },
      h("p", {}, h("strong", {}, `${nameOf(job)} waits for your answer.`)),
      h("p", { class: "actions" },
        button("Answer", () => {
          location.hash = to("job", job.id);
          if (!dialogs.isOpen()) ask(job, nameOf(job));
        }, { class: "answer" }))));
}
