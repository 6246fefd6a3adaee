/** ECharts in the page's colours and type, with text for those who do not see them. */

import { el } from "./dom.js";
import { mark } from "./format.js";

/** What a task's time is split into, in order, with colours that a colour-blind reader can tell apart. */
export const SEGMENTS = [
  { name: "scheduled", title: "Scheduled", light: "#878d98", dark: "#a9afba" },
  { name: "queued", title: "Queued", light: "#565c68", dark: "#737a87" },
  { name: "start_up", title: "Start-up", light: "#b86e00", dark: "#e69f00" },
  { name: "model_load", title: "Model load", light: "#aa3377", dark: "#dd88b5" },
  { name: "reading", title: "Reading", light: "#3a8fd0", dark: "#8ccbf5" },
  { name: "waiting", title: "Waiting", light: "#cbd3df", dark: "#434a57" },
  { name: "computing", title: "Computing", light: "#1f4e9c", dark: "#4c8ee0" },
  { name: "writing", title: "Writing", light: "#117a55", dark: "#2bb58a" },
];

const SERIES = {
  light: ["#1f4e9c", "#b86e00", "#117a55", "#aa3377", "#3a8fd0", "#565c68", "#7a4fbf", "#a33b20"],
  dark: ["#6aa5f0", "#e69f00", "#2bb58a", "#dd88b5", "#8ccbf5", "#a9afba", "#b79af0", "#f0886a"],
};

/** @typedef {{light: boolean, text: string, muted: string, line: string, ground: string, accent: string,
 *  plain: string, series: string[], segment: (name: string) => string}} Colours */

/** @returns {Colours} */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  const mode = document.documentElement.dataset.theme === "dark" ? "dark" : "light";
  return {
    light: mode === "light",
    text: read("--text"),
    muted: read("--muted"),
    line: read("--line"),
    ground: read("--ground"),
    accent: read("--accent"),
    plain: read("--bar"),
    series: SERIES[mode],
    segment: (name) => SEGMENTS.find((segment) => segment.name === name)?.[mode] ?? read("--muted"),
  };
}

/** A chart in *node*, sized with it.
 *  @param {HTMLElement} node */
export function chart(node) {
  const made = window.echarts.init(node, null, { renderer: "canvas" });
  new ResizeObserver(() => made.resize()).observe(node);
  return made;
}

/** Draw *option* over the defaults.
 *  @param {any} made what {@link chart} returned
 *  @param {string} description what the chart shows, read out by screen readers; empty where a text around it
 *    says so
 *  @param {any} option
 *  @param {string[]} [replace] components that may have become fewer */
export function draw(made, description, option, replace = ["series"]) {
  const colour = colours();
  if (description) {
    made.getDom().setAttribute("role", "img");
    made.getDom().setAttribute("aria-label", description);
  }
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  made.setOption(
    {
      animation: !still,
      animationDuration: 200,
      animationDurationUpdate: 200,
      backgroundColor: "transparent",
      color: colour.series,
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: colour.text },
      ...option,
      tooltip: {
        confine: true,
        backgroundColor: colour.ground,
        borderColor: colour.line,
        textStyle: { color: colour.text, fontSize: 13 },
        ...option.tooltip,
      },
    },
    { replaceMerge: replace },
  );
}

/** @param {(value: any) => string} format
 *  @param {any} [more] */
export function axis(format, more = {}) {
  const colour = colours();
  return {
    axisLine: { lineStyle: { color: colour.line } },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: colour.line } },
    nameTextStyle: { color: colour.muted },
    ...more,
    axisLabel: { color: colour.muted, hideOverlap: true, formatter: format, ...more.axisLabel },
  };
}

const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400];

/** The distance of marks that people count in: seconds, minutes, hours.
 *  @param {number} least */
function timeStep(least) {
  if (least <= 1) return 10 ** Math.ceil(Math.log10(Math.max(least, 1e-6)));
  return TIME_STEPS.find((step) => step >= least) ?? Math.ceil(least / 86_400) * 86_400;
}

/** An axis of seconds.
 *  @param {number} from where what is seen begins
 *  @param {number} to where it ends
 *  @param {boolean} narrow whether only few marks have room
 *  @param {any} [more] */
export function timeAxis(from, to, narrow, more = {}) {
  const step = timeStep((to - from) / (narrow ? 3 : 6));
  const min = Math.floor(from / step) * step;
  const max = Math.max(Math.ceil(to / step) * step, min + step);
  return axis((value) => mark(value), { type: "value", min, max, interval: step, ...more });
}

/** @param {(number|null|undefined)[]} values
 *  @returns {number} the largest, 0 where there is none */
export const largest = (values) => values.reduce((most, value) => Math.max(most, value ?? 0), 0);

/** A tooltip as nodes: names in it stay text.
 *  @param {string} title
 *  @param {[string, string, string?][]} rows name, value, colour */
export function tip(title, rows) {
  const lines = rows.map(([name, value, colour]) => {
    const mark = el("span", { class: "swatch" });
    if (colour) mark.style.background = colour;
    return el("div", { class: "tip-row" }, ...(colour ? [mark] : []), el("span", {}, name), el("b", {}, value));
  });
  return el("div", { class: "tip" }, el("div", { class: "tip-title" }, title), ...lines);
}

/** @param {HTMLElement} node
 *  @param {[string, string][]} entries name and colour */
export function legend(node, entries) {
  node.replaceChildren(
    ...entries.map(([name, colour]) => {
      const mark = el("span", { class: "swatch", "aria-hidden": "true" });
      mark.style.background = colour;
      return el("li", {}, mark, name);
    }),
  );
}

/** Cut a name that would push the bars off a narrow page.
 *  @param {string} name
 *  @param {number} most characters */
export const short = (name, most) => (name.length > most ? `${name.slice(0, most - 1)}…` : name);
