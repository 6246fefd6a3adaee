from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from airflow_provider_aiopt.profiling.call_tree import Node
from airflow_provider_aiopt.profiling.flamegraph import flame_graph

SVG = "{http://www.w3.org/2000/svg}"
GREY = "#d1d5db"


def boxes(root: Node) -> dict[str, dict[str, str]]:
    """The rectangles of a graph by the names of their calls, and their titles."""
    drawing = ET.fromstring(flame_graph(root, "Title", "{:g} s".format))
    found = {}
    for group in drawing.iter(f"{SVG}g"):
        title = group.findtext(f"{SVG}title") or ""
        rectangle = group.find(f"{SVG}rect")
        assert rectangle is not None
        found[title.partition(": ")[0]] = {**rectangle.attrib, "title": title}
    return found


def test_widths_are_time_and_rows_are_calls() -> None:
    found = boxes(Node("all", 10, [Node("short", 2.5), Node("long", 5, [Node("inner", 2)])]))
    assert {name: float(box["width"]) for name, box in found.items()} == pytest.approx(
        {"all": 1179.5, "long": 589.5, "inner": 235.5, "short": 294.5}
    )
    assert float(found["all"]["y"]) < float(found["long"]["y"]) < float(found["inner"]["y"])
    assert float(found["long"]["y"]) == float(found["short"]["y"])
    assert float(found["long"]["x"]) < float(found["short"]["x"]), "the widest first"
    assert found["long"]["title"] == "long: 5 s, 50.0%"


def test_names_are_text_and_never_markup() -> None:
    found = boxes(Node("all", 1, [Node('<script>alert("x")</script> & co', 1)]))
    assert '<script>alert("x")</script> & co' in found
    assert "<script" not in flame_graph(Node("<script>", 1), "<script>", str)


def test_what_cannot_be_seen_is_left_out() -> None:
    assert "speck" not in boxes(Node("all", 10_000, [Node("most", 9_999), Node("speck", 1)]))


@pytest.mark.parametrize(
    ("name", "grey"),
    [
        ("<method 'acquire' of '_thread.lock' objects>", True),
        ("<method 'get' of '_queue.SimpleQueue' objects>", True),
        ("<built-in method time.sleep>", True),
        ("acquire (locks/mine.py:3)", False),
        ("<method 'get' of 'dict' objects>", False),
    ],
)
def test_waits_are_grey(name: str, grey: bool) -> None:
    assert (boxes(Node("all", 1, [Node(name, 1)]))[name]["fill"] == GREY) is grey


def test_a_name_has_one_colour() -> None:
    colours = {boxes(Node("all", 1, [Node("same", value)]))["same"]["fill"] for value in (1, 0.5)}
    assert len(colours) == 1


def test_the_picture_is_as_high_as_its_rows() -> None:
    deep = Node("0", 1)
    node = deep
    for number in range(1, 40):
        node.calls.append(Node(str(number), 1))
        node = node.calls[0]
    drawing = flame_graph(deep, "deep", str)
    height = int(re.search(r' height="(\d+)"', drawing)[1])  # type: ignore[index]
    assert max(float(box["y"]) for box in boxes(deep).values()) < height - 18


def test_nothing_is_a_picture_too() -> None:
    assert list(boxes(Node("all threads", 0))) == ["all threads"]
