"""Numbers as the pages write them."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("function", "values", "text"),
    [
        ("seconds", [0], "0 s"),
        ("seconds", [0.0004], "< 1 ms"),
        ("seconds", [0.0042], "4.2 ms"),
        ("seconds", [0.25], "250 ms"),
        ("seconds", [0.9996], "1 s"),
        ("seconds", [9.996], "10 s"),
        ("seconds", [99.96], "1 min 40 s"),
        ("seconds", [3599.6], "1 h 00 min"),
        ("seconds", [90_000], "25 h 00 min"),
        ("seconds", [None], "\N{EN DASH}"),
        ("mark", [120], "2 min"),
        ("mark", [7200], "2 h"),
        ("mark", [5400], "1 h 30 min"),
        ("mark", [0.30000000000000004], "300 ms"),
        ("bytes", [0], "0 B"),
        ("bytes", [1023], "1,023 B"),
        ("bytes", [1024], "1 KiB"),
        ("bytes", [1_048_575], "1 MiB"),
        ("bytes", [734_003_200], "700 MiB"),
        ("percent", [0.0856], "8.6 %"),
        ("percent", [1], "100 %"),
        ("percent", [None], "\N{EN DASH}"),
        ("rate", [0.25], "0.3/s"),
        ("rate", [1617.9], "1,618/s"),
        ("count", [2000], "2,000"),
        ("change", [2, 3], "+50 %"),
        ("change", [3, 2], "\N{MINUS SIGN}33 %"),
        ("change", [0, 2], "\N{EN DASH}"),
        ("time", ["2026-06-15T12:00:00.5+02:00"], "2026-06-15 10:00:00 UTC"),
    ],
)
def test_a_number_is_written_with_its_unit(watched, function: str, values: list, text: str):
    page = watched.open("overview.html")
    script = "async ([name, values]) => (await import('./js/format.js'))[name](...values)"
    assert page.evaluate(script, [function, values]) == text
