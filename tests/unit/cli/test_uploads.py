from __future__ import annotations

import json
from pathlib import Path

import pytest
from upload_watching import make_upload

from airflow_provider_aiopt.cli.main import main
from airflow_provider_aiopt.uploads import UploadState, load_watch_spec, open_state

ODD = "b\n\x1b[2J.jpg"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UploadState:
    """The state of a watch in which two runs have an upload each."""
    monkeypatch.setenv("AIRFLOW__AIOPT__WORK_DIR", str(tmp_path))
    monkeypatch.delenv("AIRFLOW__AIOPT__UPLOADS_DIR", raising=False)
    spec = load_watch_spec({"uri": "s3://bucket", "state": str(tmp_path / "uploads")})
    opened = open_state(spec, clock=lambda: 1_795_000_000.0)
    opened.describe(spec)
    opened.claims.claim([make_upload("a.jpg")], "dag", "run 1")
    opened.claims.claim([make_upload(ODD)], "dag", "run 2")
    return opened


def test_the_table(state: UploadState, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["uploads", "list"]) == 0
    out = capsys.readouterr().out
    assert "2026-11-18" in out
    assert "run 1" in out
    assert r"s3://bucket/b\n\x1b[2J.jpg" in out
    assert "2 claims" in out


@pytest.mark.parametrize(
    ("arguments", "runs"),
    [
        ((), {"run 1", "run 2"}),
        (("--run-id", "run 1"), {"run 1"}),
        (("--uri", f"s3://bucket/{ODD}"), {"run 2"}),
        (("--consumer", "another"), set()),
        (("--watch", "s3://bucket"), {"run 1", "run 2"}),
    ],
)
def test_json(
    state: UploadState, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], runs: set[str]
) -> None:
    assert main(["uploads", "list", "--json", *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {claim["run_id"] for claim in found} == runs
    assert all(claim["watch"] == state.folder.uri.rsplit("/", 1)[-1] for claim in found)


def test_an_unknown_watch_is_an_error(state: UploadState, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["uploads", "list", "--watch", "s3://other"]) == 1
    assert "has no watch 's3://other'; it has" in capsys.readouterr().err


def test_no_state_is_an_empty_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["uploads", "list", "--json", "--uploads-dir", str(tmp_path / "none")]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_release(state: UploadState, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["uploads", "release"]) == 2
    assert main(["uploads", "release", "--run-id", "none"]) == 1
    assert "there is no claim of none" in capsys.readouterr().err
    assert main(["uploads", "release", "--run-id", "run 1"]) == 0
    assert capsys.readouterr().out == "released s3://bucket/a.jpg of run 1\n"
    assert [release.upload.uri for release in state.releases()] == ["s3://bucket/a.jpg"]


def test_prune(state: UploadState, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["uploads", "prune", "--older-than", "100000d"]) == 0
    assert capsys.readouterr().out == "pruned 0 claims\n"
    assert main(["uploads", "prune", "--older-than", "0s", "--json"]) == 0
    assert sum(json.loads(capsys.readouterr().out)["pruned"].values()) in (0, 2), "by this machine's date"
    with pytest.raises(SystemExit) as ended:
        main(["uploads", "prune", "--older-than", "soon"])
    assert ended.value.code == 2
