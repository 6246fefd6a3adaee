"""The stage timings of a real Airflow: numbers against its API, pages in its UI, and who may read them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from airflow_support import REPOSITORY
from chromium import chromium
from local_airflow import AirflowClient, ApiError, LocalAirflow

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Page

pytestmark = pytest.mark.integration

PHOTOGRAPHS = REPOSITORY / "examples" / "photographs"
DAG = "image_classification"
STAGES = ["ingest", "preprocess", "inference", "postprocess"]


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    found = {point.name for point in entry_points(group="airflow.plugins")}
    assert "aiopt" in found, "The installed metadata is older than pyproject.toml: make install"


@pytest.fixture(scope="module")
def run(airflow: LocalAirflow, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run over six photographs and one file that is none, in two shards."""
    folder = tmp_path_factory.mktemp("photographs")
    for path in PHOTOGRAPHS.glob("*.*g"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "broken.jpg").write_bytes(b"not a photograph")
    airflow.wait_for_dag(DAG)
    airflow.unpause(DAG)
    run_id = airflow.trigger(DAG, {"source": str(folder), "shards": 2})
    assert airflow.wait_for_run(DAG, run_id, timeout=180) == "success"
    return run_id


def run_path(dag_id: str, run_id: str) -> str:
    return f"/aiopt/api/dags/{dag_id}/runs/{quote(run_id, safe='')}"


@pytest.fixture(scope="module")
def timings(airflow: LocalAirflow, run: str) -> dict[str, Any]:
    found: dict[str, Any] = airflow.request("GET", run_path(DAG, run))
    return found


def moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def refusal(client: AirflowClient, path: str) -> int | None:
    with pytest.raises(ApiError) as caught:
        client.request("GET", path)
    return caught.value.status


class TestNumbers:
    def test_the_run_is_airflows(self, airflow: LocalAirflow, run: str, timings: dict[str, Any]) -> None:
        known = airflow.dag_run(DAG, run)
        assert timings["state"] == known["state"] == "success"
        assert moment(timings["started_at"]) == moment(known["start_date"])
        assert moment(timings["ended_at"]) == moment(known["end_date"])
        assert timings["wall_s"] == pytest.approx(known["duration"], abs=0.001)

    def test_every_record_is_accounted_for(self, timings: dict[str, Any]) -> None:
        assert (timings["records_in"], timings["results"], timings["quarantined"]) == (7, 6, 1)
        assert timings["quarantine"] == [{"stage": "preprocess", "error": "DecodeError", "count": 1}]
        assert (timings["mode"], timings["pipeline"], timings["notes"]) == ("staged", DAG, [])

    def test_the_tasks_are_airflows(self, airflow: LocalAirflow, run: str, timings: dict[str, Any]) -> None:
        rows = {(row["task_id"], row["map_index"]): row for row in timings["tasks"]}
        known = airflow.task_instances(DAG, run)
        assert len(rows) == len(timings["tasks"]) == len(known) == 6
        for task in known:
            row = rows[task["task_id"], task["map_index"]]
            assert (row["state"], row["try_number"]) == (task["state"], task["try_number"])
            for ours, airflows in {
                "scheduled_at": "scheduled_when",
                "queued_at": "queued_when",
                "started_at": "start_date",
                "ended_at": "end_date",
            }.items():
                assert moment(row[ours]) == moment(task[airflows])

    def test_the_segments_are_those_of_the_reports(
        self, airflow: LocalAirflow, run: str, timings: dict[str, Any]
    ) -> None:
        for row in timings["tasks"]:
            report = airflow.xcom(DAG, run, row["task_id"], "stage_report", map_index=row["map_index"])
            assert (row["stage"], row["items"]) == (report["stage"], report["items_out"])
            parts = {segment["name"]: segment["seconds"] for segment in row["segments"]}
            assert parts["reading"] == report["wait_input_s"]
            assert parts["writing"] == report["wait_output_s"]
            assert parts["model_load"] == report["model_load_s"]
            assert parts["computing"] == pytest.approx(report["busy_s"] - report["model_load_s"])
            started, began = moment(row["started_at"]), moment(report["started_at"])
            assert started is not None
            assert began is not None
            assert parts["start_up"] == pytest.approx(max(0, (began - started).total_seconds()))

    def test_the_stages_are_those_of_the_run_report(self, timings: dict[str, Any]) -> None:
        assert [stage["stage"] for stage in timings["stages"]] == STAGES
        assert [stage["tasks"] for stage in timings["stages"]] == [1, 2, 2, 1]
        assert sum(stage["bottleneck"] for stage in timings["stages"]) == 1
        inference = timings["stages"][2]
        assert 0 < inference["batch_size"] <= 8
        assert inference["gpu_utilisation"] is None

    def test_one_mapped_task(self, airflow: LocalAirflow, run: str) -> None:
        query = "?task_id=inference&map_index=1"
        found = airflow.request("GET", run_path(DAG, run) + query)
        assert [(row["task_id"], row["map_index"]) for row in found["tasks"]] == [("inference", 1)]

    def test_csv_has_the_same_numbers(self, airflow: LocalAirflow, run: str, timings: dict[str, Any]) -> None:
        answer = httpx.get(
            f"{airflow.url}{run_path(DAG, run)}.csv", headers={"Authorization": f"Bearer {airflow.token()}"}
        )
        assert answer.headers["content-disposition"].startswith("attachment; filename=")
        rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        assert [(row["Task"], int(row["Map_index"])) for row in rows] == [
            (row["task_id"], row["map_index"]) for row in timings["tasks"]
        ]
        for row, task in zip(rows, timings["tasks"], strict=True):
            for segment in task["segments"]:
                assert float(row[f"{segment['name'].capitalize()}_s"]) == segment["seconds"]

    def test_the_trend_has_the_run(self, airflow: LocalAirflow, run: str, timings: dict[str, Any]) -> None:
        trend = airflow.request("GET", f"/aiopt/api/dags/{DAG}/trend")
        (found,) = [item for item in trend["runs"] if item["run_id"] == run]
        assert found["stages"] == {stage["stage"]: stage["duration_s"] for stage in timings["stages"]}
        assert found["wall_s"] == timings["wall_s"]
        assert trend["stages"].keys() == set(STAGES)

    def test_the_pipeline_is_listed(self, airflow: LocalAirflow, run: str) -> None:
        rows = airflow.request("GET", "/aiopt/api/pipelines")["pipelines"]
        (row,) = [row for row in rows if row["dag_id"] == DAG]
        assert row["pipeline"] == DAG
        assert row["slowest_stage"] in STAGES
        assert row["trend"][-1] == row["last_run"]["wall_s"]


@pytest.fixture(scope="module")
def page(airflow: LocalAirflow) -> Iterator[Page]:
    """A browser with a user who has logged in to Airflow, as users do."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.set_default_timeout(60_000)
        page.goto(airflow.url)
        page.fill("input[name=username]", airflow.username)
        page.fill("input[name=password]", airflow.password)
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Browse")
        yield page


class TestPages:
    """The tabs within Airflow's own pages."""

    def show(self, page: Page, airflow: LocalAirflow, path: str) -> FrameLocator:
        page.goto(f"{airflow.url}{path}")
        frame = page.frame_locator("iframe")
        frame.locator("#content:not([hidden])").wait_for()
        return frame

    def test_the_tab_of_a_run_shows_the_numbers_of_the_route(
        self, page: Page, airflow: LocalAirflow, run: str, timings: dict[str, Any]
    ) -> None:
        page.goto(f"{airflow.url}/dags/{DAG}/runs/{quote(run, safe='')}")
        page.click("text=Stage timings")
        frame = page.frame_locator("iframe")
        frame.locator("#content:not([hidden])").wait_for()
        text = frame.locator("body").inner_text()
        assert run in text
        (bottleneck,) = [stage["stage"] for stage in timings["stages"] if stage["bottleneck"]]
        assert f"Bottleneck: {bottleneck}" in text
        rows = [
            row.locator("th, td").all_inner_texts() for row in frame.locator("#stages-table tbody tr").all()
        ]
        tasks_and_items = [(cells[0].split()[0], int(cells[3]), int(cells[4])) for cells in rows]
        assert tasks_and_items == [
            (stage["stage"], stage["tasks"], stage["items"]) for stage in timings["stages"]
        ]
        assert "DecodeError" in text

    def test_the_link_of_a_task_leads_there(self, page: Page, airflow: LocalAirflow, run: str) -> None:
        path = f"/api/v2/dags/{DAG}/dagRuns/{quote(run, safe='')}/taskInstances/ingest/links"
        url = airflow.request("GET", path)["extra_links"]["Stage timings"]
        frame = self.show(page, airflow, url.removeprefix(airflow.url))
        assert run in frame.locator("body").inner_text()

    def test_the_tab_of_a_mapped_task_knows_which(self, page: Page, airflow: LocalAirflow, run: str) -> None:
        path = f"/dags/{DAG}/runs/{quote(run, safe='')}/tasks/inference/mapped/1/plugin/aiopt-task"
        frame = self.show(page, airflow, path)
        assert "inference [1]" in frame.locator("body").inner_text()

    def test_the_tab_of_a_dag_has_its_runs(self, page: Page, airflow: LocalAirflow, run: str) -> None:
        assert run in self.show(page, airflow, f"/dags/{DAG}/plugin/aiopt-dag").locator("body").inner_text()

    def test_the_page_of_all_pipelines_has_the_dag(self, page: Page, airflow: LocalAirflow, run: str) -> None:
        assert DAG in self.show(page, airflow, "/plugin/aiopt").locator("body").inner_text()
        page.reload()  # Airflow has put the frame's place into the address meanwhile
        frame = page.frame_locator("iframe")
        frame.locator("#content:not([hidden])").wait_for()
        assert DAG in frame.locator("body").inner_text()


class TestWithoutThePages:
    """What Airflow's own pages show."""

    def test_the_last_stage_leaves_the_runs_report(
        self, airflow: LocalAirflow, run: str, timings: dict[str, Any]
    ) -> None:
        found = airflow.xcom(DAG, run, "postprocess", "run_report")
        for name in ("pipeline", "records_in", "results", "quarantined"):
            assert found[name] == timings[name]
        for stage in timings["stages"]:
            told = found["stages"][stage["stage"]]
            assert (told["tasks"], told["items"]) == (stage["tasks"], stage["items"])
            assert told["duration_s"] == pytest.approx(stage["duration_s"], rel=1e-3)

    def test_it_is_on_the_tasks_xcom_page(self, page: Page, airflow: LocalAirflow, run: str) -> None:
        page.goto(f"{airflow.url}/dags/{DAG}/runs/{quote(run, safe='')}/tasks/postprocess/xcom")
        row = page.locator("tr", has=page.get_by_text("run_report", exact=True))
        row.wait_for()
        page.get_by_role("button", name=re.compile("expand", re.IGNORECASE)).first.click()
        row.get_by_text("records_in").first.wait_for()


class TestAccess:
    def test_the_plugin_is_loaded_without_complaint(self, airflow: LocalAirflow) -> None:
        (plugin,) = [
            plugin
            for plugin in airflow.request("GET", "/api/v2/plugins?limit=100")["plugins"]
            if plugin["name"] == "aiopt"
        ]
        assert len(plugin["external_views"]) == 4
        assert airflow.request("GET", "/api/v2/plugins/importErrors")["import_errors"] == []

    @pytest.mark.parametrize(
        "path", [f"/dags/{DAG}/trend", "/pipelines", "/dags/d/runs/r", "/dags/d/runs/r/hardware"]
    )
    def test_an_anonymous_caller_gets_401(self, airflow: LocalAirflow, path: str) -> None:
        answer = httpx.get(f"{airflow.url}/aiopt/api{path}")
        assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})

    def test_the_browsers_cookie_is_a_login(self, airflow: LocalAirflow, run: str) -> None:
        answer = httpx.get(f"{airflow.url}{run_path(DAG, run)}", cookies={"_token": airflow.token()})
        assert answer.status_code == 200

    @pytest.mark.parametrize(
        "path",
        [
            f"/dags/{DAG}/runs/none",
            f"/dags/{DAG}/runs/none/hardware",
            "/dags/none/runs/none",
            "/dags/none/trend",
        ],
    )
    def test_what_is_unknown_gets_404(self, airflow: LocalAirflow, path: str) -> None:
        assert refusal(airflow, f"/aiopt/api{path}") == 404
