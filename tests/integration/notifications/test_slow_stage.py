"""The notifier and the button, on a real Airflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from airflow_support import wait_until
from local_airflow import LocalAirflow

pytestmark = pytest.mark.integration

DAG = """
    import threading
    from pathlib import Path

    from airflow.sdk import DAG, BaseNotifier, task
    from airflow_provider_aiopt import SlowStageNotifier, timed_stage

    class FileNotifier(BaseNotifier):
        template_fields = ("name", "text")

        def __init__(self, name, text):
            super().__init__()
            self.name, self.text = name, text

        def notify(self, context):
            partial = Path({folder!r}, "partial" + self.name)
            partial.write_text(self.text)
            partial.rename(Path({folder!r}, self.name))

    TASK = "{{{{ ti.task_id }}}}{{{{ ti.map_index }}}}"

    def writing(limits, name):
        return SlowStageNotifier(limits, notify=FileNotifier(name, "{{{{ stage_alert.text }}}}"))

    with DAG(
        "slow_stages",
        schedule=None,
        on_success_callback=writing({{"resize": 2}}, "run"),
        default_args={{"on_success_callback": writing({{"*": 2}}, TASK)}},
    ):
        @task
        def resize(seconds):
            with timed_stage("resize") as stage:
                threading.Event().wait(seconds)
                stage.items_in = stage.items_out = 3

        @task.timed_stage(stage="fast")
        def fast():
            pass

        resize.expand(seconds=[0, 3]) >> fast()
"""


@pytest.fixture
def run_id(airflow: LocalAirflow, add_dag: Callable[[str, str], None], tmp_path: Path) -> str:
    """A run with a slow stage, whose id needs encoding."""
    add_dag("slow_stages", DAG.format(folder=str(tmp_path)))
    run_id = airflow.trigger("slow_stages", run_id="slow+run:1")
    assert airflow.wait_for_run("slow_stages", run_id) == "success"
    return run_id


def test_a_slow_stage_is_told_of_and_the_button_leads_to_its_run(
    airflow: LocalAirflow, run_id: str, tmp_path: Path
) -> None:
    # Airflow's DAG processor calls a DAG's callback some time after the run has ended.
    wait_until((tmp_path / "run").exists, "the DAG's callback has been called", timeout=60)
    link = f"{airflow.url}/dags/slow_stages/runs/slow%2Brun%3A1/plugin/aiopt-run"

    assert sorted(path.name for path in tmp_path.iterdir()) == ["resize1", "run"]
    of_task, of_run = (tmp_path / "resize1").read_text(), (tmp_path / "run").read_text()
    assert of_task.startswith(f"DAG slow_stages, run {run_id}, task resize[1]:\n- resize took 3.")
    assert of_run.startswith(f"DAG slow_stages, run {run_id}:\n- resize took ")
    for text in of_task, of_run:
        assert "its limit is 2.00 s" in text
        assert text.endswith(f"\nStage timings: {link}")
    assert "its limit is 2.00 s" in airflow.task_logs("slow_stages", run_id, "resize", map_index=1)

    path = "/api/v2/dags/slow_stages/dagRuns/slow%2Brun%3A1/taskInstances/fast/links"
    assert airflow.request("GET", path)["extra_links"] == {"Stage timings": link}
