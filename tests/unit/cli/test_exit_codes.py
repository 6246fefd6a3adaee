from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable

import pytest

from airflow_provider_aiopt.cli.exit_codes import ExitCode, guarded
from airflow_provider_aiopt.exceptions import ReportError, StorageError

ARGUMENTS = argparse.Namespace()


def raising(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def run(_: argparse.Namespace) -> int:
        raise error

    return run


def test_a_command_returns_its_own_code() -> None:
    assert guarded(lambda _: ExitCode.USAGE, ARGUMENTS) == 2


@pytest.mark.parametrize(
    "error", [ReportError("what and what to do"), StorageError(28, "what and what to do")]
)
def test_an_error_of_the_package_becomes_a_message(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(raising(error), ARGUMENTS) == ExitCode.FAILURE == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("aiopt: ")
    assert err.endswith("what and what to do\n")


def test_an_interrupt_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(KeyboardInterrupt()), ARGUMENTS) == ExitCode.INTERRUPTED == 130
    assert capsys.readouterr().err == "aiopt: interrupted\n"


def test_a_bug_stays_a_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        guarded(raising(ZeroDivisionError()), ARGUMENTS)


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    program = (
        "import argparse, sys\n"
        "from airflow_provider_aiopt.cli.exit_codes import guarded\n"
        "run = lambda _: [print('x' * 1000) for _ in range(1000)] and 0\n"
        "sys.exit(guarded(run, argparse.Namespace()))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        errors = process.stderr.read()

    assert errors == b""
    assert process.returncode == ExitCode.BROKEN_PIPE == 141
