// SPDX-License-Identifier: BSD-3-Clause
// What screen readers tell: milestones politely, questions and errors at once.

import { percent, visible } from "./text.js";

const QUARTER = 25;

/** Tell it when there is a pause; urgent: at once. */
export function say(text, urgent = false) {
  const place = document.getElementById(urgent ? "urgent" : "polite");
  const line = document.createElement("p");
  line.textContent = visible(text);
  while (place.childNodes.length > 3) place.firstChild.remove();
  place.append(line);
}

/** What is worth telling of a job that was `before` and is `now`: [text, urgent], or null. */
export function milestone(before, now, name) {
  if (now.question && before?.question?.id !== now.question.id) {
    return [`${name} asks: ${now.question.text}`, true];
  }
  if (now.ended && before && !before.ended) {
    return now.error
      ? [`${name} ended with an error: ${now.error.message}`, true] : [`${name} is done.`, false];
  }
  const [was, is] = [quarters(before), quarters(now)];
  return is > was && is < 4 ? [`${name}: ${is * QUARTER} percent`, false] : null;
}

function quarters(job) {
  const { done_bytes: done, total_bytes: total } = job?.progress ?? {};
  return Math.floor(percent(done, total) / QUARTER);
}
