// SPDX-License-Identifier: BSD-3-Clause
// What is asked of the server, and what it tells by itself. All addresses are its own.

const FIRST_MS = 300; // until it is tried again when the server is gone, and later on
const RETRY_MS = 2000;

/** The server said no, or is gone. status: 0 where nobody answered. */
class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(`api/${path}`, { credentials: "same-origin", cache: "no-store", ...options });
  } catch {
    throw new ApiError(0, "edl web does not answer. Is it still running in its terminal?");
  }
  const text = await answer.text();
  const data = parsed(text);
  if (!answer.ok) {
    throw new ApiError(answer.status, data?.error?.message ?? `The answer was ${answer.status}.`);
  }
  return data;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function post(path, data) {
  return ask(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data),
  });
}

export const state = () => ask("state");
export const linesOf = (id, from) => ask(`jobs/${encodeURIComponent(id)}?from=${from}`);
export const begin = (kind, phone, options = {}) => post("jobs", { kind, phone, ...options });
export const answer = (id, question, given) =>
  post(`jobs/${encodeURIComponent(id)}/answer`, { id: question, answer: given });
export const stop = (id, how) => post(`jobs/${encodeURIComponent(id)}/stop`, { how });
export const forget = (id) => post(`jobs/${encodeURIComponent(id)}/forget`, {});
export const files = (path) => ask(`files?path=${encodeURIComponent(path)}`);

/**
 * Hear what the server tells by itself, and go on doing so when it was gone.
 * hear: {open, lost, phones, job, line, forgotten}; lost is called with the error's status.
 */
export function events(hear) {
  let source = null;
  let tries = 0;
  const again = (status) => {
    source?.close();
    hear.lost(status);
    setTimeout(connect, tries ? RETRY_MS : FIRST_MS);
    tries += 1;
  };
  async function connect() {
    try {
      await hear.open(await state());
    } catch (error) {
      again(error.status ?? 0);
      return;
    }
    tries = 0;
    source = new EventSource("api/events");
    for (const kind of ["phones", "job", "line", "forgotten"]) {
      source.addEventListener(kind, (event) => hear[kind](JSON.parse(event.data)));
    }
    source.onerror = () => again(0);
  }
  connect();
}
