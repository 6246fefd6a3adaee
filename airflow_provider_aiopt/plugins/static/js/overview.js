/** The page of all pipelines. */

import { QUERY, airflowUrl, apiUrl, getJson, pageUrl } from "./api.js";
import { chart, colours, draw } from "./charts.js";
import { airflowLink, badge, byId, el, fillTable, followTopLinks, link, say, show } from "./dom.js";
import { count, seconds, time } from "./format.js";
import { poll } from "./poll.js";
import { followTheme } from "./theme.js";

const PERIOD_MS = 10_000;
const COLUMNS = [
  { title: "DAG", text: true, cell: (row) => link(pageUrl("dag.html", { dag_id: row.dag_id }), row.dag_id) },
  { title: "Pipeline", text: true, cell: (row) => row.pipeline ?? "–" },
  { title: "Last run", text: true, cell: lastRun },
  { title: "State", text: true, cell: (row) => (row.last_run ? badge(row.last_run.state) : "–") },
  { title: "Wall time", cell: (row) => seconds(row.last_run?.wall_s) },
  { title: "Slowest stage", text: true, cell: (row) => row.slowest_stage ?? "–" },
  { title: "Trend of wall time", text: true, cell: sparkline },
  { title: "In Airflow", text: true, cell: (row) => airflowLink(airflowUrl("dags", row.dag_id), "Open") },
];
const search = /** @type {HTMLInputElement} */ (byId("search"));
/** @type {any[]|null} */
let pipelines = null;
let shown = "";

function lastRun(row) {
  if (!row.last_run) return "no run yet";
  return link(pageUrl("run.html", { dag_id: row.dag_id, run_id: row.last_run.run_id }), row.last_run.started_at ? time(row.last_run.started_at) : row.last_run.run_id);
}

/** A place for a small chart: it is drawn when it comes into view. */
function sparkline(row) {
  if (row.trend.length < 2) return "–";
  const text = `${row.trend.length} runs, from ${seconds(row.trend[0])} to ${seconds(row.trend.at(-1))}`;
  return el("div", { class: "sparkline", "data-trend": JSON.stringify(row.trend), role: "img", "aria-label": text, title: text });
}

const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    observer.unobserve(entry.target);
    drawSparkline(/** @type {HTMLElement} */ (entry.target));
  }
});

/** @param {HTMLElement} place */
function drawSparkline(place) {
  const trend = JSON.parse(place.dataset.trend ?? "[]");
  const colour = colours();
  const inside = el("div", { class: "sparkline-chart", "aria-hidden": "true" });
  place.replaceChildren(inside);
  draw(chart(inside), "", {
    grid: { left: 2, right: 5, top: 4, bottom: 4 },
    tooltip: { show: false },
    xAxis: { type: "category", show: false, boundaryGap: false, data: trend.map((_, index) => index) },
    yAxis: { type: "value", show: false, min: 0 },
    series: [{
      id: "trend", type: "line", silent: true, showSymbol: false, lineStyle: { width: 2, color: colour.series[0] },
      areaStyle: { color: colour.series[0], opacity: 0.15 }, data: trend,
    }],
  });
}

function disposeSparklines() {
  for (const node of document.querySelectorAll(".sparkline-chart")) {
    window.echarts.getInstanceByDom(node)?.dispose();
    node.remove();
  }
}

function render() {
  if (!pipelines) return;
  const wanted = search.value.trim().toLowerCase();
  const rows = pipelines.filter((row) => `${row.dag_id} ${row.pipeline}`.toLowerCase().includes(wanted));
  show(byId("content"), pipelines.length > 0);
  show(byId("empty"), pipelines.length === 0);
  byId("found").textContent = wanted ? `${count(rows.length)} of ${count(pipelines.length)} pipelines` : `${count(pipelines.length)} pipelines`;
  disposeSparklines();
  fillTable(byId("pipelines-table"), COLUMNS, rows);
  for (const place of document.querySelectorAll(".sparkline")) observer.observe(place);
}

async function step() {
  const answer = await getJson(apiUrl(["pipelines"], { limit: QUERY.get("limit") ?? "100" }));
  say("");
  const text = JSON.stringify(answer);
  pipelines = answer.pipelines;
  if (text !== shown) render();
  shown = text;
  return { answer, more: true };
}

followTheme(render);
followTopLinks();
search.addEventListener("input", render);
poll(step, (error) => say(error.message, "error"), PERIOD_MS);
