from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pipelines import Site

from airflow_provider_aiopt.cli.main import main


@pytest.fixture(params=["staged", "streaming"])
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Site:
    return Site(tmp_path, request.param)


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[[list[str]], str]:
    """Run a command line that has to fail in one message, and return that."""

    def run(arguments: list[str]) -> str:
        assert main(arguments) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "Traceback" not in captured.err
        assert captured.err.startswith("aiopt: ")
        assert captured.err.count("aiopt: ") == 1
        return captured.err.removeprefix("aiopt: ").removesuffix("\n")

    return run
