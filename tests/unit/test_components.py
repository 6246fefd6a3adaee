from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

import components
import pytest
from components import REQUIRE_ALL, requires, requires_program, requires_success

pytest_plugins = ["pytester"]
TESTS = Path(__file__).parents[1]


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A suite of its own that uses this one's plugin part."""
    shutil.copy(TESTS / "conftest.py", pytester.path)
    shutil.copy(TESTS / "components.py", pytester.path)
    pytester.makeini("[pytest]\npythonpath = .\n")
    pytester.makepyfile(
        test_needs="""
        from components import requires

        def test_one():
            requires("no_such_module", "pip install no-such-module")

        def test_two():
            requires("no_such_module", "pip install no-such-module")
        """,
        test_module_needs="""
        from components import requires

        requires("another_absent.module", "ask for it")

        def test_never():
            raise AssertionError
        """,
        test_fine="def test_fine(): pass",
    )
    return pytester


def test_absent_components_are_listed_once_each_with_how_to_get_them(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(REQUIRE_ALL, raising=False)
    result = suite.runpytest("-q")

    result.assert_outcomes(passed=1, skipped=3)
    result.stdout.fnmatch_lines(
        [
            "*components that this machine lacks*",
            "another_absent.module: ask for it (1 skipped)",
            "no_such_module: pip install no-such-module (2 skipped)",
        ]
    )


def test_where_all_is_required_every_skip_is_a_failure(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REQUIRE_ALL, "1")
    result = suite.runpytest("-q", "--continue-on-collection-errors")

    result.assert_outcomes(passed=1, failed=2, errors=1)
    result.stdout.fnmatch_lines(["*AIOPT_REQUIRE_ALL=1, but this was skipped: *no_such_module*"])


def test_what_is_there_is_not_skipped() -> None:
    requires("json", "it comes with Python")
    assert Path(requires_program("true", "install coreutils")).is_file()
    requires_success("a true command", ["true"], "install coreutils")


def test_what_is_forbidden_is_absent() -> None:
    with pytest.raises(pytest.skip.Exception, match="component absent: truth: find some"):
        requires_success("truth", ["false"], "find some")


def test_one_at_a_time_builds_a_component(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "CACHE", tmp_path / "cache")
    with components.alone("server"):
        assert is_locked(tmp_path / "cache" / "server.lock")
    assert not is_locked(tmp_path / "cache" / "server.lock")


def is_locked(path: Path) -> bool:
    with path.open("w") as other:
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
