"""The examples of docs/alerts.md are what Airflow and this package take."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.get_provider_info import CONFIG
from airflow_provider_aiopt.telemetry.alerts import StageAlert
from airflow_provider_aiopt.telemetry.thresholds import StageLimit, read_limits

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "alerts.md").read_text()
NOTIFIER, DEADLINE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def run(code: str) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    exec(compile(code, "docs/alerts.md", "exec"), scope)
    return scope


def test_the_notifier() -> None:
    slow = run(NOTIFIER)["slow"]
    assert slow.thresholds == {
        "inference": StageLimit(5.0),
        "preprocess": StageLimit(None, 0.05),
        "*": StageLimit(60.0),
    }
    assert [type(notifier).__name__ for notifier in slow.notifiers] == ["SmtpNotifier"]


def test_the_deadline() -> None:
    late = run(DEADLINE)["late"]
    assert late.interval == timedelta(minutes=10)
    assert late.callback.path.endswith(".SmtpNotifier")


def test_every_field_of_an_alert_is_named() -> None:
    fields = {*StageAlert.__dataclass_fields__, "subject", "text"}
    table = PAGE[PAGE.index("`stage_alert` has") : PAGE.index("With `[aiopt]")]
    assert fields <= set(re.findall(r"`(\w+)`", table))


def test_the_options_example_is_one() -> None:
    example = CONFIG["aiopt"]["options"]["slow_stage_seconds"]["example"]
    assert f"slow_stage_seconds = {example}`" in PAGE
    assert read_limits(json.loads(example)) == {"inference": StageLimit(5), "*": StageLimit(60)}
