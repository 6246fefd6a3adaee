"""Pipelines in the runtime image: without root, without a writable root, told to end, out of room."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from container_images import LIMITS, ROOT, podman, run_options
from PIL import Image

from airflow_provider_aiopt.telemetry.reports import STAGES

pytestmark = pytest.mark.containers

EXAMPLES = f"{ROOT / 'examples'}:/examples:ro"
SPEC = "/examples/image_classification.yaml"
TERMINATED = 143
GRACE_S = 10.0

Volume = Callable[[str], Path]


def labels(results: Path) -> dict[str, str]:
    return {row["id"]: row["label"] for row in pq.read_table(results).to_pylist()}


def container() -> str:
    """A name that no other run of the tests uses."""
    return f"aiopt-test-{uuid.uuid4().hex[:12]}"


def wait_until(happened: Callable[[], bool], what: str, *, timeout: float = 60.0) -> None:
    end = time.monotonic() + timeout
    while not happened():
        assert time.monotonic() < end, f"{what}: not within {timeout} s"
        time.sleep(0.02)


@pytest.mark.parametrize("user", ["50000:0", "1234567:0"])  # some platforms choose the user, in group 0
def test_a_pipeline_without_root(runtime: str, volume: Volume, user: str) -> None:
    work = volume("work")
    work.chmod(0o775)
    options = run_options(volumes=[EXAMPLES, f"{work}:/opt/aiopt"], user=user)

    podman(*options, runtime, "run", SPEC, "--run-id=r", "--mode=streaming")

    run = work / "runs/image_classification/r"
    found = labels(run / "results")
    assert len(found) == 6
    assert (found["coffee.png"], found["china.jpg"]) == ("espresso", "palace")
    reports = [json.loads(path.read_text()) for path in (run / "reports").glob("*.json")]
    assert {report["stage"] for report in reports} == set(STAGES)
    assert {report["state"] for report in reports} == {"success"}
    (model,) = {report["runtime"] for report in reports} - {None}
    assert re.fullmatch(r"onnxruntime [\d.]+ CPUExecutionProvider", model)
    assert {path.stat().st_uid for path in run.rglob("*")} == {int(user.partition(":")[0])}


def test_nothing_but_the_volumes_can_be_written(runtime: str, volume: Volume) -> None:
    program = "import pathlib, sys; pathlib.Path(sys.argv[1], 'f').write_text('')"
    python = ("--entrypoint=/opt/venv/bin/python", runtime, "-c", program)
    for folder in ("/opt/aiopt", "/opt/venv", "/etc", "/"):
        refused = podman(*run_options(), *python, folder, check=False)
        assert "Read-only file system" in refused.stderr, folder


def test_without_arguments_it_says_what_it_can_do(runtime: str) -> None:
    assert podman(*run_options(), runtime).stdout.startswith("usage: aiopt")


@pytest.fixture
def many(volume: Volume) -> Path:
    """Photographs that take a few seconds to classify: noise, which no decoder is quick with."""
    photos = volume("photos")
    noise = np.random.default_rng(7).integers(0, 256, (1000, 1000, 3), np.uint8)
    Image.fromarray(noise).save(photos / "0000.png", compress_level=1)
    for number in range(1, 48):
        (photos / f"{number:04d}.png").hardlink_to(photos / "0000.png")
    return photos


def test_told_to_end_it_ends_and_another_container_goes_on(runtime: str, volume: Volume, many: Path) -> None:
    work = volume("work")
    volumes = [f"{many}:/photos:ro", f"{work}:/opt/aiopt"]
    arguments = [
        *(runtime, "run", SPEC, "--run-id=r", "--set=source.uri=/photos", "--set=execution.shards=6"),
        "--json",
    ]
    name = container()
    options = run_options(volumes=[EXAMPLES, *volumes], name=name)
    finished = work / "runs/image_classification/r/preprocess"

    with subprocess.Popen(
        ["podman", "--runtime", "runc", *options, *arguments], stderr=subprocess.PIPE
    ) as first:
        wait_until((finished / "00001.json").exists, "two shards are prepared")
        told = time.monotonic()
        podman("kill", "--signal=TERM", name)
        _, complaint = first.communicate(timeout=30)
        took = time.monotonic() - told

    assert first.returncode == TERMINATED
    assert complaint.decode().splitlines()[-1] == "aiopt: told to end"
    assert took < GRACE_S
    kept = {path: path.stat().st_mtime_ns for path in finished.glob("*.json")}
    assert 2 <= len(kept) <= 6
    assert not (work / "runs/image_classification/r/results").exists()

    again = podman(*run_options(volumes=[EXAMPLES, *volumes]), *arguments)

    report = json.loads(again.stdout)
    assert (report["records_in"], report["results"], report["quarantined"]) == (48, 48, 0)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert not list(work.rglob("*.tmp"))


def told_at_once(*command: str, patience_s: float) -> str:
    """Start a container, tell it to end at once, and say what has become of it by then."""
    name = container()
    run, _, *options = run_options(volumes=[EXAMPLES], name=name)  # without --rm, to ask for its exit code
    podman(run, "--detach", *options, *command)
    try:
        podman("kill", "--signal=TERM", name)
        end = time.monotonic() + patience_s
        state = "running"
        while state.startswith("running") and time.monotonic() < end:
            time.sleep(0.1)
            state = podman("inspect", "--format={{.State.Status}} {{.State.ExitCode}}", name).stdout.strip()
        return state
    finally:
        podman("rm", "--force", "--time=0", name)


def test_it_can_be_told_to_end_from_the_first_moment(runtime: str) -> None:
    """The kernel drops a signal that PID 1 has not asked for, as a bare interpreter shows."""
    assert told_at_once(runtime, "run", SPEC, patience_s=GRACE_S) == f"exited {TERMINATED}"
    bare = ("--entrypoint=/opt/venv/bin/python", runtime, "-c", "import time; time.sleep(30)")
    assert told_at_once(*bare, patience_s=1).startswith("running")


def test_a_full_volume_is_one_clear_error(runtime: str, many: Path) -> None:
    small = "--tmpfs=/opt/aiopt:rw,size=8m,mode=1777"
    options = run_options(volumes=[EXAMPLES, f"{many}:/photos:ro"])

    full = podman(*options, small, runtime, "run", SPEC, "--set=source.uri=/photos", check=False)

    assert full.returncode == 1
    (line,) = [line for line in full.stderr.splitlines() if line.startswith("aiopt:")]
    assert "No space left on device" in line
    assert "Free some room" in line
    assert "Traceback" not in full.stderr


def test_where_the_start_goes_is_measured(runtime: str) -> None:
    command = [
        sys.executable,
        ROOT / "scripts/measure_container_start.py",
        "--image",
        runtime,
        "--runs=1",
        "--json",
    ]
    limits = [f"--option={limit}" for limit in LIMITS]
    measured = subprocess.run(
        [*command, "--engine=podman --runtime runc", *limits],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    (seconds,) = json.loads(measured.stdout)
    moments = list(seconds.values())
    assert moments[0] > 0
    assert moments == sorted(moments)


def test_a_spec_from_outside_is_refused_clearly(runtime: str, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    shutil.copy(ROOT / "examples/image_classification.yaml", spec)
    spec.write_text(spec.read_text() + "  shard: 3\n")
    options = run_options(volumes=[f"{spec}:/spec.yaml:ro"])
    refused = podman(*options, runtime, "run", "/spec.yaml", check=False)
    assert refused.returncode == 1
    assert "execution.shard" in refused.stderr
