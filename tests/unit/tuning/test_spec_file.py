from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.tuning.spec_file import changed_text, unified_diff

SPEC = """\
# Classifies photographs.
name: photos
source:
  uri: photographs
  pattern:
  - "*.jpg"
  - "*.png"
model:
  uri: model.onnx
  threads: 4        # as many as cores

execution:
  batch_size: 1     # careful
  workers: 1
  batching:
    pad_to: [1]
"""


def test_comments_order_and_everything_else_stay() -> None:
    changes = {
        "execution.batch_size": 32,
        "execution.workers": None,
        "execution.batching.pad_to": [8, 32],
        "execution.max_bytes_in_flight": 4194304,
        "model.threads": 1,
        "source.readers": 8,
        "cache.uri": "/var/cache/photos",
    }
    assert (
        changed_text(SPEC, changes)
        == """\
# Classifies photographs.
name: photos
source:
  uri: photographs
  pattern:
  - "*.jpg"
  - "*.png"
  readers: 8
model:
  uri: model.onnx
  threads: 1        # as many as cores

execution:
  batch_size: 32     # careful
  batching:
    pad_to: [8, 32]
  max_bytes_in_flight: 4194304
cache:
  uri: /var/cache/photos
"""
    )


def test_a_list_over_several_lines_is_replaced_as_a_whole() -> None:
    text = changed_text(SPEC, {"source.pattern": ["*.gif"]})
    assert yaml.safe_load(text)["source"] == {"uri": "photographs", "pattern": ["*.gif"]}
    assert "# careful" in text


_names = st.sampled_from(["alpha", "beta", "gamma", "delta"])
_scalars = (
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.sampled_from(["text", "a: b", "# no", "", "8"])
)
_specs = st.dictionaries(
    _names,
    st.dictionaries(
        _names, _scalars | st.lists(_scalars, max_size=2) | st.dictionaries(_names, _scalars, max_size=2)
    ),
    min_size=1,
)


@given(
    spec=_specs,
    changes=st.dictionaries(st.tuples(_names, _names), _scalars, max_size=4),
    flow=st.sampled_from([None, True, False]),
    indent=st.sampled_from([2, 4]),
)
def test_whatever_a_file_looks_like_it_says_what_it_is_to_say(
    spec: dict[str, Any], changes: dict[tuple[str, str], Any], flow: bool | None, indent: int
) -> None:
    text = yaml.safe_dump(spec, default_flow_style=flow, indent=indent, sort_keys=False)
    wanted = {key: dict(section) for key, section in spec.items()}
    for (section, key), value in changes.items():
        wanted.setdefault(section, {})
        wanted[section].pop(key, None) if value is None else wanted[section].update({key: value})
    dotted = {".".join(path): value for path, value in changes.items()}
    for found in (
        yaml.safe_load(changed_text(text, dotted)),
        json.loads(changed_text(json.dumps(spec), dotted, is_json=True)),
    ):
        assert {key: section for key, section in found.items() if section} == {
            key: section for key, section in wanted.items() if section
        }


def test_git_applies_the_diff(tmp_path: Path) -> None:
    for before in (SPEC, SPEC.removesuffix("\n")):
        (tmp_path / "spec.yaml").write_text(before)
        after = changed_text(before, {"execution.batch_size": 32, "model.threads": None})
        (tmp_path / "change.diff").write_text(unified_diff(before, after, "spec.yaml"))
        subprocess.run(["git", "apply", "-p0", "change.diff"], cwd=tmp_path, check=True)
        assert (tmp_path / "spec.yaml").read_text() == after
    assert unified_diff(SPEC, SPEC, "spec.yaml") == ""


def test_a_spec_is_a_mapping() -> None:
    with pytest.raises(SpecError, match="found list"):
        changed_text("- 1\n", {"execution.workers": 1})
