/** The run's timeline: one bar per task, split into what its time went to. */

import { SEGMENTS, axis, chart, colours, draw, largest, legend, short, timeAxis, tip } from "./charts.js";
import { byId, fillTable, show } from "./dom.js";
import { count, seconds } from "./format.js";
import { areMany, manyNote, percentileRows, rows, taskName } from "./timeline_rows.js";

const ROW_PX = 24;
const MOST_ROWS = 30;
const NARROW_PX = 560;

/** @typedef {import("./timeline_rows.js").Row} Row */

/** The section that shows the timeline. */
export class Timeline {
  constructor() {
    this.node = byId("timeline");
    this.choice = /** @type {HTMLSelectElement} */ (byId("timeline-view"));
    this.table = /** @type {HTMLDetailsElement} */ (byId("timeline-details"));
    /** @type {Row[]} */
    this.all = [];
    /** @type {Row[]} */
    this.shown = [];
    this.first = 0;
    this.last = MOST_ROWS - 1;
    this.choice.addEventListener("change", () => this.render());
    this.table.addEventListener("toggle", () => this.fill());
  }

  /** @param {any[]} tasks */
  update(tasks) {
    this.all = rows(tasks);
    this.render();
    this.fill();
  }

  render() {
    show(byId("timeline-section"), this.all.length > 0);
    if (!this.all.length) return;
    const many = areMany(this.all);
    show(byId("timeline-choice"), many);
    const grouped = many && this.choice.value === "percentiles";
    byId("timeline-note").textContent = grouped ? manyNote(this.all) : "";
    const shown = grouped ? percentileRows(this.all) : this.all;
    // Only streamed stages wait for each other.
    const present = SEGMENTS.filter(({ name }) => name !== "waiting" || this.all.some((row) => row.seconds[name] > 0));
    legend(byId("timeline-legend"), present.map(({ name, title }) => [title, colours().segment(name)]));
    this.draw(shown, grouped ? "since the task was scheduled" : "since the first task was scheduled");
  }

  /** @param {Row[]} shown
   *  @param {string} axisName */
  draw(shown, axisName) {
    const visible = Math.min(shown.length, MOST_ROWS);
    this.node.style.height = `${visible * ROW_PX + 60}px`;
    if (!this.chart) {
      this.chart = chart(this.node);
      this.chart.on("datazoom", () => this.follow());
    }
    this.chart.resize();
    this.shown = shown;
    const slowest = shown.reduce((most, row) => (row.total > most.total ? row : most));
    draw(
      this.chart,
      `Timeline of ${shown.length} tasks. The longest is ${slowest.label} with ${seconds(slowest.total)}. The table below has all numbers.`,
      this.option(axisName, this.node.clientWidth < NARROW_PX),
      ["series", "dataZoom"],
    );
  }

  /** The axis shows the time of the rows in view: a long run would shrink each bar to a line. */
  follow() {
    const { startValue, endValue } = this.chart.getOption().dataZoom[0];
    [this.first, this.last] = [startValue, endValue];
    this.chart.setOption({ xAxis: timeOf(this.inView(), this.node.clientWidth < NARROW_PX) });
  }

  /** @returns {Row[]} */
  inView() {
    return this.shown.length > MOST_ROWS ? this.shown.slice(this.first, this.last + 1) : this.shown;
  }

  /** @param {string} axisName
   *  @param {boolean} narrow */
  option(axisName, narrow) {
    const { shown } = this;
    const colour = colours();
    const zoomed = shown.length > MOST_ROWS;
    const labelPx = narrow ? 110 : 190;
    return {
      grid: { left: labelPx + 10, right: zoomed ? 40 : 24, top: 8, bottom: 40 },
      tooltip: { trigger: "axis", axisPointer: { type: "shadow" }, formatter: (points) => rowTip(shown[points[0].dataIndex]) },
      xAxis: timeOf(this.inView(), narrow, { name: axisName, nameLocation: "middle", nameGap: 26 }),
      yAxis: axis((value) => short(value, narrow ? 17 : 30), {
        type: "category",
        inverse: true,
        data: shown.map((row) => row.label),
        axisLabel: { width: labelPx, overflow: "truncate", interval: 0, hideOverlap: false, color: colour.text },
      }),
      dataZoom: zoomed ? windows(colour, this.first, this.last) : [],
      series: [offset(shown), ...SEGMENTS.map((segment) => bars(segment, shown, colour))],
    };
  }

  /** The table has a row per task: it is made when somebody opens it. */
  fill() {
    if (!this.table.open) return;
    const parts = SEGMENTS.map(({ name, title }) => ({ title, cell: (row) => seconds(row.seconds[name]) }));
    const columns = [
      { title: "Task", text: true, cell: (row) => taskName(row.task) },
      { title: "Stage", text: true, cell: (row) => row.task.stage },
      { title: "Shard", text: true, cell: (row) => row.task.shard ?? "–" },
      { title: "State", text: true, cell: (row) => row.task.state ?? "–" },
      { title: "Try", cell: (row) => count(row.task.try_number) },
      { title: "Items", cell: (row) => count(row.task.items) },
      { title: "Quarantined", cell: (row) => count(row.task.quarantined) },
      { title: "Total", cell: (row) => seconds(row.total) },
      ...parts,
      { title: "Host", text: true, cell: (row) => row.task.host || "–" },
    ];
    fillTable(byId("timeline-table"), columns, this.all);
  }
}

/** @param {Row[]} inView
 *  @param {boolean} narrow
 *  @param {any} [more] */
function timeOf(inView, narrow, more) {
  const from = inView.reduce((least, row) => Math.min(least, row.begin), Infinity);
  return timeAxis(from, largest(inView.map((row) => row.begin + row.total)), narrow, more);
}

/** @param {import("./charts.js").Colours} colour
 *  @param {number} startValue first row in view
 *  @param {number} endValue last one */
function windows(colour, startValue, endValue) {
  const common = { yAxisIndex: 0, startValue, endValue };
  return [
    { type: "slider", right: 8, width: 16, showDetail: false, showDataShadow: false, brushSelect: false, fillerColor: `${colour.accent}55`, borderColor: colour.line, ...common },
    { type: "inside", zoomOnMouseWheel: "ctrl", moveOnMouseWheel: "shift", moveOnMouseMove: true, ...common },
  ];
}

/** The empty part in front of each bar. */
function offset(shown) {
  return {
    id: "offset",
    type: "bar",
    stack: "time",
    silent: true,
    itemStyle: { color: "transparent" },
    emphasis: { disabled: true },
    data: shown.map((row) => row.begin),
  };
}

function bars(segment, shown, colour) {
  return {
    id: segment.name,
    name: segment.title,
    type: "bar",
    stack: "time",
    barMaxWidth: 16,
    itemStyle: { color: colour.segment(segment.name) },
    data: shown.map((row) => row.seconds[segment.name]),
  };
}

/** @param {Row} row */
function rowTip(row) {
  const colour = colours();
  const parts = SEGMENTS.filter(({ name }) => row.seconds[name] > 0).map(({ name, title }) =>
    /** @type {[string, string, string]} */ ([title, seconds(row.seconds[name]), colour.segment(name)]));
  const name = row.label.startsWith(taskName(row.task)) ? row.label : `${row.label}: ${taskName(row.task)}`;
  return tip(name, [...parts, ["Total", seconds(row.total)], ["Items", count(row.task.items)]]);
}
