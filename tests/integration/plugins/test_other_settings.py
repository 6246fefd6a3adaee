"""The pages of an Airflow that is set up as behind a proxy, for users who may not see everything.

Its addresses begin with a base path, its auth manager refuses a user, and its metrics go to an OpenTelemetry
collector.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest
from airflow_support import wait_until
from chromium import chromium
from local_airflow import AirflowClient, ApiError, LocalAirflow
from otlp_receiver import OtlpReceiver, otlp_env
from restricted_access import STRANGER

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.integration

BASE_PATH = "/team/airflow"
DAG = "live_timings"
SOURCE = """
from pathlib import Path
from time import monotonic, sleep

from airflow.sdk import DAG, task

with DAG("live_timings", schedule=None):

    @task.timed_stage(stage="first")
    def first():
        pass

    @task.timed_stage(stage="second")
    def second(gate):
        least = monotonic() + 3  # for three samples of the hardware
        for _ in range(2400):
            if Path(gate).exists() and monotonic() > least:
                return
            sleep(0.05)
        raise TimeoutError(gate)

    first() >> second({gate!r})
"""


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpReceiver]:
    running = OtlpReceiver()
    yield running
    running.close()


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the second task waits for."""
    return tmp_path_factory.mktemp("gate") / "open"


@pytest.fixture(scope="module")
def prefixed(
    tmp_path_factory: pytest.TempPathFactory, collector: OtlpReceiver, gate: Path
) -> Iterator[LocalAirflow]:
    home, dags = tmp_path_factory.mktemp("prefixed"), tmp_path_factory.mktemp("dags")
    (dags / f"{DAG}.py").write_text(SOURCE.format(gate=str(gate)))
    modules = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {
        "PYTHONPATH": os.pathsep.join(modules),
        "AIRFLOW__CORE__AUTH_MANAGER": "restricted_access.RestrictedAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"admin:admin,{STRANGER}:viewer",
        **otlp_env(collector.port),
    }
    with LocalAirflow(home, dags, env=env, base_path=BASE_PATH) as running:
        yield running
        gate.touch()


def run_path(run_id: str) -> str:
    return f"/aiopt/api/dags/{DAG}/runs/{quote(run_id, safe='')}"


def test_a_user_without_access_to_the_dag_gets_403(prefixed: LocalAirflow) -> None:
    assert prefixed.request("GET", "/aiopt/api/pipelines") == {"pipelines": []}
    passwords = json.loads((prefixed.home / "passwords.json").read_text())
    stranger = AirflowClient(prefixed.url, STRANGER, passwords[STRANGER])
    run = f"/aiopt/api/dags/{DAG}/runs/r"
    paths = (run, f"{run}.csv", f"{run}/hardware", f"/aiopt/api/dags/{DAG}/trend", "/aiopt/api/pipelines")
    try:
        # The last: Airflow's own API answers the same user alike.
        for path in (*paths, f"/api/v2/dags/{DAG}/dagRuns"):
            with pytest.raises(ApiError) as caught:
                stranger.request("GET", path)
            assert caught.value.status == 403
    finally:
        stranger._http.close()


class Live:
    """A run whose first task has ended and whose second runs until the gate opens.

    :param run_id: the run
    :param answer: what the route said then
    """

    def __init__(self, airflow: LocalAirflow, gate: Path) -> None:
        self._airflow, self._gate = airflow, gate
        airflow.wait_for_dag(DAG)
        airflow.unpause(DAG)
        self.run_id = airflow.trigger(DAG)
        wait_until(self._second_runs, "the second task runs", timeout=90)
        self.answer: dict[str, Any] = airflow.request("GET", run_path(self.run_id))

    def _second_runs(self) -> bool:
        rows = self._airflow.request("GET", run_path(self.run_id))["tasks"]
        return any(row["task_id"] == "second" and row["state"] == "running" for row in rows)

    def end(self) -> None:
        """Let the second task end, and wait for the run to do so."""
        self._gate.touch()
        assert self._airflow.wait_for_run(DAG, self.run_id, timeout=90) == "success"


@pytest.fixture(scope="module")
def live(prefixed: LocalAirflow, gate: Path) -> Live:
    return Live(prefixed, gate)


@pytest.fixture(scope="module")
def page(prefixed: LocalAirflow, live: Live) -> Iterator[Page]:
    """A browser with a user who has logged in; it may ask nothing outside of the base path."""
    outside = []
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 1200})
        page.set_default_timeout(60_000)
        page.on("request", lambda asked: outside.append(asked.url) if is_outside(asked.url) else None)
        page.goto(f"{prefixed.url}/")
        page.fill("input[name=username]", prefixed.username)
        page.fill("input[name=password]", prefixed.password)
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Browse")
        yield page
    assert [url for url in outside if "aiopt" in url] == []


def is_outside(url: str) -> bool:
    return not urlsplit(url).path.startswith(f"{BASE_PATH}/")


def test_a_run_is_seen_while_it_runs(live: Live) -> None:
    found = live.answer
    assert (found["state"], found["ended_at"]) == ("running", None)
    assert found["wall_s"] > 0
    assert [stage["stage"] for stage in found["stages"]] == ["first"]
    running = found["tasks"][-1]
    assert [part["name"] for part in running["segments"]] == ["scheduled", "queued"]
    assert "has not ended" in found["notes"][0]


def test_its_tab_follows_it_to_the_end(page: Page, prefixed: LocalAirflow, live: Live) -> None:
    page.goto(f"{prefixed.url}/dags/{DAG}/runs/{quote(live.run_id, safe='')}")
    page.click("text=Stage timings")
    frame = page.frame_locator("iframe")
    frame.locator("#live").wait_for(state="visible")
    stages = frame.locator("#stages-table tbody th")
    assert [text.split()[0] for text in stages.all_inner_texts()] == ["first"]

    live.end()

    frame.locator("#stages-table tbody tr").nth(1).wait_for()
    frame.locator("#live").wait_for(state="hidden")
    assert [text.split()[0] for text in stages.all_inner_texts()] == ["first", "second"]
    assert frame.locator("#facts").inner_text().startswith("State\nsuccess")


class TestEnded:
    """What there is once the run has ended."""

    @pytest.fixture(autouse=True)
    def _ended(self, live: Live) -> None:
        live.end()

    def test_its_hardware_is_shown_over_time(self, page: Page, prefixed: LocalAirflow, live: Live) -> None:
        found = prefixed.request("GET", f"{run_path(live.run_id)}/hardware")
        (curve,) = found["curves"]
        assert (curve["name"], found["origin"]) == ("second", "task")
        assert len(curve["t_s"]) >= 2
        assert all(value > 2**20 for value in curve["memory_bytes"])
        assert found["fullest"]["limit_bytes"] > found["fullest"]["memory_bytes"]
        page.goto(f"{prefixed.url}/dags/{DAG}/runs/{quote(live.run_id, safe='')}/plugin/aiopt-run")
        frame = page.frame_locator("iframe")
        frame.locator("#hardware canvas").wait_for()
        assert frame.locator("#hardware-table tbody th").all_inner_texts() == ["second"]

    @pytest.mark.parametrize(
        ("query", "tasks"),
        [("task_id=second&map_index=-1", 1), ("task_id=first", 0), ("task_id=second&map_index=0", 0)],
    )
    def test_one_task_of_it(self, prefixed: LocalAirflow, live: Live, query: str, tasks: int) -> None:
        found = prefixed.request("GET", f"{run_path(live.run_id)}/hardware?{query}")
        assert len(found["tasks"]) == tasks

    def test_the_link_of_a_task_leads_there(self, page: Page, prefixed: LocalAirflow, live: Live) -> None:
        path = f"/api/v2/dags/{DAG}/dagRuns/{quote(live.run_id, safe='')}/taskInstances/first/links"
        url = prefixed.request("GET", path)["extra_links"]["Stage timings"]
        assert url.startswith(f"{prefixed.url}/dags/{DAG}/runs/")
        page.goto(url)
        page.frame_locator("iframe").get_by_text(live.run_id).first.wait_for()

    def test_the_pages_lead_to_each_other_and_to_airflow(
        self, page: Page, prefixed: LocalAirflow, live: Live
    ) -> None:
        page.goto(f"{prefixed.url}/plugin/aiopt")
        frame = page.frame_locator("iframe")
        frame.get_by_role("link", name=DAG).click()
        frame.get_by_role("link", name=live.run_id).click()
        frame.locator("#stages-table").wait_for()
        frame.get_by_role("link", name="Run in Airflow").click()
        page.wait_for_url(f"{prefixed.url}/dags/{DAG}/runs/**")

    @pytest.mark.parametrize("stage", ["first", "second"])
    def test_its_metrics_have_reached_the_collector(self, collector: OtlpReceiver, stage: str) -> None:
        tags = {"dag_id": DAG, "task_id": stage, "stage": stage}
        wait_until(lambda: bool(collector.points(**tags)), f"metrics of {stage} arrive")
        points = collector.points(**tags)
        duration = points["airflow.ai_pipeline.stage.duration"]
        assert (duration.count, duration.unit) == (1, "ms")
        assert duration.value > (3000 if stage == "second" else 0)
        assert points["airflow.ai_pipeline.stage.failures"].value == 0
