/** CPU, GPU and memory over time: of a run's stages, or of one task. */

import { getJson } from "./api.js";
import { axis, chart, colours, draw, largest, legend, timeAxis, tip } from "./charts.js";
import { byId, fillChoice, fillTable, show } from "./dom.js";
import { bytes, count, percent, seconds } from "./format.js";
import { taskName } from "./timeline_rows.js";

const PANEL_PX = 84;
const TITLE_PX = 38;
const NARROW_PX = 560;
const cores = (value) => (value === null || value === undefined ? count(value) : `${count(value)} ${value === 1 ? "core" : "cores"}`);

/** What is drawn, each in a panel of its own below the one before. */
const PANELS = [
  { column: "cpu_cores", title: "CPU cores busy", format: cores, marks: count, axis: {} },
  { column: "host_cpu", title: "CPU of the host", format: percent, marks: percent, axis: { max: 1, interval: 0.5 } },
  { column: "memory_bytes", title: "Memory", format: bytes, marks: bytes, axis: {} },
  { column: "gpu_utilisation", title: "GPU", format: percent, marks: percent, axis: { max: 1, interval: 0.5 } },
  { column: "gpu_memory_bytes", title: "GPU memory", format: bytes, marks: bytes, axis: {} },
];

/** The section that shows the samples. */
export class Hardware {
  /** @param {(task: Record<string, string>) => string} address of the route, for all tasks or for one */
  constructor(address) {
    this.address = address;
    this.choice = /** @type {HTMLSelectElement} */ (byId("hardware-task"));
    this.asked = 0;
    /** @type {any} */
    this.answer = null;
    this.choice.addEventListener("change", () => this.refresh());
  }

  /** Ask again for what is shown; what comes late is dropped. */
  async refresh() {
    this.asked += 1;
    const turn = this.asked;
    try {
      const answer = await getJson(this.address(JSON.parse(this.choice.value || "{}")));
      if (turn !== this.asked) return;
      if (!this.choice.value) this.offer(answer.tasks);
      this.answer = answer;
      this.render();
    } catch (error) {
      // The run's own route tells what is wrong; the curves that are there stay.
      if (turn === this.asked) byId("hardware-note").textContent = /** @type {Error} */ (error).message;
    }
  }

  /** @param {any[]} tasks */
  offer(tasks) {
    const one = (task) => JSON.stringify({ task_id: task.task_id, map_index: String(task.map_index) });
    const entries = tasks.map((task) => /** @type {[string, string]} */ ([one(task), taskName(task)]));
    fillChoice(this.choice, [["", `all ${count(tasks.length)} tasks`], ...entries], "");
    show(byId("hardware-choice"), tasks.length > 1);
  }

  render() {
    const { answer } = this;
    if (!answer) return;
    show(byId("hardware-section"), answer.curves.length > 0);
    if (!answer.curves.length) return;
    byId("hardware-note").textContent = note(answer);
    const colour = colours().series;
    const lines = answer.curves.map((curve, index) => ({ curve, colour: colour[index % colour.length] }));
    legend(byId("hardware-legend"), lines.length > 1 ? lines.map((line) => [line.curve.name, line.colour]) : []);
    const panels = PANELS.filter(({ column }) => answer.curves.some((curve) => curve[column].length > 0));
    fillTable(byId("hardware-table"), COLUMNS, answer.curves);
    const node = byId("hardware");
    node.style.height = `${panels.length * (PANEL_PX + TITLE_PX) + 44}px`;
    this.chart ??= chart(node);
    this.chart.resize();
    draw(this.chart, description(answer, panels), option(answer, panels, lines, node.clientWidth < NARROW_PX), ["series", "grid", "xAxis", "yAxis", "title"]);
  }
}

const most = (values) => (values.length ? largest(values) : null);
const COLUMNS = [
  { title: "Most used by", text: true, cell: (curve) => curve.name },
  { title: "Tasks", cell: (curve) => count(curve.tasks) },
  ...PANELS.map(({ column, title, format }) => ({ title, cell: (curve) => format(most(curve[column])) })),
];

function note(answer) {
  const { fullest } = answer;
  const parts = [];
  if (answer.tasks.length > 1) parts.push("Cores and memory are those of all tasks together, the rest is the mean over the tasks.");
  if (fullest) parts.push(`${taskName(fullest)} came nearest to its memory limit: ${bytes(fullest.memory_bytes)} of ${bytes(fullest.limit_bytes)}, ${percent(fullest.memory_bytes / fullest.limit_bytes)}.`);
  if (answer.unread) parts.push(`${count(answer.unread)} more tasks are not shown.`);
  return parts.join(" ");
}

function description(answer, panels) {
  const parts = answer.curves.map((curve) =>
    `${curve.name}: ${panels.map(({ column, title, format }) => `${title} at most ${format(most(curve[column]))}`).join(", ")}`);
  return `Hardware over time. ${parts.join(". ")}.`;
}

function option(answer, panels, lines, narrow) {
  const colour = colours();
  const left = narrow ? 64 : 84;
  const top = (index) => index * (PANEL_PX + TITLE_PX) + TITLE_PX;
  const ends = answer.curves.map((curve) => curve.t_s.at(-1) ?? 0);
  const last = panels.length - 1;
  const origin = `since the ${answer.origin} began`;
  return {
    title: panels.map(({ title }, index) => ({ text: title, left: 0, top: top(index) - 22, padding: 0, textStyle: { fontSize: 13, fontWeight: 600, color: colour.text } })),
    // Room for the last mark is left by hand: the panel with the marks would be narrower than those above it.
    grid: panels.map((_, index) => ({ left, right: narrow ? 30 : 44, top: top(index), height: PANEL_PX, outerBoundsMode: "none" })),
    tooltip: { trigger: "axis", formatter: (points) => sampleTip(points, panels, origin) },
    axisPointer: { link: [{ xAxisIndex: "all" }] },
    xAxis: panels.map((_, index) => timeAxis(0, largest(ends), narrow, {
      gridIndex: index,
      ...(index === last ? { name: origin, nameLocation: "middle", nameGap: 26 } : { axisLabel: { show: false } }),
    })),
    yAxis: panels.map((panel, index) => axis((value) => panel.marks(value), { type: "value", gridIndex: index, min: 0, splitNumber: 2, ...panel.axis, ...byteMarks(panel, answer.curves) })),
    series: panels.flatMap(({ column }, index) => lines.filter(({ curve }) => curve[column].length > 0).map((line) => series(line, column, index))),
  };
}

function series({ curve, colour }, column, index) {
  return {
    id: `${column} of ${curve.name}`, name: curve.name, type: "line", xAxisIndex: index, yAxisIndex: index,
    showSymbol: curve.t_s.length < 3, lineStyle: { width: 2, color: colour }, itemStyle: { color: colour },
    areaStyle: { color: colour, opacity: 0.12 },
    data: curve.t_s.map((second, at) => [second, curve[column][at]]),
  };
}

/** Marks at round numbers of bytes, which are powers of two. */
function byteMarks({ column, format }, curves) {
  if (format !== bytes) return {};
  const top = Math.max(largest(curves.flatMap((curve) => curve[column])), 1);
  const step = 2 ** Math.ceil(Math.log2(top / 3));
  return { interval: step, max: Math.ceil(top / step) * step };
}

function sampleTip(points, panels, origin) {
  const known = points.filter((point) => typeof point.value[1] === "number");
  const rows = known.map((point) => {
    const { title, format } = panels[point.axisIndex];
    return /** @type {[string, string, string]} */ ([`${point.seriesName}: ${title}`, format(point.value[1]), point.color]);
  });
  return tip(`${seconds(points[0].value[0])} ${origin}`, rows);
}
