// SPDX-License-Identifier: BSD-3-Clause
// How fast a job goes, from what was seen of it in the last seconds.

const WINDOW_S = 12;
const LEAST_S = 1.5; // before which nothing is told
const STALLED_S = 5;

export class Pace {
  #seen = [];

  /** At that time so many bytes were done. */
  saw(done, seconds) {
    const last = this.#seen.at(-1);
    if (last && done < last.done) this.#seen = [];
    this.#seen.push({ done, seconds });
    while (this.#seen.length > 2 && seconds - this.#seen[0].seconds > WINDOW_S) this.#seen.shift();
  }

  /** Bytes a second, or null while that cannot be told, or nothing moves. */
  speed(now) {
    if (this.#seen.length < 2) return null;
    const [first, last] = [this.#seen[0], this.#seen.at(-1)];
    const seconds = last.seconds - first.seconds;
    const known = seconds >= LEAST_S && last.done > first.done && now - last.seconds < STALLED_S;
    return known ? (last.done - first.done) / seconds : null;
  }

  /** Seconds that are left of so many bytes, or null. */
  left(total, now) {
    const speed = this.speed(now);
    return speed && total > 0 ? Math.max(0, total - this.#seen.at(-1).done) / speed : null;
  }
}
