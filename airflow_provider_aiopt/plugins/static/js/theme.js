/** Light or dark, as Airflow's UI around the page has it; else as Airflow stored it; else as the system has it. */

const DARK_SYSTEM = matchMedia("(prefers-color-scheme: dark)");

/** @returns {Document|null} Airflow's page, null where this page stands alone */
function outerDocument() {
  try {
    return window.parent === window ? null : window.parent.document;
  } catch {
    return null;
  }
}

function stored() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null;
  }
}

/** @returns {"light"|"dark"} */
export function theme() {
  const classes = outerDocument()?.documentElement.classList;
  for (const name of /** @type {const} */ (["dark", "light"])) {
    if (classes?.contains(name)) return name;
  }
  const name = stored();
  if (name === "dark" || name === "light") return name;
  return DARK_SYSTEM.matches ? "dark" : "light";
}

/** Follow the theme from now on.
 *  @param {() => void} onChange called after each change */
export function followTheme(onChange = () => {}) {
  const root = document.documentElement;
  root.dataset.theme = theme();
  const check = () => {
    const now = theme();
    if (root.dataset.theme === now) return;
    root.dataset.theme = now;
    onChange();
  };
  DARK_SYSTEM.addEventListener("change", check);
  window.addEventListener("storage", check);
  const outer = outerDocument();
  if (outer) {
    new MutationObserver(check).observe(outer.documentElement, { attributes: true, attributeFilter: ["class"] });
  }
}
