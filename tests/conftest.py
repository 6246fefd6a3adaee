"""What is absent is listed at the end of every run, and fails it where nothing may be."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator

import pytest
from components import PREFIX, REQUIRE_ALL, all_required
from dag_test import DagTester
from hypothesis import settings
from threads import forget_running_threads

# The same examples everywhere and every time; a slow machine is no fault of an example.
settings.register_profile("aiopt", derandomize=True, deadline=None)
settings.load_profile("aiopt")

# The Airflow of whoever runs the tests is neither read nor written; importing it is enough to look for it.
for _name in [name for name in os.environ if name.startswith(("AIRFLOW", "_AIRFLOW", "AIOPT_AIRFLOW"))]:
    del os.environ[_name]
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="aiopt-tests-")
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _heed_ctrl_c() -> None:
    """Have the processes that tests start heed Ctrl-C.

    Whoever is started in the background of a shell script has it ignored, and that is inherited.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _only_threads_of_its_own() -> None:
    """Whatever order the tests run in."""
    forget_running_threads()


@pytest.fixture(scope="session")
def dag_tester(tmp_path_factory: pytest.TempPathFactory) -> DagTester:
    """``dag.test()`` on one Airflow for all tests: making its database takes as long as several runs."""
    return DagTester(tmp_path_factory.mktemp("dag-test"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what starts servers before the unit tests.

    Processes take whole modules, one after the other: a long one that came last would hold up the end.
    """
    items.sort(key=lambda item: "unit" in item.path.parts)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    longrepr = report.longrepr
    text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return text.removeprefix("Skipped: ")


def _fail_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and all_required() and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{REQUIRE_ALL}=1, but this was skipped: {_reason(report)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    _fail_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    report = yield
    _fail_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    absent: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = _reason(report)
        if reason.startswith(PREFIX):
            absent[reason.removeprefix(PREFIX)] = absent.get(reason.removeprefix(PREFIX), 0) + 1
    if absent:
        terminalreporter.section("components that this machine lacks")
        for reason, count in sorted(absent.items()):
            terminalreporter.line(f"{reason} ({count} skipped)")
