from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from airflow_provider_aiopt.compare.models import MetricComparison
from airflow_provider_aiopt.exceptions import ReportError
from airflow_provider_aiopt.tuning.models import Finalist, Trial, TuneReport
from airflow_provider_aiopt.tuning.rendering import (
    configuration_text,
    curve_table,
    result_table,
    summary_lines,
    trial_line,
    write_plot,
)


def finalist(number: int, **values: Any) -> Finalist:
    metric = MetricComparison(
        metric="items_per_s",
        unit="1/s",
        lower_is_better=False,
        rounds=8,
        baseline_median=100,
        variant_median=190,
        ratio=1.9,
        low=1.85,
        high=1.95,
        standard_error=0.02,
        p95_ratio=1.9,
        p95_low=1.8,
        p95_high=2.0,
        p_value=0.01,
        mann_whitney_p=0.01,
    )
    return Finalist(
        **{
            "trial": number,
            "configuration": {"execution.workers": None},
            "verdict": "better",
            "adjusted_p": 0.01,
            "metric": metric,
            **values,
        }
    )


@pytest.fixture
def make_report(make_trial: Callable[..., Trial]) -> Callable[..., TuneReport]:
    def make(**values: Any) -> TuneReport:
        trials = (
            make_trial(0, 100),
            make_trial(1, 190, origin="guess"),
            make_trial(2, 60, outcome="pruned", reason="fell behind after 2 windows"),
            make_trial(3, reason="was ended by SIGKILL"),
        )
        return TuneReport(
            **{
                "pipeline": "photos",
                "objective": "throughput",
                "records": 512,
                "total_records": 20_000,
                "space": {"execution.workers": [1, None]},
                "grid_size": 90,
                "trials": trials,
                "ended": "budget",
                "seconds": 42.0,
                "seed": 0,
                **values,
            }
        )

    return make


def test_a_configuration_on_a_line() -> None:
    configuration = {
        "execution.workers": None,
        "execution.max_bytes_in_flight": 4 * 2**20,
        "model.uri": "/models/lite0_int8/",
    }
    assert (
        configuration_text(configuration) == "workers default, max_bytes_in_flight 4.00 MiB, uri lite0_int8"
    )


def test_a_trial_on_a_line(make_trial: Callable[..., Trial]) -> None:
    best = make_trial(7, 190, error=0.021, peak_memory_bytes=2**28)
    assert trial_line(best, best, "throughput") == (
        "  7 search   190 items/s ±2.1 % *, 256 MiB, 2.00 s: batch_size 7"
    )
    assert trial_line(best, None, "latency").startswith("  7 search   p95 5.26 ms, 256 MiB")
    failed = make_trial(8, reason="was ended by SIGKILL")
    assert trial_line(failed, best, "throughput").endswith(": batch_size 8 (failed: was ended by SIGKILL)")


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ({}, "No change: nothing that was tried is better than the spec as it is"),
        (
            {"finalists": (finalist(1),), "winner": 1},
            "Change to trial 1: the throughput is 1.90 times the baseline's (1.85 to 1.95, 8 rounds in turn)",
        ),
        (
            {"finalists": (finalist(1, verdict="inconclusive"),)},
            "No change: a gain is not established. Trial 1 comes to 1.900 times",
        ),
        ({"finalists": (finalist(1, refused="too much"),)}, "No change: trial 1 is refused, too much"),
        (
            {"ended": "interrupted"},
            "Not confirmed, so nothing is recommended. Best so far: trial 1 with 190 items/s.",
        ),
    ],
)
def test_the_verdict(make_report: Callable[..., TuneReport], values: dict[str, Any], verdict: str) -> None:
    lines = summary_lines(make_report(**values))
    assert lines[-1].startswith(verdict)
    assert lines[0].startswith(
        "4 of 90 configurations tried (2 complete, 1 pruned, 1 failed) on 512 of 20 000 records in 42.0 s; "
    )


def test_who_was_not_measured_again_is_told_with_the_reason(make_report: Callable[..., TuneReport]) -> None:
    lines = summary_lines(make_report(dropped={1: "hung"}))
    assert lines[1] == "Trial 1 was not measured again: hung"


def test_the_tables(make_report: Callable[..., TuneReport]) -> None:
    report = make_report(finalists=(finalist(1), finalist(3, refused="too much")), winner=1)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(result_table(report))
    console.print(curve_table(report))
    text = console.export_text()
    assert "1 *" in text
    assert "1.900 (1.850 to 1.950)" in text
    assert "too much" in text
    assert "2.00 s" in text
    assert "4.00 s   190 items/s      1 guess" in text


def test_the_curve_is_drawn_even_where_all_failed(
    make_report: Callable[..., TuneReport], make_trial: Callable[..., Trial], tmp_path: Path
) -> None:
    write_plot(make_report(), tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    write_plot(make_report(trials=(make_trial(0), make_trial(1))), tmp_path / "deep" / "curve.svg")
    assert b"</svg>" in (tmp_path / "deep" / "curve.svg").read_bytes()
    with pytest.raises(ReportError, match=r"neither in \.png nor in \.svg"):
        write_plot(make_report(), tmp_path / "curve.pdf")
