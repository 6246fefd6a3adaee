/** CPU, GPU and memory of one task over time. */

import { axis, chart, colours, draw, legend, tip } from "./charts.js";
import { byId, fillChoice, show } from "./dom.js";
import { bytes, percent, seconds } from "./format.js";
import { taskName } from "./timeline_rows.js";

/** The section that shows a task's samples. */
export class Hardware {
  constructor() {
    this.choice = /** @type {HTMLSelectElement} */ (byId("hardware-task"));
    /** @type {any[]} */
    this.samples = [];
    this.choice.addEventListener("change", () => this.render());
  }

  /** @param {any[]} samples */
  update(samples) {
    this.samples = samples;
    show(byId("hardware-section"), samples.length > 0);
    const entries = samples.map((item, index) => /** @type {[string, string]} */ ([String(index), `${item.stage}: ${taskName(item)}`]));
    fillChoice(this.choice, entries, "0");
    this.render();
  }

  render() {
    const item = this.samples[Number(this.choice.value)];
    if (!item) return;
    const lines = shares(item);
    legend(byId("hardware-legend"), [...lines.map(([name, , colour]) => /** @type {[string, string]} */ ([name, colour])), ["Memory (lower chart)", colours().series[2]]]);
    this.chart ??= chart(byId("hardware"));
    draw(this.chart, description(item), option(item, lines));
  }
}

/** @returns {[string, number[], string][]} name, samples, colour */
function shares(item) {
  const [cpu, gpu] = colours().series;
  return item.gpu ? [["CPU", item.cpu, cpu], ["GPU", item.gpu, gpu]] : [["CPU", item.cpu, cpu]];
}

const most = (values) => values.reduce((largest, value) => Math.max(largest, value), 0);

function description(item) {
  const gpu = item.gpu ? `, GPU at most ${percent(most(item.gpu))}` : "";
  return `Hardware of ${taskName(item)}: CPU at most ${percent(most(item.cpu))}${gpu}, memory at most ${bytes(most(item.memory_bytes))}.`;
}

function option(item, lines) {
  const common = { type: "value", min: 0, max: (range) => Math.max(range.max, item.t_s.at(-1) ?? 1) };
  const line = (name, values, colour, index) => ({
    id: name, name, type: "line", showSymbol: item.t_s.length < 3, xAxisIndex: index, yAxisIndex: index,
    lineStyle: { width: 2, color: colour }, itemStyle: { color: colour },
    data: item.t_s.map((second, at) => [second, values[at]]),
  });
  return {
    grid: [{ left: 76, right: 24, top: 12, height: 110 }, { left: 76, right: 24, top: 156, height: 90 }],
    tooltip: { trigger: "axis", formatter: (points) => sampleTip(points) },
    xAxis: [axis(() => "", { ...common, gridIndex: 0 }), axis((value) => seconds(value), { ...common, gridIndex: 1 })],
    yAxis: [
      axis((value) => percent(value), { type: "value", gridIndex: 0, min: 0, max: (range) => Math.max(1, range.max), splitNumber: 2 }),
      axis((value) => bytes(value), { type: "value", gridIndex: 1, min: 0, ...memoryMarks(item) }),
    ],
    series: [...lines.map(([name, values, colour]) => line(name, values, colour, 0)), line("Memory", item.memory_bytes, colours().series[2], 1)],
  };
}

/** Marks at round numbers of bytes, which are powers of two. */
function memoryMarks(item) {
  const largest = Math.max(most(item.memory_bytes), 1);
  const step = 2 ** Math.ceil(Math.log2(largest / 3));
  return { interval: step, max: Math.ceil(largest / step) * step };
}

function sampleTip(points) {
  const shown = (point) => (point.seriesName === "Memory" ? bytes(point.value[1]) : percent(point.value[1]));
  return tip(`after ${seconds(points[0].value[0])}`, points.map((point) => [point.seriesName, shown(point), point.color]));
}
