from __future__ import annotations

import io

from rich.console import Console

from airflow_provider_aiopt.telemetry.reports import STAGES, TaskTimes
from airflow_provider_aiopt.telemetry.summary import build_run_report
from airflow_provider_aiopt.telemetry.table import stage_table
from airflow_provider_aiopt.telemetry.testing import EPOCH, make_stage_report, make_task


def printed(report, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(stage_table(report))
    return console.file.getvalue()


def whole_run():
    reports = [
        make_stage_report(
            stage,
            start=2.0 * place,
            wall_s=1.0 + place,
            items_in=1000,
            items_out=1000,
            model_load_s=0.25,
            task=make_task(stage),
        )
        for place, stage in enumerate(STAGES)
    ]
    times = [
        TaskTimes(task_id=stage, scheduled_at=EPOCH, queued_at=EPOCH, started_at=EPOCH) for stage in STAGES
    ]
    return build_run_report(reports, task_times=times)


def test_four_stages_with_every_column_fit_80_columns() -> None:
    text = printed(whole_run(), width=80)

    assert all(stage in text for stage in STAGES)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_bottleneck_is_marked_without_colour() -> None:
    lines = printed(whole_run()).splitlines()

    assert [line.split()[0] for line in lines if " * " in line] == ["postprocess"]
    assert lines[-1].startswith("* bottleneck: postprocess, 40.0 % of the time in stages")


def test_records_and_time_are_summed_up() -> None:
    assert "1 000 records in, 1 000 results, 0 quarantined" in printed(whole_run())


def test_markup_characters_are_printed_as_they_are() -> None:
    report = build_run_report([make_stage_report("[red]x[/red] :smile:", pipeline="[bold]p")], run_id="[/]")

    text = printed(report)

    assert "[red]x[/red] :smile: *" in text
    assert "[bold]p: [/]" in text


def test_empty_columns_are_left_out() -> None:
    header = printed(build_run_report([make_stage_report()]))

    assert not any(title in header for title in ("Queue", "Model", "Failed", "Resumed"))


def test_failures_and_resumed_records_get_columns() -> None:
    failed = make_stage_report(state="failed", error="E: x", items_out=9, resumed_items=5)

    header = printed(build_run_report([failed]))

    assert "Failed" in header
    assert "Resumed" in header


def test_side_by_side_stages_say_what_the_shares_are_of() -> None:
    text = printed(build_run_report([make_stage_report(stage, pid=7) for stage in STAGES]))

    assert "shares are of their busy times" in text
    assert "25.0 % of the busy time" in text


def test_a_run_of_no_duration_prints() -> None:
    assert "0 s" in printed(build_run_report([make_stage_report(wall_s=0)]))


def test_what_a_cache_knew_is_said_where_one_was_used() -> None:
    used, failed = (
        " ".join(printed(build_run_report([make_stage_report("preprocess", **counts)])).split())
        for counts in ({"cache_hits": 30, "cache_misses": 10}, {"cache_misses": 4, "cache_errors": 1})
    )

    assert "Cache" not in printed(whole_run())
    assert used.endswith("Cache: 30 of 40 records were known and not decoded")
    assert failed.endswith(
        "Cache: 0 of 4 records were known and not decoded; it failed 1x and was off from then on"
    )
