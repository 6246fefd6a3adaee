from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import linear_model

from airflow_provider_aiopt.runner.fingerprints import derived, stage_settings
from airflow_provider_aiopt.runtimes.files import find_model
from airflow_provider_aiopt.spec import load_spec

STAGES = ("preprocess", "inference", "postprocess")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    linear_model(tmp_path / "model.onnx", np.ones((2, 2)))
    (tmp_path / "tokenizer.json").write_text("first")
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    return tmp_path


def settings_of(folder: Path, **sections: Any) -> dict[str, str]:
    spec = load_spec(
        {
            "source": {"uri": "data"},
            "model": {"uri": str(folder / "model.onnx"), "labels": str(folder / "labels.txt")},
            "preprocess": {"kind": "text"},
            "postprocess": {"kind": "classification"},
        }
        | sections
    )
    files, allowed = find_model(spec.model), ("sample_transforms",)
    return {stage: stage_settings(spec, files, stage, allowed_callables=allowed) for stage in STAGES}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {stage for stage in STAGES if before[stage] != after[stage]}


def test_the_same_spec_and_files_are_the_same(folder: Path) -> None:
    assert changed(settings_of(folder), settings_of(folder)) == set()


def test_another_tokenizer_under_the_old_name(folder: Path) -> None:
    before = settings_of(folder)
    (folder / "tokenizer.json").write_text("second")
    assert changed(before, settings_of(folder)) == {"preprocess"}


def test_other_labels_under_the_old_name(folder: Path) -> None:
    before = settings_of(folder)
    (folder / "labels.txt").write_text("cat\nwolf\n")
    assert changed(before, settings_of(folder)) == {"postprocess"}


def test_what_becomes_of_outputs_leaves_inference_alone(folder: Path) -> None:
    after = settings_of(folder, postprocess={"kind": "classification", "top_k": 1})
    assert changed(settings_of(folder), after) == {"postprocess"}


def test_pytorchs_precision_is_part_of_inference_and_how_batches_are_cut_is_not(folder: Path) -> None:
    def torch(**more: Any) -> dict[str, str]:
        model = {"uri": str(folder / "model.pt2"), "runtime": "torch", "labels": str(folder / "labels.txt")}
        return settings_of(folder, model=model | more)

    (folder / "model.pt2").write_bytes(b"any")
    assert changed(torch(), torch(torch={"autocast": "bfloat16"})) == {"inference"}
    assert changed(torch(), torch(torch={"channels_last": True})) == set()
    assert changed(settings_of(folder), settings_of(folder, execution={"batch_size": "auto"})) == set()


def test_the_version_of_a_custom_transform_is_part_of_what_it_makes(folder: Path) -> None:
    def custom(version: str, **more: Any) -> dict[str, str]:
        section = {"kind": "custom", "transform": "sample_transforms.Plain"} | more
        return settings_of(folder, preprocess=section | {"arguments": {"version": version}})

    assert changed(custom("1"), custom("2")) == {"preprocess", "inference"}
    assert changed(custom("1"), custom("1", processes=True)) == set()


def test_credentials_of_the_sink_are_no_part_of_it(folder: Path) -> None:
    assert "secret" not in settings_of(folder, sink={"storage_options": {"key": "secret"}})["postprocess"]


def test_every_pair_of_settings_and_input_has_a_digest_of_its_own() -> None:
    pairs = itertools.product(("", "a", "a\0", "b"), ("", "a", "\0a"))
    digests = [derived(settings, given) for settings, given in pairs if "\0" not in settings + given]
    assert len(set(digests)) == len(digests)
