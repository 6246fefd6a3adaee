/** Where the pages, the routes and Airflow's own UI lie, and how the routes are read. */

const PAGES = "/aiopt/static/";

/** Airflow's base path, without a slash at its end: the pages work behind any prefix. */
export const BASE = location.pathname.slice(0, Math.max(0, location.pathname.lastIndexOf(PAGES)));

/** @type {URLSearchParams} */
export const QUERY = new URLSearchParams(location.search);

const MEANINGS = {
  401: "You are not logged in. Log in to Airflow and reload this page.",
  403: "You may not read this DAG. Ask an administrator for read access to it.",
  404: "Not found. It may have been deleted, or the link is wrong.",
};

/** An answer that is no success, with a text for the reader. */
export class ApiError extends Error {
  /** @param {number} status HTTP status, 0 where there was no answer
   *  @param {string} [detail] what the server said */
  constructor(status, detail) {
    const meaning =
      MEANINGS[status] ??
      (status === 0
        ? "Airflow's API server does not answer. The page tries again."
        : "The server could not answer. Its log says why.");
    super(detail ? `${meaning} (HTTP ${status}: ${detail})` : meaning);
    this.status = status;
  }

  /** Whether asking again may help: the server or the network failed, not the request. */
  get transient() {
    return this.status === 0 || this.status >= 500;
  }
}

/** @param {string[]} parts path below the routes, not yet encoded
 *  @param {Record<string, string>} [query]
 *  @param {string} [suffix] what follows the last part, for example ".csv" */
export function apiUrl(parts, query = {}, suffix = "") {
  return withQuery(`${BASE}/aiopt/api/${parts.map(encodeURIComponent).join("/")}${suffix}`, query);
}

/** @param {string} name file of a page, for example "run.html"
 *  @param {Record<string, string>} query */
export function pageUrl(name, query = {}) {
  return withQuery(`${BASE}${PAGES}${name}`, query);
}

/** @param {...string} parts path in Airflow's own UI, not yet encoded */
export function airflowUrl(...parts) {
  return `${BASE}/${parts.map(encodeURIComponent).join("/")}`;
}

function withQuery(path, query) {
  const text = new URLSearchParams(query).toString();
  return text ? `${path}?${text}` : path;
}

/** @param {string} url
 *  @returns {Promise<any>} */
export async function getJson(url) {
  let response;
  try {
    response = await fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin" });
  } catch {
    throw new ApiError(0);
  }
  const body = await response.json().catch(() => null);
  if (!response.ok) {
    throw new ApiError(response.status, typeof body?.detail === "string" ? body.detail : undefined);
  }
  if (body === null) {
    throw new ApiError(500, "the answer is not JSON");
  }
  return body;
}
