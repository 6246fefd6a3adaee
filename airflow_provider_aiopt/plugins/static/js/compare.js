/** Two runs of a DAG side by side. */

import { axis, chart, colours, draw, largest, legend, short, timeAxis, tip } from "./charts.js";
import { byId, fillChoice, fillTable, show } from "./dom.js";
import { change, seconds, shortTime } from "./format.js";

/** The section in which the reader picks two runs. */
export class Comparison {
  constructor() {
    this.first = /** @type {HTMLSelectElement} */ (byId("first"));
    this.second = /** @type {HTMLSelectElement} */ (byId("second"));
    /** @type {any[]} */
    this.runs = [];
    for (const choice of [this.first, this.second]) choice.addEventListener("change", () => this.render());
  }

  /** @param {any[]} runs oldest first */
  update(runs) {
    this.runs = runs;
    show(byId("compare-section"), runs.length > 1);
    if (runs.length < 2) return;
    const entries = [...runs].reverse().map((run) => /** @type {[string, string]} */ ([run.run_id, `${shortTime(run.started_at)}  ${run.run_id}`]));
    fillChoice(this.first, entries, runs[runs.length - 2].run_id);
    fillChoice(this.second, entries, runs[runs.length - 1].run_id);
    this.render();
  }

  render() {
    const [before, after] = [this.first, this.second].map((choice) => this.runs.find((run) => run.run_id === choice.value));
    if (!before || !after) return;
    const stages = [...new Set([...Object.keys(before.stages), ...Object.keys(after.stages)])];
    const rows = stages.map((stage) => [stage, before.stages[stage], after.stages[stage]]);
    fillTable(byId("compare-table"), COLUMNS, [...rows, ["Wall time", before.wall_s, after.wall_s]]);
    show(byId("compare"), rows.length > 0);
    if (rows.length > 0) this.draw(rows);
  }

  draw(rows) {
    const colour = colours();
    const [first, second] = colour.series;
    const node = byId("compare");
    legend(byId("compare-legend"), [["First run", first], ["Second run", second]]);
    node.style.height = `${rows.length * 60 + 40}px`;
    this.chart ??= chart(node);
    this.chart.resize();
    const narrow = node.clientWidth < 560;
    const bars = (name, index, fill) => ({
      id: name, name, type: "bar", barMaxWidth: 18, itemStyle: { color: fill }, data: rows.map((row) => row[index] ?? null),
      label: { show: true, position: "right", color: colour.text, formatter: (point) => seconds(point.value) },
    });
    draw(this.chart, `Two runs compared: ${rows.map(([stage, a, b]) => `${stage} ${seconds(a)} and ${seconds(b)}`).join(", ")}.`, {
      grid: { left: narrow ? 104 : 150, right: 80, top: 4, bottom: 28 },
      tooltip: { trigger: "axis", axisPointer: { type: "shadow" }, formatter: (points) => tip(rows[points[0].dataIndex][0], points.map((point) => [point.seriesName, seconds(point.value), point.color])) },
      xAxis: timeAxis(0, largest(rows.flatMap((row) => [row[1], row[2]])), narrow),
      yAxis: axis((value) => short(value, narrow ? 14 : 22), { type: "category", inverse: true, data: rows.map((row) => row[0]), axisLabel: { color: colour.text, interval: 0, hideOverlap: false } }),
      series: [bars("First run", 1, first), bars("Second run", 2, second)],
    });
  }
}

const COLUMNS = [
  { title: "Stage", text: true, cell: (row) => row[0] },
  { title: "First run", cell: (row) => seconds(row[1]) },
  { title: "Second run", cell: (row) => seconds(row[2]) },
  { title: "Difference", cell: (row) => difference(row[1], row[2]) },
  { title: "Change", cell: (row) => change(row[1], row[2]) },
];

function difference(before, after) {
  if (before === undefined || after === undefined) return "–";
  const gap = after - before;
  return gap > 0 ? `+${seconds(gap)}` : gap < 0 ? `−${seconds(-gap)}` : "0 s";
}
