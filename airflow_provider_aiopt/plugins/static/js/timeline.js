/** The run's timeline: one bar per task, split into what its time went to. */

import { SEGMENTS, axis, chart, colours, draw, legend, short, tip } from "./charts.js";
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
    legend(byId("timeline-legend"), SEGMENTS.map(({ name, title }) => [title, colours().segment(name)]));
    this.draw(shown);
  }

  /** @param {Row[]} shown */
  draw(shown) {
    const visible = Math.min(shown.length, MOST_ROWS);
    this.node.style.height = `${visible * ROW_PX + 60}px`;
    this.chart ??= chart(this.node);
    this.chart.resize();
    const zoomed = shown.length > MOST_ROWS;
    const slowest = shown.reduce((most, row) => (row.total > most.total ? row : most));
    draw(
      this.chart,
      `Timeline of ${shown.length} tasks. The longest is ${slowest.label} with ${seconds(slowest.total)}. The table below has all numbers.`,
      option(shown, zoomed, this.node.clientWidth < NARROW_PX),
      ["series", "dataZoom"],
    );
  }

  /** The table has a row per task: it is made when somebody opens it. */
  fill() {
    if (!this.table.open) return;
    const parts = SEGMENTS.map(({ name, title }) => ({ title, cell: (row) => seconds(row.seconds[name]) }));
    const columns = [
      { title: "Task", text: true, cell: (row) => taskName(row.task) },
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

/** @param {Row[]} shown
 *  @param {boolean} zoomed whether only a window of the rows is seen at a time
 *  @param {boolean} narrow */
function option(shown, zoomed, narrow) {
  const colour = colours();
  const labelPx = narrow ? 110 : 190;
  return {
    grid: { left: labelPx + 10, right: zoomed ? 40 : 24, top: 8, bottom: 40 },
    tooltip: { trigger: "axis", axisPointer: { type: "shadow" }, formatter: (points) => rowTip(shown[points[0].dataIndex]) },
    xAxis: axis((value) => seconds(value), { type: "value", name: "since the first task was scheduled", nameLocation: "middle", nameGap: 26 }),
    yAxis: axis((value) => short(value, narrow ? 17 : 30), {
      type: "category",
      inverse: true,
      data: shown.map((row) => row.label),
      axisLabel: { width: labelPx, overflow: "truncate", interval: 0, hideOverlap: false, color: colour.text },
    }),
    dataZoom: zoomed ? windows(colour) : [],
    series: [offset(shown), ...SEGMENTS.map((segment) => bars(segment, shown, colour))],
  };
}

function windows(colour) {
  const common = { yAxisIndex: 0, startValue: 0, endValue: MOST_ROWS - 1, zoomLock: false };
  return [
    { type: "slider", right: 8, width: 16, showDetail: false, brushSelect: false, fillerColor: `${colour.accent}55`, borderColor: colour.line, ...common },
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
  const name = row.label === taskName(row.task) ? row.label : `${row.label}: ${taskName(row.task)}`;
  return tip(name, [...parts, ["Total", seconds(row.total)], ["Items", count(row.task.items)]]);
}
