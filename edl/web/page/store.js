// SPDX-License-Identifier: BSD-3-Clause
// What the server has told. It alone knows; this is a copy that a reload makes anew.

import * as api from "./api.js";
import { Pace } from "./pace.js";

/** link: `new`, `open`, `lost`, `refused`. lines: of the jobs that are looked at, by number. */
export const store = {
  link: "new", version: "", home: "", separator: "/", problem: "", phones: [], jobs: new Map(),
  lines: new Map(), paces: new Map(),
};

const MOST_LINES = 6000;
const SOON_MS = 60;
const watchers = new Set();
let soon = 0;

/** Call watcher after each change, a little later, once for many. */
export function watch(watcher) {
  watchers.add(watcher);
}

/** Something has changed that is to be seen. */
export function changed() {
  soon ||= setTimeout(() => {
    soon = 0;
    for (const watcher of watchers) watcher();
  }, SOON_MS);
}

/** Begin to hear from the server. news(kind, before, now): what is worth telling aloud. */
export function start(news) {
  api.events({
    open(state) {
      const was = store.link;
      const { version, home, separator } = state;
      Object.assign(store, { link: "open", version, home, separator });
      const known = store.jobs;
      store.jobs = new Map();
      for (const job of state.jobs) keep(job, known.get(job.id));
      Object.assign(store, { phones: state.phones, problem: state.problem ?? "" });
      for (const id of store.lines.keys()) catchUp(id);
      news("link", was, "open");
      changed();
    },
    lost(status) {
      const now = status === 401 || status === 403 ? "refused" : "lost";
      if (store.link !== now) news("link", store.link, now);
      store.link = now;
      changed();
    },
    phones(data) {
      news("phones", store.phones, data.phones);
      Object.assign(store, { phones: data.phones, problem: data.problem ?? "" });
      changed();
    },
    job(job) {
      const before = store.jobs.get(job.id);
      keep(job, before);
      news("job", before, job);
      changed();
    },
    forgotten({ id }) {
      store.jobs.delete(id);
      changed();
    },
    line(told) {
      const lines = store.lines.get(told.job);
      if (lines && told.n > (lines.at(-1)?.n ?? -1)) {
        lines.push({ ...told.line, n: told.n });
        if (lines.length > MOST_LINES) store.lines.set(told.job, shortened(lines));
        changed();
      }
    },
  });
}

function keep(job, before) {
  store.jobs.set(job.id, job);
  if (!job.progress || job.ended) store.paces.delete(job.id);
  else {
    if (!store.paces.has(job.id) || before?.progress?.total_bytes !== job.progress.total_bytes) {
      store.paces.set(job.id, new Pace());
    }
    store.paces.get(job.id).saw(job.progress.done_bytes, performance.now() / 1000);
  }
}

/** The lines of a job in order, each with its number `n`, as far as they are here. */
export function linesOf(id) {
  if (!store.lines.has(id)) { // those of the job that is looked at are kept, and no others
    store.lines = new Map([[id, []]]);
    catchUp(id);
  }
  return store.lines.get(id);
}

/** Lines without the older half of the device log: the server has more of it. */
function shortened(lines) {
  const logged = lines.filter((line) => line.event === "device_log").map((line) => line.n);
  const from = logged[Math.floor(logged.length / 2)];
  return lines.filter((line) => line.event !== "device_log" || line.n >= from);
}

async function catchUp(id) {
  try {
    const job = await api.linesOf(id, 0);
    const last = job.lines.at(-1)?.n ?? -1;
    const later = store.lines.get(id)?.filter((line) => line.n > last);
    if (later) store.lines.set(id, [...job.lines.map(({ n, line }) => ({ ...line, n })), ...later]);
    changed();
  } catch (error) {
    if (error.status === 404) store.jobs.delete(id);
    changed();
  }
}

/** The phone of that id, or null. */
export const phoneOf = (id) => store.phones.find((phone) => phone.id === id) ?? null;

/** All jobs, the newest first. */
export const jobs = () => [...store.jobs.values()].sort((a, b) => Number(b.id) - Number(a.id));

/** The jobs of a phone, the newest first; not those of another one that was at its place before. */
export function jobsOf(id) {
  const serial = phoneOf(id)?.serial;
  return jobs().filter((job) => job.phone === id
    && (!serial || !job.serial || job.serial === serial));
}

/** The newest job of a phone, of those kinds, that has a result. */
export function latest(id, ...kinds) {
  return jobsOf(id).find((job) => kinds.includes(job.kind) && job.result) ?? null;
}

/** The phone's job that is at work, or null. */
export function working(phone) {
  return jobs().find((job) => job.phone === phone && !job.ended) ?? null;
}

/** The loader that somebody named for this phone, and that it took; empty if there is none. */
export function loaderOf(id) {
  return jobsOf(id).find((job) => job.serial && job.serial === phoneOf(id)?.serial && job.result
    && typeof job.options.loader === "string")?.options.loader ?? "";
}
