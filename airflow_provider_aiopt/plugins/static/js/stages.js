/** How long each stage took: bars, a sentence and a table. */

import { axis, chart, colours, draw, largest, short, timeAxis, tip } from "./charts.js";
import { byId, el, fillTable } from "./dom.js";
import { bytes, count, percent, rate, seconds } from "./format.js";

const COLUMNS = [
  { title: "Stage", text: true, cell: stageCell },
  { title: "Duration", cell: (stage) => seconds(stage.duration_s) },
  { title: "Share", cell: (stage) => percent(stage.share) },
  { title: "Tasks", cell: tasksCell },
  { title: "Items", cell: (stage) => count(stage.items) },
  { title: "Items/s", cell: (stage) => rate(stage.items_per_s) },
  { title: "Quarantined", cell: (stage) => count(stage.quarantined) },
  { title: "Batch size", cell: (stage) => count(stage.batch_size) },
  { title: "Read", cell: (stage) => bytes(stage.bytes_in) },
  { title: "Written", cell: (stage) => bytes(stage.bytes_out) },
  { title: "Longest scheduled", cell: (stage) => seconds(stage.scheduled_s) },
  { title: "Longest queued", cell: (stage) => seconds(stage.queued_s) },
  { title: "Model load", cell: (stage) => seconds(stage.model_load_s) },
  { title: "Computing", cell: (stage) => seconds(stage.busy_s - stage.model_load_s) },
  { title: "Waiting for input", cell: (stage) => seconds(stage.wait_input_s) },
  { title: "Waiting for output", cell: (stage) => seconds(stage.wait_output_s) },
  { title: "CPU", cell: (stage) => percent(stage.cpu_utilisation) },
  { title: "GPU", cell: (stage) => percent(stage.gpu_utilisation) },
  { title: "Peak memory", cell: (stage) => bytes(stage.peak_memory_bytes) },
];

function stageCell(stage) {
  if (!stage.bottleneck) return stage.stage;
  return el("span", {}, stage.stage, " ", el("span", { class: "mark" }, "bottleneck"));
}

function tasksCell(stage) {
  return stage.failed ? `${count(stage.tasks)} (${count(stage.failed)} failed)` : count(stage.tasks);
}

/** @type {any} */
let made;

/** @param {any} run the answer of the run's route
 *  @param {Set<string>} highlighted stages of the task that was asked for, empty for a whole run */
export function showStages(run, highlighted) {
  // Stages that ran side by side each last as long as the run: only their busy times compare.
  const overlapped = run.mode === "streaming";
  const length = (stage) => (overlapped ? stage.busy_s : stage.duration_s);
  byId("stages-title").textContent = overlapped ? "Busy time per stage (stages ran side by side)" : "Duration per stage";
  byId("bottleneck").textContent = sentence(run.stages, length);
  fillTable(byId("stages-table"), COLUMNS, run.stages);
  const node = byId("stages");
  node.style.height = `${run.stages.length * 44 + 44}px`;
  made ??= chart(node);
  made.resize();
  draw(made, `${byId("stages-title").textContent}: ${run.stages.map((stage) => `${stage.stage} ${seconds(length(stage))}`).join(", ")}.`, option(run.stages, length, highlighted, node.clientWidth < 560));
}

function sentence(stages, length) {
  const slowest = stages.find((stage) => stage.bottleneck);
  if (!slowest) return "";
  return `Bottleneck: ${slowest.stage}, ${seconds(length(slowest))}, ${percent(slowest.share)} of the stages' time.`;
}

function option(stages, length, highlighted, narrow) {
  const colour = colours();
  const bar = (stage) => ({
    value: length(stage),
    itemStyle: {
      color: stage.bottleneck ? colour.accent : colour.plain,
      opacity: highlighted.size && !highlighted.has(stage.stage) ? 0.35 : 1,
      borderRadius: [0, 3, 3, 0],
    },
    label: { formatter: `${seconds(length(stage))}  ${percent(stage.share)}${stage.bottleneck && !narrow ? "  bottleneck" : ""}` },
  });
  return {
    grid: { left: narrow ? 104 : 150, right: narrow ? 104 : 190, top: 4, bottom: 28 },
    tooltip: { trigger: "item", formatter: (point) => stageTip(stages[point.dataIndex]) },
    xAxis: timeAxis(0, largest(stages.map(length)), narrow),
    yAxis: axis((value) => short(value, narrow ? 14 : 22), {
      type: "category", inverse: true, data: stages.map((stage) => stage.stage),
      axisLabel: { color: colour.text, fontSize: 13, interval: 0, hideOverlap: false },
    }),
    series: [{ id: "stages", type: "bar", barMaxWidth: 26, data: stages.map(bar), label: { show: true, position: "right", color: colour.text, fontSize: 13 } }],
  };
}

function stageTip(stage) {
  return tip(stage.stage, [
    ["Duration", seconds(stage.duration_s)],
    ["Share", percent(stage.share)],
    ["Items", `${count(stage.items)}, ${rate(stage.items_per_s)}`],
    ["Tasks", count(stage.tasks)],
  ]);
}
