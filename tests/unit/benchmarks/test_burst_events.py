from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.burst_events import checks, populate

FIGURES = {
    "ready_s": 11.0,
    "first_result_s": 3.0,
    "lost": 0,
    "duplicated": 1,
    "runs_of_existing": 0,
    "triggerer_pss_mib": 250.0,
    "blocked_warnings": 0,
}


@pytest.mark.parametrize(
    ("existing", "missed"), [(100_000, {"duplicated", "ready_s"}), (1_000_000, {"duplicated"})]
)
def test_the_time_until_ready_is_judged_up_to_a_hundred_thousand_files(
    existing: int, missed: set[str]
) -> None:
    found = checks({**FIGURES, "existing": existing})

    assert {check.name for check in found if not check.met} == missed


def test_files_are_spread_over_folders(tmp_path: Path) -> None:
    populate(tmp_path, 2001)

    assert [len(list(folder.iterdir())) for folder in sorted(tmp_path.iterdir())] == [1000, 1000, 1]
