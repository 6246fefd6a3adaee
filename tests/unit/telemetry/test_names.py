from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.telemetry.catalogue import CATALOGUE, STAGE_DURATION, TAGS
from airflow_provider_aiopt.telemetry.names import (
    MAX_NAME,
    dotted_name,
    fit,
    safe_tags,
    sanitise,
    tagged_name,
)

SEGMENT = re.compile(r"[a-zA-Z0-9_-]+")


def tags(dag_id: str = "dag", task_id: str = "task", stage: str = "stage") -> dict[str, str]:
    return {"dag_id": dag_id, "task_id": task_id, "stage": stage}


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("my_dag-1", "my_dag-1"),
        ("group.task", "group__task"),
        ("a b/c:d|e#f,g=h\n", "a_b_c_d_e_f_g_h_"),
        ("café", "cafe_850f7dc4"),
        ("", "e3b0c442"),
    ],
)
def test_segment(value: str, segment: str) -> None:
    assert sanitise(value) == segment


def test_names_in_other_alphabets_stay_apart() -> None:
    assert len({sanitise("数据"), sanitise("模型"), sanitise("データ"), sanitise("__")}) == 4


def test_tags_keep_their_dots() -> None:
    assert sanitise("group.task", keep_dots=True) == "group.task"
    assert safe_tags(STAGE_DURATION, tags(task_id="group.task"))["task_id"] == "group.task"


def test_dotted_name_carries_the_values_in_order() -> None:
    name = dotted_name(STAGE_DURATION, tags("my.dag", "my task", "inference"))

    assert name == "ai_pipeline.stage.duration.my__dag.my_task.inference"


def test_tagged_name_has_the_form_of_influxdb() -> None:
    name = tagged_name(STAGE_DURATION, tags("my.dag", "my,task=1", "inference"))

    assert name == "ai_pipeline.stage.duration,dag_id=my.dag,task_id=my_task_1,stage=inference"


def test_only_the_longest_value_is_shortened() -> None:
    name = dotted_name(STAGE_DURATION, tags("d" * 250, "task", "inference"))

    assert len(name) <= MAX_NAME
    assert name.endswith(".task.inference")


def test_a_long_id_is_shortened_alike_for_every_metric() -> None:
    values = tags("d" * 250, "t" * 250)

    assert len({dotted_name(metric, values).removeprefix(metric.name) for metric in CATALOGUE}) == 1
    assert len({safe_tags(metric, values)["dag_id"] for metric in CATALOGUE}) == 1


def test_long_names_that_begin_alike_stay_apart() -> None:
    names = {dotted_name(STAGE_DURATION, tags("d" * 249 + end, "t" * 250)) for end in "abc"}

    assert len(names) == 3
    assert all(len(name) <= MAX_NAME for name in names)


anything = st.text(max_size=300)
identifiers = st.text(
    st.characters(codec="ascii", categories=["L", "N"], include_characters="-_"), min_size=1
)


@given(st.sampled_from(CATALOGUE), anything, anything, anything)
def test_names_and_tags_pass_every_backend(metric, dag_id: str, task_id: str, stage: str) -> None:
    values = tags(dag_id, task_id, stage)

    dotted, tagged = dotted_name(metric, values), tagged_name(metric, values)

    assert len(dotted) <= MAX_NAME
    assert len(tagged) <= MAX_NAME
    assert all(SEGMENT.fullmatch(segment) for segment in dotted.split("."))
    assert dotted.count(".") == metric.name.count(".") + len(TAGS)
    assert (tagged.count(","), tagged.count("=")) == (len(TAGS), len(TAGS))
    assert re.fullmatch(r"[a-zA-Z0-9_.,=-]+", tagged)


@given(st.lists(identifiers, min_size=2, max_size=2, unique=True))
def test_distinct_plain_identifiers_stay_distinct(values: list[str]) -> None:
    first, second = values

    assert fit([first], 40) != fit([second], 40)
