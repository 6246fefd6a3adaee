/** Which rows a run's timeline shows, and where each one begins. Pure functions. */

import { SEGMENTS } from "./charts.js";
import { count } from "./format.js";

/** A stage of more tasks than this is shown by its percentiles at first. */
export const MANY = 10;
/** So is a whole run of more tasks than this. */
export const MANY_IN_RUN = 40;

/** @typedef {{label: string, task: any, begin: number, seconds: Record<string, number>, total: number}} Row */

/** @param {any} task
 *  @returns {string} the task with its map index, as Airflow writes it */
export const taskName = (task) => (task.map_index >= 0 ? `${task.task_id} [${task.map_index}]` : task.task_id);

/** When a task first waited or ran, in milliseconds.
 *  @param {any} task */
function beginning(task) {
  return Date.parse(task.scheduled_at ?? task.queued_at ?? task.started_at ?? "");
}

/** @param {any[]} tasks of one run
 *  @returns {Row[]} in the order of the run's stages; begin is in seconds after the first one's */
export function rows(tasks) {
  const names = tasks.map(taskName);
  const seen = new Set();
  const several = new Set(names.filter((name) => seen.size === seen.add(name).size));
  const begins = tasks.map(beginning);
  const origin = begins.reduce((least, begin) => (begin < least ? begin : least), Infinity);
  return tasks.map((task, index) => {
    const seconds = Object.fromEntries(SEGMENTS.map(({ name }) => [name, 0]));
    for (const segment of task.segments) seconds[segment.name] = segment.seconds;
    const total = Object.values(seconds).reduce((sum, value) => sum + value, 0);
    const begin = Number.isFinite(begins[index]) ? (begins[index] - origin) / 1000 : 0;
    // A task that ran several stages has a row for each.
    const label = several.has(names[index]) ? `${names[index]}: ${task.stage}` : names[index];
    return { label, task, begin, seconds, total };
  });
}

/** @param {Row[]} all
 *  @returns {boolean} whether percentiles say more than all rows */
export const areMany = (all) => all.length > MANY_IN_RUN;

/** The tasks at the percentiles of each large stage: real tasks, not averages.
 *  @param {Row[]} all
 *  @returns {Row[]} */
export function percentileRows(all) {
  /** @type {Map<string, Row[]>} */
  const stages = new Map();
  for (const row of all) {
    const ofStage = stages.get(row.task.stage) ?? [];
    ofStage.push(row);
    stages.set(row.task.stage, ofStage);
  }
  const picked = [...stages].flatMap(([stage, ofStage]) => (ofStage.length > MANY ? ranked(stage, ofStage) : ofStage));
  // All from zero: a long run would shrink each of them to a line.
  return picked.map((row) => ({ ...row, begin: 0 }));
}

function ranked(stage, ofStage) {
  const sorted = [...ofStage].sort((a, b) => a.total - b.total);
  const last = sorted.length - 1;
  const ranks = [
    ["fastest", 0],
    ["median", Math.round(last * 0.5)],
    ["p95", Math.round(last * 0.95)],
    ["slowest", last],
  ];
  return ranks.map(([name, index]) => ({ ...sorted[index], label: `${stage} ${name}` }));
}

/** @param {Row[]} all
 *  @returns {string} what the percentiles stand for */
export function manyNote(all) {
  return `${count(all.length)} tasks: of each stage with more than ${MANY}, the fastest, the median, the 95th percentile and the slowest task.`;
}
