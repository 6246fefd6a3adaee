from __future__ import annotations

import shutil

import pytest

from airflow_provider_aiopt.exceptions import ProfilingError
from airflow_provider_aiopt.profiling.base import ProfileRequest
from airflow_provider_aiopt.profiling.syscalls import SystemCallCounter, parse_summary

SUMMARY = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 94.04    0.268924         267      1005       118 futex
  0.91    0.002602          12       214           newfstatat
  0.00    0.000000           0         1           exit_group
------ ----------- ----------- --------- --------- ----------------
100.00    0.271526         222      1220       118 total
"""


def test_a_summary_is_read() -> None:
    futex, newfstatat, exit_group = parse_summary(SUMMARY)
    assert (futex.name, futex.calls, futex.errors, futex.seconds) == ("futex", 1005, 118, 0.268924)
    assert futex.share == pytest.approx(0.9404)
    assert (newfstatat.name, newfstatat.calls, newfstatat.errors) == ("newfstatat", 214, 0)
    assert exit_group.seconds == 0


def test_nothing_is_read_from_nothing() -> None:
    assert list(parse_summary("")) == []


def test_without_strace_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    counter = SystemCallCounter(ProfileRequest("syscalls"))
    with pytest.raises(ProfilingError, match="apt-get install strace"):
        counter.start()
    counter.abandon()
