// SPDX-License-Identifier: BSD-3-Clause
// What phones, jobs and their parts are called on the page.

import { sentence } from "./text.js";

const MODES = {
  edl: "in EDL mode: ready",
  "crash dump": "crashed (900E): not in EDL mode",
  booted: "started: its system runs",
  off: "switched off",
  hung: "hangs: it says nothing",
  unplugged: "unplugged",
  unknown: "in a mode that nobody could find out",
};

const KINDS = {
  identify: "See what phone it is", info: "See what phone it is, in full",
  storage: "Map of the storage", health: "Health of the storage", "boot-check": "Would it start?",
  reset: "Restart", backup: "Back up", plan: "Plan to write a package",
  rawprogram: "Write a package", verify: "Compare with a package",
  "plan-restore": "Plan to write a backup back", restore: "Write a backup back",
  resume: "Go on with an interrupted job", check: "Look at a package", backups: "Look for backups",
  jobs: "Look for interrupted jobs", explain: "Explain a code", station: "Station: many phones",
  plug: "Bring the virtual phone into EDL mode",
};

const STATES = {
  running: "At work", asking: "Waits for your answer", stopping: "Stopping", done: "Done",
  failed: "Failed",
};

/** The mode of a phone. */
export const modeOf = (phone) => (phone.mode === "edl" && phone.problem
  ? "in EDL mode, but it cannot be used as it is" : MODES[phone.mode] ?? phone.mode);

/** What a phone is called: its serial number if it is known. */
export function phoneName(phone) {
  if (!phone) return "the phone";
  if (phone.serial) return `phone ${phone.serial}`;
  return phone.virtual ? `${phone.place} (no real phone)` : `phone at ${phone.place}`;
}

/** Where a phone is. */
export const whereOf = (phone) => (phone.virtual
  ? "a virtual phone: nothing real is touched" : `plugged in at ${phone.place}`);

/** What a kind of job is called. */
export const kindOf = (job) => KINDS[job.kind] ?? job.kind;

/** The state of a job; one that somebody stopped has not failed. */
export function stateOf(job) {
  if (stopped(job)) return "Stopped";
  return STATES[job.state] ?? sentence(job.state);
}

/** Whether somebody stopped it, or said no. */
export const stopped = (job) => job.state === "failed" && [10, 130].includes(job.status);

/** Kinds that only tell something, and are no work that anybody looks for. */
export const SMALL = new Set(["explain", "backups", "jobs"]);

/** Kinds that write to a phone. */
export const WRITES = new Set(["rawprogram", "restore", "resume", "station"]);
