"""A run that is killed, whenever that is, ends like one that was not as soon as it is started again."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from kills import (
    call_until,
    finish,
    run,
    run_and_note,
    run_held,
    run_until,
    run_until_file,
    run_until_told,
    server,
    start,
)
from PIL import Image
from pipelines import CLI, Outcome, Site

from airflow_provider_aiopt.data.manifest import ShardRef
from airflow_provider_aiopt.runner.planning import plan_run
from airflow_provider_aiopt.runner.staged import run_stage
from airflow_provider_aiopt.runner.streaming import run_streaming
from airflow_provider_aiopt.telemetry.reports import STAGES

SHARDS = 2
SETTINGS: dict[str, Any] = {"execution__shards": SHARDS, "execution__workers": 1, "execution__batch_size": 2}


IN_EITHER_MODE = pytest.mark.parametrize("mode", ["staged", "streaming"], indirect=True)


@pytest.fixture
def mode(request: pytest.FixtureRequest) -> str:
    return getattr(request, "param", "staged")


@pytest.fixture
def site(tmp_path: Path, mode: str) -> Site:
    """Five good photos and a bad one, in either shard."""
    site = Site(tmp_path, mode)
    site.add_plain(5)
    site.add("001.bad.png", b"no image")
    site.add("004.bad.png", b"")
    return site


def workspace(site: Site, run_id: str = "run") -> Path:
    return site.folder / "runs" / "pipeline" / run_id


def temporary_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


def finished_shards(folder: Path) -> dict[str, tuple[int, int]]:
    """Which file each finished shard's manifest and data are, and when they were written."""
    kept = {}
    for manifest in folder.glob("*/0*.json"):
        if manifest.parent.name != "reports":
            data = manifest.parent.name.replace("postprocess", "results")
            for path in (manifest, *folder.glob(f"{data}/{manifest.stem}.[ap]*")):
                status = path.stat()
                kept[str(path)] = (status.st_ino, status.st_mtime_ns)
    return kept


def undisturbed(site: Site) -> tuple[Outcome, int]:
    """What a run ends with that nobody kills, and how many changes to files it makes."""
    notes = site.folder / "notes"
    arguments = site.arguments("undisturbed", **SETTINGS)
    assert finish(start(run_and_note, arguments, str(workspace(site, "undisturbed")), str(notes))) == 0
    return site.outcome("undisturbed"), len(notes.read_text().splitlines())


@IN_EITHER_MODE
def test_killed_before_any_change_to_any_file(site: Site) -> None:
    expected, changes = undisturbed(site)
    assert len(expected.rows) == 5
    assert len(expected.bad) == 2
    assert changes > {"staged": 12, "streaming": 5}[site.mode] * SHARDS
    moments = [(number, site.arguments(f"run-{number}", **SETTINGS)) for number in range(changes)]

    def kill_and_start_again(moment: tuple[int, list[str]]) -> None:
        number, arguments = moment
        folder = workspace(site, f"run-{number}")
        assert finish(start(run_until, arguments, str(folder), number)) == -signal.SIGKILL
        kept = finished_shards(folder)

        assert finish(start(run, arguments)) == 0
        outcome = site.outcome(f"run-{number}")
        assert outcome == expected, number
        assert list(outcome.rows) == list(expected.rows), number
        assert kept.items() <= finished_shards(folder).items(), number
        assert temporary_files(folder) == [], number

    with ThreadPoolExecutor(2) as executor:
        list(executor.map(kill_and_start_again, moments))


def plan_and_stream(site: Site, run_id: str) -> None:
    """List once, then stream each shard by itself, as mapped tasks do."""
    context = site.context(run_id, **SETTINGS)
    for ref in plan_run(context).refs:
        run_streaming(context, [ref])


def test_a_planned_run_killed_before_any_change_to_any_file(site: Site) -> None:
    expected = site.run("undisturbed", **SETTINGS)
    codes = []
    while not codes or codes[-1] == -signal.SIGKILL:
        run_id = f"run-{len(codes)}"
        folder = workspace(site, run_id)
        arguments = (plan_and_stream, (site, run_id), f"{folder}/", len(codes))
        codes.append(finish(start(call_until, *arguments)))
        kept = finished_shards(folder)

        assert finish(start(plan_and_stream, site, run_id)) == 0
        assert site.outcome(run_id) == expected, run_id
        assert temporary_files(folder) == [], run_id
        assert kept.items() <= finished_shards(folder).items(), run_id
    assert codes[-1] == 0, "it has been killed before its last change too"
    assert len(codes) > 5 * SHARDS


@IN_EITHER_MODE
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM], ids=lambda told: told.name)
def test_told_to_end_before_any_change_to_any_file(site: Site, told: signal.Signals) -> None:
    """Ctrl-C, or the end of a pod: threads end, and nothing half-done is left, not even before a retry."""
    settings = SETTINGS | {"execution__workers": 3, "execution__batch_size": 1}
    expected, changes = undisturbed(site)
    moments = [(number, site.arguments(f"run-{number}", **settings)) for number in range(changes)]

    def tell_and_start_again(moment: tuple[int, list[str]]) -> None:
        number, arguments = moment
        folder = workspace(site, f"run-{number}")
        assert finish(start(run_until_told, arguments, str(folder), number, told)) == 128 + told, number
        assert temporary_files(folder) == [], number
        kept = finished_shards(folder)

        assert finish(start(run, arguments)) == 0
        outcome = site.outcome(f"run-{number}")
        assert outcome == expected, number
        assert kept.items() <= finished_shards(folder).items(), number

    with ThreadPoolExecutor(2) as executor:
        list(executor.map(tell_and_start_again, moments))


@pytest.mark.parametrize("file", ["ingest/00001.arrow", "preprocess/00001.json", "results/00001.parquet"])
def test_killed_again_and_again_at_the_same_place(site: Site, file: str) -> None:
    expected, _ = undisturbed(site)
    arguments = site.arguments(**SETTINGS)
    for _ in range(3):
        assert finish(start(run_until_file, arguments, str(workspace(site) / file))) == -signal.SIGKILL

    assert finish(start(run, arguments)) == 0
    assert site.outcome() == expected
    assert temporary_files(site.folder) == []


@pytest.mark.parametrize("file", ["ingest/00000.json", "preprocess/00000.json", "inference/00000.arrow"])
def test_the_command_killed_from_outside(site: Site, file: str) -> None:
    site.add_plain(60)
    expected = site.run("undisturbed", **SETTINGS)
    arguments = site.arguments(**SETTINGS | {"execution__batch_size": 1})
    with subprocess.Popen([*CLI, *arguments], stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while not (workspace(site) / file).exists():
            assert time.monotonic() < deadline
            assert process.poll() is None
            threading.Event().wait(0.001)
        process.kill()
    kept = finished_shards(workspace(site))

    assert subprocess.run([*CLI, *arguments], stdout=subprocess.DEVNULL, check=False).returncode == 0
    assert site.outcome() == expected
    assert kept.items() <= finished_shards(workspace(site)).items()
    assert temporary_files(site.folder) == []


@pytest.mark.parametrize("file", ["ingest/00000.arrow", "ingest/00001.arrow", "ingest/index.json"])
def test_a_killed_ingestion_keeps_to_its_first_listing(site: Site, file: str) -> None:
    arguments = site.arguments(**SETTINGS)
    assert finish(start(run_until_file, arguments, str(workspace(site) / file))) == -signal.SIGKILL
    site.add("000a.png", Image.new("RGB", (9, 9)))
    (site.photos / "004.png").unlink()

    assert finish(start(run, arguments)) == 0
    outcome = site.outcome()
    assert "000a.png" not in {*outcome.rows, *outcome.bad}
    if file == "ingest/index.json":  # all was read before
        assert len(outcome.rows) == 5
    else:
        assert outcome.bad["004.png"].error_class == "RecordReadError"
        assert len(outcome.rows) == 4


@IN_EITHER_MODE
def test_a_finished_run_lists_again(site: Site) -> None:
    site.run(**SETTINGS)
    site.add("005.png", Image.new("RGB", (9, 9)))
    (site.photos / "000.png").unlink()
    (site.photos / "001.bad.png").unlink()
    outcome = site.run(**SETTINGS)

    assert list(outcome.rows) == ["001.png", "002.png", "003.png", "004.png", "005.png"]
    assert set(outcome.bad) == {"004.bad.png"}


@IN_EITHER_MODE
@pytest.mark.parametrize(("before", "after"), [(4, 2), (2, 4), (7, 1)])
def test_another_number_of_shards_leaves_nothing_of_the_first(site: Site, before: int, after: int) -> None:
    expected = site.run(**SETTINGS | {"execution__shards": before})
    outcome = site.run(**SETTINGS | {"execution__shards": after})

    assert outcome == expected
    results = sorted(path.name for path in (workspace(site) / "results").iterdir())
    assert results == [f"{number:05d}.parquet" for number in range(after)]


@IN_EITHER_MODE
def test_without_resume_everything_is_done_again(site: Site) -> None:
    expected = site.run(**SETTINGS)
    before = finished_shards(workspace(site))
    outcome = site.run(**SETTINGS, execution__resume=False)

    assert outcome == expected
    assert not before.items() & finished_shards(workspace(site)).items()


def one_shard(site: Site, stage: str, ref: str) -> None:
    """Work on one shard, whether or not it is finished, as a mapped task does."""
    run_stage(site.context(**SETTINGS, execution__resume=False), stage, [ShardRef.parse(ref)])


def all_shards(site: Site) -> Outcome:
    refs = run_stage(site.context(**SETTINGS), "ingest").refs
    for stage in STAGES[1:]:
        refs = [run_stage(site.context(**SETTINGS), stage, [ref]).refs[0] for ref in refs]
    return site.outcome()


@pytest.mark.parametrize(
    ("stage", "given", "made"),
    [
        ("preprocess", "ingest/00000", "preprocess/00000.arrow"),
        ("preprocess", "ingest/00000", "preprocess/00000.json"),
        ("preprocess", "ingest/00000", "quarantine/preprocess-00000.parquet"),
        ("inference", "preprocess/00000", "inference/00000.arrow"),
        ("postprocess", "inference/00000", "results/00000.parquet"),
    ],
)
def test_two_processes_at_the_same_shard(site: Site, stage: str, given: str, made: str) -> None:
    """As where Airflow takes a task for dead and starts it elsewhere, while it is not."""
    expected = all_shards(site)
    held, go_on = server().Event(), server().Event()
    slow = start(run_held, one_shard, (site, stage, given), str(workspace(site) / made), held, go_on)
    assert held.wait(30)
    quick = start(one_shard, site, stage, given)
    assert finish(quick) == 0
    go_on.set()
    assert finish(slow) == 0

    assert site.outcome() == expected
    assert temporary_files(site.folder) == []
