/** The page of one DAG: how its runs went lately, and two of them side by side. */

import { QUERY, airflowUrl, apiUrl, getJson, pageUrl } from "./api.js";
import { axis, chart, colours, draw, largest, legend, timeAxis, tip } from "./charts.js";
import { Comparison } from "./compare.js";
import { airflowLink, badge, byId, el, fillTable, followTopLinks, link, say, show } from "./dom.js";
import { change, count, seconds, shortTime, time } from "./format.js";
import { poll } from "./poll.js";
import { followTheme } from "./theme.js";

const DAG_ID = QUERY.get("dag_id") ?? "";
const PERIOD_MS = 5000;
const STAGES = [
  { title: "Stage", text: true, cell: stageCell },
  { title: "Median (p50)", cell: ([, stage]) => seconds(stage.p50) },
  { title: "p95", cell: ([, stage]) => seconds(stage.p95) },
  { title: "Last run", cell: ([, stage]) => seconds(stage.latest) },
  { title: "Last run against median", cell: ([, stage]) => change(stage.p50, stage.latest) },
];
const RUNS = [
  { title: "Run", text: true, cell: (run) => link(runUrl(run), run.run_id) },
  { title: "State", text: true, cell: (run) => badge(run.state) },
  { title: "Started", text: true, cell: (run) => time(run.started_at) },
  { title: "Wall time", cell: (run) => seconds(run.wall_s) },
  { title: "Records in", cell: (run) => count(run.records_in) },
  { title: "Results", cell: (run) => count(run.results) },
  { title: "Quarantined", cell: (run) => count(run.quarantined) },
  { title: "In Airflow", text: true, cell: (run) => airflowLink(airflowUrl("dags", DAG_ID, "runs", run.run_id), "Open") },
];

/** @type {any} */
let trend = null;
/** @type {any} */
let made;
let shown = "";
const comparison = new Comparison();

const runUrl = (run) => pageUrl("run.html", { dag_id: DAG_ID, run_id: run.run_id });

function stageCell([name, stage]) {
  if (!stage.change) return name;
  const mark = stage.change === "slower" ? "▲ slower" : "▼ faster";
  return el("span", {}, name, " ", stage.change === "slower" ? el("span", { class: "mark" }, mark) : mark);
}

function render() {
  if (!trend) return;
  const stages = Object.entries(trend.stages);
  show(byId("content"), true);
  const some = stages.length > 0;
  show(byId("empty"), !some);
  show(byId("trend-section"), some);
  show(byId("stages-section"), some);
  show(byId("runs-section"), trend.runs.length > 0);
  const changed = (how) => stages.filter(([, stage]) => stage.change === how).map(([name]) => name);
  const found = [["slower", "Slower"], ["faster", "Faster"]].filter(([how]) => changed(how).length);
  const said = found.map(([how, word]) => `${word} than usual in the last run: ${changed(how).join(", ")}.`);
  byId("regressions").textContent = said.join(" ") || "No stage was slower or faster than usual in the last run.";
  fillTable(byId("stages-table"), STAGES, stages);
  fillTable(byId("runs-table"), RUNS, [...trend.runs].reverse());
  comparison.update(trend.runs);
  if (some) drawTrend(stages.map(([name]) => name));
}

/** @param {string[]} names */
function drawTrend(names) {
  const colour = colours();
  const of = (index) => colour.series[index % colour.series.length];
  legend(byId("trend-legend"), names.map((name, index) => [name, of(index)]));
  if (!made) {
    made = chart(byId("trend"));
    made.on("click", (point) => {
      location.href = runUrl(trend.runs[point.dataIndex]);
    });
  }
  const symbols = ["circle", "rect", "triangle", "diamond", "roundRect", "pin"];
  draw(made, `Duration of each stage over the last ${trend.runs.length} runs. The tables below have the numbers.`, {
    grid: { left: 68, right: 24, top: 14, bottom: 34 },
    tooltip: { trigger: "axis", formatter: (points) => runTip(points) },
    xAxis: axis((value) => shortTime(trend.runs[Number(value)]?.started_at), { type: "category", data: trend.runs.map((_, index) => String(index)) }),
    yAxis: timeAxis(0, largest(trend.runs.flatMap((run) => Object.values(run.stages))), false),
    series: names.map((name, index) => ({
      id: name, name, type: "line", symbol: symbols[index % symbols.length], symbolSize: 7, connectNulls: true,
      lineStyle: { width: 2, color: of(index) }, itemStyle: { color: of(index) },
      data: trend.runs.map((run) => run.stages[name] ?? null),
    })),
  });
}

function runTip(points) {
  const run = trend.runs[points[0].dataIndex];
  const lines = points.map((point) => [point.seriesName, seconds(point.value), point.color]);
  return tip(run.run_id, [...lines, ["Wall time", seconds(run.wall_s)], ["State", run.state]]);
}

async function step() {
  const answer = await getJson(apiUrl(["dags", DAG_ID, "trend"], { limit: QUERY.get("limit") ?? "50" }));
  say("");
  const text = JSON.stringify(answer);
  trend = answer;
  if (text !== shown) render();
  shown = text;
  return { answer, more: trend.runs.some((run) => run.state === "running" || run.state === "queued") };
}

followTheme(render);
followTopLinks();
if (DAG_ID) {
  byId("title").textContent = DAG_ID;
  document.title = `Stage timings: ${DAG_ID}`;
  const items = [link(pageUrl("overview.html"), "All pipelines"), airflowLink(airflowUrl("dags", DAG_ID), "DAG in Airflow")];
  byId("links").replaceChildren(...items.map((item) => el("li", {}, item)));
  poll(step, (error) => say(error.message, "error"), PERIOD_MS);
} else {
  say("The address names no DAG: dag_id is needed.", "error");
}
