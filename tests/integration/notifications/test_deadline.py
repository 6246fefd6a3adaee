"""The deadline alert of docs/alerts.md, with a notifier that writes a file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from airflow_support import REPOSITORY, wait_until
from local_airflow import LocalAirflow

pytestmark = pytest.mark.integration

NOTIFIER = """
    from pathlib import Path

    from airflow.sdk import BaseNotifier

    class FileNotifier(BaseNotifier):
        template_fields = ("subject", "html_content")

        def __init__(self, to, subject, html_content, **kwargs):
            super().__init__(**kwargs)
            self.to, self.subject, self.html_content = to, subject, html_content

        async def async_notify(self, context):
            partial = Path(self.to + ".partial")
            partial.write_text(self.subject + "\\n" + self.html_content)
            partial.rename(self.to)
"""


def test_a_late_run_is_told_of(start_airflow: Callable[..., LocalAirflow], tmp_path: Path) -> None:
    modules, dags, sent = tmp_path / "modules", tmp_path / "dags", tmp_path / "sent"
    modules.mkdir()
    dags.mkdir()
    (modules / "file_notifier.py").write_text(dedent(NOTIFIER))
    example = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "alerts.md").read_text(), re.DOTALL)[
        1
    ]
    for documented, here in {
        "from airflow.providers.smtp.notifications.smtp import SmtpNotifier": (
            "from file_notifier import FileNotifier as SmtpNotifier"
        ),
        '"ml@example.org"': repr(str(sent)),
        "timedelta(minutes=10)": "timedelta(seconds=1)",
        'DAG("photos",': 'DAG("photos", schedule=None,',
        "    ...\n": (
            "    from airflow.sdk import task\n"
            "    import threading\n"
            "    task(lambda: threading.Event().wait(600), task_id='hang')()\n"
        ),
    }.items():
        assert example.count(documented) == 1, documented
        example = example.replace(documented, here)
    (dags / "photos.py").write_text(example)
    path = os.pathsep.join(filter(None, [str(modules), os.environ.get("PYTHONPATH")]))
    airflow = start_airflow(dags=dags, env={"PYTHONPATH": path})
    airflow.wait_for_dag("photos")
    airflow.unpause("photos")
    run_id = airflow.trigger("photos", run_id="late")

    wait_until(sent.exists, "the notifier has been called", timeout=90)

    assert re.fullmatch(
        r"photos: run late takes more than 10 minutes\nIt was to be done by 20\d\d-.*", sent.read_text()
    )
    airflow.set_run_state("photos", run_id, "failed")
