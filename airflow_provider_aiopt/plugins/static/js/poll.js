/** Asking again while something is going on. */

import { ApiError } from "./api.js";

/** The longest pause while nothing changes, in milliseconds: a stage's end is not seen much later. */
export const QUIET_MS = 10_000;
/** The longest pause while the server fails: it may be starting, or have too much to do. */
export const FAILING_MS = 60_000;

/** How long to wait before asking again, in milliseconds.
 *  @param {number} pause how long it was before
 *  @param {"changed"|"same"|"failed"} outcome of the last question
 *  @param {number} shortest the pause while things change */
export function nextPause(pause, outcome, shortest) {
  if (outcome === "changed") return shortest;
  if (outcome === "same") return Math.max(shortest, Math.min(pause * 1.5, QUIET_MS));
  return Math.min(pause * 2, FAILING_MS);
}

/** What of an answer tells whether anything happened: the clock of a running run always goes on.
 *  @param {any} answer */
const happened = (answer) => JSON.stringify(answer, (key, value) => (key === "wall_s" ? undefined : value));

/** Run *step* again and again until it says that nothing more will happen, less often while nothing changes;
 *  nothing is asked while the page is hidden.
 *  @param {() => Promise<{answer: any, more: boolean}>} step asks once; *more* is whether to go on
 *  @param {(error: Error) => void} onError
 *  @param {number} [shortest] milliseconds between two questions while things change */
export function poll(step, onError, shortest = 2000) {
  const visible = () =>
    new Promise((resolve) => {
      if (!document.hidden) return resolve(undefined);
      const wait = () => {
        if (document.hidden) return;
        document.removeEventListener("visibilitychange", wait);
        resolve(undefined);
      };
      return document.addEventListener("visibilitychange", wait);
    });
  let pause = shortest;
  let known = "";
  const ask = async () => {
    const { answer, more } = await step();
    const now = happened(answer);
    pause = nextPause(pause, now === known ? "same" : "changed", shortest);
    known = now;
    return more;
  };
  const turn = async () => {
    await visible();
    let more;
    try {
      more = await ask();
    } catch (error) {
      onError(/** @type {Error} */ (error));
      more = error instanceof ApiError && error.transient;
      pause = nextPause(pause, "failed", shortest);
    }
    if (more) setTimeout(turn, pause);
  };
  return turn();
}
