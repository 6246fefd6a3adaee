/** Building the page. What comes from the server is only ever inserted as text. */

/** @param {string} id
 *  @returns {HTMLElement} */
export const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {string} tag
 *  @param {Record<string, string>} [attributes]
 *  @param {...(Node|string)} children
 *  @returns {HTMLElement} */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** @param {string} href
 *  @param {string} text
 *  @param {Record<string, string>} [attributes] */
export const link = (href, text, attributes = {}) => el("a", { href, ...attributes }, text);

/** A link to one of Airflow's own pages, which fills the window.
 *  @param {string} href
 *  @param {string} text */
export const airflowLink = (href, text) => link(href, text, { target: "_top" });

/** @param {HTMLElement} node
 *  @param {boolean} shown */
export function show(node, shown) {
  node.hidden = !shown;
}

/** A run's or task's state, in words and colour.
 *  @param {string|null} state */
export const badge = (state) => el("span", { class: "state", "data-state": state ?? "none" }, state ?? "no state");

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {(row: any) => (Node|string)} cell
 * @property {boolean} [text] left-aligned; numbers are right-aligned
 */

/** Fill a table; only what changed is replaced, so that focus and scroll positions stay.
 *  @param {HTMLElement} table
 *  @param {Column[]} columns the first one is each row's heading
 *  @param {any[]} rows */
export function fillTable(table, columns, rows) {
  if (!table.tHead) {
    const heads = columns.map((column) =>
      el("th", { scope: "col", class: column.text ? "text" : "number" }, column.title));
    table.append(el("thead", {}, el("tr", {}, ...heads)), el("tbody"));
  }
  const body = table.tBodies[0];
  const made = rows.map((row) => tableRow(columns, row));
  const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  made.forEach((row, index) => {
    const old = body.rows[index];
    if (!old) body.append(row);
    else if (!old.isEqualNode(row)) old.replaceWith(row);
  });
  while (body.rows.length > made.length) body.lastElementChild.remove();
  if (focused && !body.contains(document.activeElement)) refocus(body, focused);
}

/** The link that had the focus may be another row's by now. */
function refocus(body, href) {
  const same = [...body.querySelectorAll("a")].find((item) => item.getAttribute("href") === href);
  same?.focus({ preventScroll: true });
}

/** Offer *entries* in a list; what was chosen stays chosen, and an open list whose entries stay is left alone.
 *  @param {HTMLSelectElement} choice
 *  @param {[string, string][]} entries value and text
 *  @param {string} preset chosen at first, and where what was chosen is gone */
export function fillChoice(choice, entries, preset) {
  const offered = JSON.stringify(entries);
  if (choice.dataset.offered === offered) return;
  const chosen = choice.dataset.offered ? choice.value : preset;
  choice.dataset.offered = offered;
  choice.replaceChildren(...entries.map(([value, text]) => el("option", { value }, text)));
  choice.value = entries.some(([value]) => value === chosen) ? chosen : preset;
}

function tableRow(columns, row) {
  const cells = columns.map((column, index) => {
    const tag = index === 0 ? "th" : "td";
    const attributes = { class: column.text ? "text" : "number", ...(index === 0 ? { scope: "row" } : {}) };
    return el(tag, attributes, column.cell(row));
  });
  return el("tr", {}, ...cells);
}

/** Say what is wrong, or nothing.
 *  @param {string} text
 *  @param {"error"|"note"} [kind] */
export function say(text, kind = "note") {
  const message = byId("message");
  if (message.textContent !== text) message.textContent = text;
  message.dataset.kind = kind;
  show(message, text !== "");
}

/** Airflow shows the pages in a sandboxed frame from which no link may leave. The page around it is of the
 *  same origin, so it follows the link itself. */
export function followTopLinks() {
  document.addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target).closest?.('a[target="_top"]');
    const changed = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
    if (!target || changed || window.top === window) return;
    try {
      const outer = window.top.document.createElement("a");
      outer.href = /** @type {HTMLAnchorElement} */ (target).href;
      event.preventDefault();
      outer.click();
    } catch {
      // A page of another origin frames this one: the browser decides.
    }
  });
}
