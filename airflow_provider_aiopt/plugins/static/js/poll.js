/** Asking again while something is going on. */

import { ApiError } from "./api.js";

/** Run *step* every *period* milliseconds until it answers false; nothing is asked while the page is hidden.
 *  @param {() => Promise<boolean>} step whether to go on
 *  @param {(error: Error) => void} onError
 *  @param {number} [period] */
export function poll(step, onError, period = 2000) {
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
  const turn = async () => {
    await visible();
    let more;
    try {
      more = await step();
    } catch (error) {
      onError(/** @type {Error} */ (error));
      more = error instanceof ApiError && error.transient;
    }
    if (more) setTimeout(turn, period);
  };
  return turn();
}
