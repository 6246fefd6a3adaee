from __future__ import annotations

import pytest
from render_simulated import END, PAGE, TABLES, begin, rendered


def test_the_page_has_what_is_simulated_now() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert rendered(page) == page, "Run: python scripts/render_simulated.py"


@pytest.mark.parametrize("mark", [begin("shards"), begin("load"), END])
def test_a_mark_that_is_missing_is_told(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("render_simulated._answer", lambda _: {})
    for name, (options, _) in TABLES.items():
        monkeypatch.setitem(TABLES, name, (options, lambda _: "table\n"))
    page = PAGE.read_text(encoding="utf-8")

    with pytest.raises(ValueError, match=r"scaling\.md lacks one of its marks"):
        rendered(page.replace(mark, ""))
