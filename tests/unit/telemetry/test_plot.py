from __future__ import annotations

import sys
from pathlib import Path

import pytest

from airflow_provider_aiopt.exceptions import MissingExtraError, ReportError
from airflow_provider_aiopt.telemetry.plot import shorten, write_plot
from airflow_provider_aiopt.telemetry.reports import RunReport, TaskTimes
from airflow_provider_aiopt.telemetry.summary import build_run_report
from airflow_provider_aiopt.telemetry.testing import EPOCH, make_stage_report, make_task

pytest.importorskip("matplotlib")


def run_of(count: int, factor: float = 3.0) -> RunReport:
    reports = [
        make_stage_report(
            f"stage_{place}", start=10.0 * place, wall_s=factor**place / 1000, wait_input_s=0.0001
        )
        for place in range(count)
    ]
    return build_run_report(reports, run_id="run")


def svg_texts(path: Path) -> list[str]:
    """Matplotlib draws text as paths and leaves the words in comments."""
    return [line.strip()[5:-4] for line in path.read_text().splitlines() if line.strip().startswith("<!-- ")]


def test_svg_has_title_axis_values_and_bottleneck(tmp_path: Path) -> None:
    report = build_run_report(
        [make_stage_report("preprocess", wall_s=1), make_stage_report("inference", start=1, wall_s=3)],
        run_id="run-7",
    )

    write_plot(report, tmp_path / "run.svg")

    texts = svg_texts(tmp_path / "run.svg")
    assert {"pipeline: duration by stage", "run-7", "Duration (s)", "preprocess", "inference"} <= set(texts)
    assert {"1.00 s (25.0 %)", "3.00 s (75.0 %)", "bottleneck: inference, 75.0 % of the time"} <= set(texts)


def test_svg_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        write_plot(run_of(4), tmp_path / name)

    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize(("count", "factor"), [(1, 1.0), (12, 1.0), (12, 6.0)])
def test_png_of_few_and_many_stages_and_of_a_wide_range(tmp_path: Path, count: int, factor: float) -> None:
    write_plot(run_of(count, factor), tmp_path / "RUN.PNG")

    assert (tmp_path / "RUN.PNG").read_bytes().startswith(b"\x89PNG")


def test_queue_times_are_drawn_apart(tmp_path: Path) -> None:
    times = TaskTimes(task_id="task", queued_at=EPOCH, started_at=EPOCH.replace(second=2))
    report = build_run_report([make_stage_report(task=make_task())], task_times=[times])

    write_plot(report, tmp_path / "run.svg")

    texts = svg_texts(tmp_path / "run.svg")
    assert {"2.00 s in the queue", "scheduled and queued by Airflow before"} <= set(texts)


def test_side_by_side_stages_show_their_busy_times(tmp_path: Path) -> None:
    reports = [
        make_stage_report("preprocess", wall_s=10, wait_output_s=7, pid=7),
        make_stage_report("inference", wall_s=10, wait_input_s=1, pid=7),
    ]

    write_plot(build_run_report(reports), tmp_path / "run.svg")

    assert {"10.0 s, busy 3.00 s (25.0 %)", "10.0 s, busy 9.00 s (75.0 %)"} <= set(
        svg_texts(tmp_path / "run.svg")
    )


def test_dollars_in_names_are_no_formulas(tmp_path: Path) -> None:
    name = r"$\frac{1$"
    report = build_run_report([make_stage_report(name, pipeline=name)], run_id=name)

    write_plot(report, tmp_path / "run.svg")

    assert name in svg_texts(tmp_path / "run.svg")


def test_a_run_of_no_duration_can_be_drawn(tmp_path: Path) -> None:
    write_plot(run_of(2, 0.0), tmp_path / "run.png")


@pytest.mark.parametrize("name", ["run.pdf", "run", "png"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ReportError, match=r"neither in \.png nor in \.svg"):
        write_plot(run_of(1), tmp_path / name)


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(MissingExtraError, match=r"airflow-provider-aiopt\[plot\]"):
        write_plot(run_of(1), tmp_path / "run.png")


def test_pyplot_is_never_loaded(tmp_path: Path) -> None:
    before = "matplotlib.pyplot" in sys.modules
    write_plot(run_of(1), tmp_path / "run.png")

    assert ("matplotlib.pyplot" in sys.modules) == before


@pytest.mark.parametrize(
    ("name", "short"), [("abc", "abc"), ("abcdefgh", "abcdefgh"), ("abcdefghi", "abcd…ghi")]
)
def test_long_names_lose_their_middle(name: str, short: str) -> None:
    assert shorten(name, 8) == short
