/** The page of one run, or of one task of it. */

import { QUERY, airflowUrl, apiUrl, getJson, pageUrl } from "./api.js";
import { airflowLink, badge, byId, el, fillTable, followTopLinks, link, say, show } from "./dom.js";
import { count, seconds, time } from "./format.js";
import { Hardware } from "./hardware.js";
import { poll } from "./poll.js";
import { showStages } from "./stages.js";
import { followTheme } from "./theme.js";
import { Timeline } from "./timeline.js";

const DAG_ID = QUERY.get("dag_id") ?? "";
const RUN_ID = QUERY.get("run_id") ?? "";
const TASK = taskQuery();
const QUARANTINE = [
  { title: "Stage", text: true, cell: (row) => row.stage },
  { title: "Reason", text: true, cell: (row) => row.error },
  { title: "Records", cell: (row) => count(row.count) },
];

/** The task that was asked for, as the routes take it. */
function taskQuery() {
  const taskId = QUERY.get("task_id");
  const index = Number.parseInt(QUERY.get("map_index") ?? "", 10);
  if (!taskId) return {};
  return index >= 0 ? { task_id: taskId, map_index: String(index) } : { task_id: taskId };
}

/** @type {any} */
let run = null;
let shown = "";
let sampledFor = "";
const timeline = new Timeline();
const hardware = new Hardware((task) => apiUrl(["dags", DAG_ID, "runs", RUN_ID, "hardware"], { ...TASK, ...task }));

function links() {
  const about = [DAG_ID, "runs", RUN_ID];
  const items = [
    link(apiUrl(["dags", ...about], TASK, ".csv"), "Download CSV", { download: "", id: "csv" }),
    link(apiUrl(["dags", ...about], TASK), "Download JSON", { download: `${DAG_ID}-${RUN_ID}.json`, id: "json" }),
    link(pageUrl("dag.html", { dag_id: DAG_ID }), "Trend of this DAG"),
    link(pageUrl("overview.html"), "All pipelines"),
    airflowLink(airflowUrl("dags", ...about), "Run in Airflow"),
  ];
  if (TASK.task_id) items.splice(2, 0, link(pageUrl("run.html", { dag_id: DAG_ID, run_id: RUN_ID }), "Whole run"));
  byId("links").replaceChildren(...items.map((item) => el("li", {}, item)));
}

function heading() {
  const task = TASK.task_id ? `${TASK.task_id}${TASK.map_index ? ` [${TASK.map_index}]` : ""}` : "";
  byId("title").textContent = task ? `${task} in ${DAG_ID}` : DAG_ID;
  byId("run-id").textContent = RUN_ID;
  document.title = `Stage timings: ${DAG_ID} ${RUN_ID}`;
}

function facts() {
  const entries = [
    ["State", badge(run.state)],
    [run.ended_at ? "Wall time" : "Wall time so far", seconds(run.wall_s)],
    ["Records in", count(run.records_in)],
    ["Results", count(run.results)],
    ["Quarantined", count(run.quarantined)],
    ...(run.pipeline === DAG_ID ? [] : [["Pipeline", run.pipeline]]),
    ["Mode", run.mode ?? "–"],
  ];
  byId("started").textContent = run.started_at ? `started ${time(run.started_at)}` : "not started";
  byId("facts").replaceChildren(
    ...entries.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
  );
}

function texts() {
  show(byId("advice-section"), run.advice.length > 0);
  byId("advice").replaceChildren(
    ...run.advice.map((item) => el("li", {}, el("strong", {}, item.title), el("p", {}, item.text))),
  );
  show(byId("notes"), run.notes.length > 0);
  byId("notes").replaceChildren(...run.notes.map((note) => el("li", {}, note)));
  show(byId("quarantine-section"), run.quarantine.length > 0);
  fillTable(byId("quarantine-table"), QUARANTINE, run.quarantine);
}

function render() {
  if (!run) return;
  show(byId("content"), true);
  facts();
  texts();
  const reported = run.stages.length > 0;
  show(byId("empty"), !reported);
  show(byId("stages-section"), reported);
  const highlighted = new Set(TASK.task_id ? run.tasks.map((task) => task.stage) : []);
  if (reported) showStages(run, highlighted);
  timeline.update(run.tasks);
}

function redraw() {
  render();
  hardware.render();
}

/** Tasks leave their samples when they end. They are asked for once the charts above have been painted: of a wide
 *  run they are the largest answer. */
function sampled() {
  const ended = JSON.stringify(run.tasks.map((task) => task.ended_at));
  if (ended !== sampledFor) requestAnimationFrame(() => setTimeout(() => hardware.refresh()));
  sampledFor = ended;
}

async function step() {
  const answer = await getJson(apiUrl(["dags", DAG_ID, "runs", RUN_ID], TASK));
  say("");
  const text = JSON.stringify(answer);
  run = answer;
  if (text !== shown) render();
  shown = text;
  sampled();
  const live = run.state === "running" || run.state === "queued";
  show(byId("live"), live);
  return { answer, more: live };
}

followTheme(redraw);
followTopLinks();
if (DAG_ID && RUN_ID) {
  heading();
  links();
  poll(step, (error) => say(error.message, "error"));
} else {
  say("The address names no run: dag_id and run_id are needed.", "error");
}
