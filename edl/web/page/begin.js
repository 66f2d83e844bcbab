// SPDX-License-Identifier: BSD-3-Clause
// Beginning jobs from the page.

import * as api from "./api.js";
import { used } from "./files.js";
import { go } from "./route.js";
import { changed, store } from "./store.js";

/**
 * Begin a job. local: of the view; gets `error` if the server refuses. stay: the view shows the job
 * itself; else the job is looked at. Returns the job, or null.
 */
export async function begin(local, kind, phone, options = {}, { stay = false } = {}) {
  if (local.beginning) return null;
  Object.assign(local, { error: null, beginning: true });
  changed();
  try {
    const job = await api.begin(kind, phone, options);
    if (options.loader) used("loaders", options.loader);
    if (!store.jobs.has(job.id)) store.jobs.set(job.id, job);
    if (!stay) go("job", job.id);
    return job;
  } catch (error) {
    local.error = error;
    return null;
  } finally {
    local.beginning = false;
    changed();
  }
}

/** Have a list made anew, such as that of all backups, and forget the older ones. */
export async function look(kind) {
  try {
    const made = await api.begin(kind, null);
    for (const job of store.jobs.values()) {
      if (job.kind === kind && job.ended && job.id !== made.id) {
        store.jobs.delete(job.id);
        api.forget(job.id).catch(() => {});
      }
    }
  } catch {
    // what is known stays; the link at the top tells that the server is gone
  }
}
