from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from airflow_provider_aiopt.cli.exit_codes import ExitCode
from airflow_provider_aiopt.cli.grace import ended_in_time

_PROGRAM = """
import argparse, hashlib, sys, threading
from airflow_provider_aiopt.cli.exit_codes import guarded
from airflow_provider_aiopt.cli.grace import ended_in_time

def run(_):
    with ended_in_time({grace}):
        threading.Timer(0.2, print, ["ready"], {{"flush": True}}).start()  # when the work has begun
        {work}
    return 0

sys.exit(guarded(run, argparse.Namespace()))
"""
IN_A_LIBRARY = 'hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)'  # minutes, and no signal interrupts it
WITH_A_THREAD = "threading.Thread(target=threading.Event().wait).start(); threading.Event().wait()"
PLAIN = "threading.Event().wait()"


def told_to_end(work: str, grace: float) -> tuple[int, str, float]:
    program = _PROGRAM.format(work=work, grace=grace)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        _, errors = process.communicate()
        watchdog.cancel()
        watchdog.join()
    return process.returncode, errors, time.monotonic() - began


@pytest.mark.parametrize("work", [IN_A_LIBRARY, WITH_A_THREAD], ids=["in a library", "with a thread"])
def test_what_cannot_be_unwound_ends_all_the_same(work: str) -> None:
    code, errors, seconds = told_to_end(work, grace=0.3)
    assert code == ExitCode.TERMINATED == 143
    assert "not ended 0.3 s after SIGTERM" in errors
    assert 0.3 <= seconds < 8


def test_what_can_be_is_unwound_at_once() -> None:
    code, errors, seconds = told_to_end(PLAIN, grace=60)
    assert (code, errors) == (143, "aiopt: told to end\n")
    assert seconds < 8


def test_nothing_is_left_of_it_where_no_signal_came() -> None:
    before = set(threading.enumerate())
    with ended_in_time():
        assert {thread.name for thread in set(threading.enumerate()) - before} == {"aiopt-grace"}
    assert set(threading.enumerate()) == before


def test_signals_are_left_alone_outside_the_main_thread() -> None:
    names: list[str] = []

    def work() -> None:
        with ended_in_time():
            names.extend(thread.name for thread in threading.enumerate())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert names
    assert "aiopt-grace" not in names
