from __future__ import annotations

import io
import threading

import pytest

from airflow_provider_aiopt.cli.progress import shown_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_stages_records_and_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    before, stream = set(threading.enumerate()), Terminal()
    with shown_progress(stream, wanted=True) as progress:
        progress.expect("ingest", 40)
        progress.advance("ingest", 10)
        progress.advance("ingest", 30)
        progress.advance("preprocess", 7)
    shown = stream.getvalue()
    assert "ingest" in shown
    assert "40/40" in shown
    assert "/s" in shown
    assert "preprocess" in shown
    assert "7/?" in shown
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize(("stream", "wanted"), [(io.StringIO(), True), (Terminal(), False)])
def test_else_nothing_is_shown(stream: io.StringIO, wanted: bool) -> None:
    with shown_progress(stream, wanted=wanted) as progress:
        progress.expect("ingest", 40)
        progress.advance("ingest", 10)
    assert stream.getvalue() == ""
