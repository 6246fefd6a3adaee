# ruff: noqa: E501 - a message reads best in one line
"""Each way in which a spec can be wrong, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.spec import load_spec


def faults(**sections: Any) -> list[str]:
    """The lines that loading a spec with these sections complains in, the heading left out."""
    values = {"source": {"uri": "photos"}, "model": {"uri": "model.onnx"}} | sections
    with pytest.raises(SpecError) as caught:
        load_spec(values)
    heading, *lines = str(caught.value).splitlines()
    assert heading == f"The pipeline spec has {len(lines)} error{'s' * (len(lines) > 1)}:"
    return [line.removeprefix("  ") for line in lines]


def fault(**sections: Any) -> str:
    (line,) = faults(**sections)
    return line


def rows(**more: Any) -> dict[str, Any]:
    return {"uri": "rows", "format": "csv", "columns": ["a", "b"], **more}


def test_every_fault_has_its_line() -> None:
    assert len(faults(name="?", execution={"shards": 0, "batch_size": "x"}, sauce=1)) == 4


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"sauce": {}}, "sauce: unknown key; did you mean 'source'? allowed: cache, execution, model, "),
        (
            {"source": {"uri": "x", "patern": "*"}},
            "source.patern: unknown key; did you mean 'pattern'? allowed: ",
        ),
        ({"source": {"uri": "x", "raw": 1}}, "source.raw: unknown key; allowed: allow_empty, "),
        ({"model": {"uri": "x", "zzz": 1}}, "model.zzz: unknown key; allowed: connection, device, labels, "),
        (
            {"preprocess": {"kind": "image", "sise": 3}},
            "preprocess.sise: unknown key; did you mean 'size'? allowed: crop_fraction, interpolation, kind, ",
        ),
        (
            {"preprocess": {"kind": "text", "size": 3}},
            "preprocess.size: unknown key; allowed: kind, max_length, tokenizer",
        ),
        (
            {"postprocess": {"kind": "embedding", "topk": 3}},
            "postprocess.topk: unknown key; allowed: kind, normalize, output, pooling",
        ),
    ],
)
def test_an_unknown_key_is_named_with_those_allowed(sections: dict[str, Any], said: str) -> None:
    assert fault(**sections).startswith(said)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"source": {}}, "source.uri: missing; this key is required"),
        ({"model": {}}, "model.uri: missing; this key is required"),
        ({"preprocess": {"size": 3}}, "preprocess.kind: missing; allowed: image, text, tabular, custom"),
        ({"postprocess": {}}, "postprocess.kind: missing; allowed: classification, embedding, raw"),
    ],
)
def test_a_missing_key_is_named(sections: dict[str, Any], said: str) -> None:
    assert fault(**sections) == said


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        (
            {"preprocess": {"kind": "imgae"}},
            "preprocess.kind: found 'imgae' (str); allowed: image, text, tabular, custom",
        ),
        (
            {"preprocess": {"kind": None}},
            "preprocess.kind: found nothing; allowed: image, text, tabular, custom",
        ),
        (
            {"postprocess": {"kind": 3}},
            "postprocess.kind: found 3 (int); allowed: classification, embedding, raw",
        ),
    ],
)
def test_an_unknown_kind_is_named_with_those_allowed(sections: dict[str, Any], said: str) -> None:
    assert fault(**sections) == said


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"source": "photos"}, "source: found 'photos' (str); must be a mapping"),
        ({"execution": None}, "execution: found nothing; must be a mapping"),
        ({"preprocess": "image"}, "preprocess: found 'image' (str); must be a mapping"),
        ({"source": {"uri": 3}}, "source.uri: found 3 (int); input should be a valid string"),
        ({"source": {"uri": ""}}, "source.uri: found '' (str); string should have at least 1 character"),
        ({"source": {"uri": "x", "pattern": 7}}, "source.pattern: found 7 (int); must be a list"),
        (
            {"source": {"uri": "x", "pattern": []}},
            "source.pattern: found [] (list); needs 1 at least",
        ),
        (
            {"source": {"uri": "x", "recursive": "maybe"}},
            "source.recursive: found 'maybe' (str); input should be a",
        ),
        (
            {"source": {"uri": "x", "max_record_bytes": 0}},
            "source.max_record_bytes: found 0 (int); input should be",
        ),
        (
            {"source": {"uri": "x", "format": "tsv"}},
            "source.format: found 'tsv' (str); input should be 'files', ",
        ),
        ({"name": "a b"}, "name: found 'a b' (str); string should match pattern"),
        ({"name": ".."}, "name: found '..' (str); string should match pattern"),
        ({"name": "x" * 201}, "name: found 'xxxxxx"),
        (
            {"model": {"uri": "x", "sha256": "ab"}},
            "model.sha256: found 'ab' (str); string should match pattern",
        ),
        (
            {"model": {"uri": "x", "device": "tpu"}},
            "model.device: found 'tpu' (str); input should be 'auto', ",
        ),
        (
            {"execution": {"shards": 100_000}},
            "execution.shards: found 100000 (int); input should be less than or",
        ),
        (
            {"execution": {"shards": 2, "shard_bytes": 1000}},
            "execution: shards (2) and shard_bytes (1000) contradict each other. Give one of them",
        ),
        (
            {
                "source": {"uri": "python:a.b", "format": "python"},
                "execution": {"shard_bytes": 1000},
            },
            "spec: execution.shard_bytes needs sizes, which a source of format 'python' does not list",
        ),
        (
            {"execution": {"max_bad_fraction": 2}},
            "execution.max_bad_fraction: found 2 (int); input should be less",
        ),
        (
            {"preprocess": {"kind": "image", "mean": [1, 2]}},
            "preprocess.mean: found [1, 2] (list); 2 are too few",
        ),
        (
            {"preprocess": {"kind": "image", "std": [1, 1, 0]}},
            "preprocess.std.2: found 0 (int); input should be",
        ),
        (
            {"preprocess": {"kind": "image", "crop_fraction": float("nan")}},
            "preprocess.crop_fraction: found nan (float); input should be a finite number",
        ),
        (
            {"postprocess": {"kind": "classification", "top_k": 0}},
            "postprocess.top_k: found 0 (int); input should",
        ),
        (
            {"execution": {"batch_size": 0}},
            "execution.batch_size: found 0 (int); must be a whole number, 1 or more, or 'auto'",
        ),
        (
            {"execution": {"batch_size": "fast"}},
            "execution.batch_size: found 'fast' (str); must be a whole number, 1 or more, or 'auto'",
        ),
        (
            {"execution": {"batch_size": {"of": 3}}},
            "execution.batch_size: found a value (dict); must be a whole number, 1 or more, or 'auto'",
        ),
        (
            {"execution": {"batching": {"pad_to": [0]}}},
            "execution.batching.pad_to.0: found 0 (int); input should be greater",
        ),
        (
            {"execution": {"batching": {"max_latency_ms": 0}}},
            "execution.batching.max_latency_ms: found 0 (int); input should be greater",
        ),
        ({"sink": {"compression": "zip"}}, "sink.compression: found 'zip' (str); input should be 'zstd', "),
    ],
)
def test_a_wrong_value_is_shown_with_what_is_allowed(sections: dict[str, Any], said: str) -> None:
    assert fault(**sections).startswith(said)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        (
            {"source": {"uri": "x", "format": "python"}},
            "source: uri 'x' does not fit format 'python': format 'python' takes the path of a callable as 'python:my_package.datasets.photos', and no other format does",
        ),
        (
            {"source": {"uri": "python:a.b"}},
            "source: uri 'python:a.b' does not fit format 'files': format 'python' takes the path of a callable as 'python:my_package.datasets.photos', and no other format does",
        ),
        (
            {"source": {"uri": "x", "arguments": {"a": 1}}},
            "source: arguments belong to the format 'python'; the format is 'files'",
        ),
        (
            {"source": {"uri": "x", "columns": ["a"]}},
            "source: columns and id_column belong to the formats csv, jsonl, parquet and python; with format 'files' each file is one record",
        ),
        (
            {"source": {"uri": "x", "format": "jsonl"}},
            "source: format 'jsonl' needs columns: which columns make up a record",
        ),
        (
            {"source": {"uri": "x", "pattern": "../*.jpg"}},
            "source: pattern '../*.jpg' may not leave the source's root by '/' or '..'",
        ),
        (
            {"source": {"uri": "x", "pattern": ["*.jpg", "/etc/*"]}},
            "source: pattern '/etc/*' may not leave the source's root by '/' or '..'",
        ),
        (
            {"model": {"uri": "builtin:m", "connection": "aws"}},
            "model: connection and storage_options have no meaning for 'builtin:m': a builtin model ships with the package",
        ),
        (
            {"execution": {"batch_size": 8, "batching": {"pad_to": [8, 4]}}},
            "execution.batching: pad_to must ascend, each size once; found [8, 4]. Write [4, 8]",
        ),
        (
            {"execution": {"batch_size": 8, "batching": {"pad_to": [4, 16]}}},
            "execution: the largest of batching.pad_to is 16, but batch_size is 8. Make them equal: full batches are then padded to their own size",
        ),
        (
            {"execution": {"batch_size": "auto", "batching": {"pad_to": [16]}}},
            "execution: the largest of batching.pad_to is 16, but batching.max_batch_size is 64. Make them equal: full batches are then padded to their own size",
        ),
        (
            {"execution": {"batching": {"max_bytes": 10}}},
            "execution: batching.max_bytes bounds what batch_size 'auto' may choose, but batch_size is 8. Set batch_size to 'auto', or leave max_bytes out",
        ),
        (
            {"model": {"uri": "m.pt2", "runtime": "torch", "device": "tensorrt"}},
            "model: device 'tensorrt' belongs to runtime 'onnxruntime'. With runtime 'torch' set device to 'cuda', 'cpu' or 'auto'",
        ),
        (
            {"model": {"uri": "m.onnx", "torch": {"compile": True}}},
            "model: the section torch has no meaning for runtime 'onnxruntime'. Set runtime to 'torch', or leave the section out",
        ),
        (
            {"model": {"uri": "m.pt2"}},
            "model: runtime 'onnxruntime' executes .onnx files, but uri is 'm.pt2'. Set runtime to 'torch'",
        ),
        (
            {"model": {"uri": "m.onnx", "runtime": "torch"}},
            "model: runtime 'torch' executes .pt2, .pt, .ts files, but uri is 'm.onnx'. Set runtime to 'onnxruntime'",
        ),
        (
            {"preprocess": {"kind": "image", "resize_backend": "torch", "interpolation": "lanczos"}},
            "preprocess: resize_backend 'torch' knows the interpolations bicubic and bilinear, not lanczos. Use one of these, or resize_backend 'pillow'",
        ),
        (
            {"preprocess": {"kind": "image", "scaled_decode": True, "interpolation": "nearest"}},
            "preprocess: interpolation 'nearest' takes pixels as they are, but scaled_decode averages them. Use another interpolation, or scaled_decode false",
        ),
        (
            {"preprocess": {"kind": "tabular"}},
            "spec: preprocess.kind 'tabular' needs rows: set source.format to csv, jsonl or parquet, or to python with source.columns, or use kind 'image' or 'text' for files",
        ),
        (
            {"source": rows(), "preprocess": {"kind": "tabular", "mean": [0], "std": [1]}},
            "spec: preprocess.mean has 1 values for 2 source.columns; give one per column",
        ),
        (
            {"source": rows(), "preprocess": {"kind": "tabular", "std": [1, 1, 1]}},
            "spec: preprocess.std has 3 values for 2 source.columns; give one per column",
        ),
        (
            {"source": rows(), "preprocess": {"kind": "tabular", "mean": [0], "std": [1, 1]}},
            "preprocess: mean has 1 values and std 2; give one per column",
        ),
        (
            {"source": rows(), "preprocess": {"kind": "text"}},
            "spec: preprocess.kind 'text' takes one column, source.columns names 2: a, b",
        ),
        (
            {"source": rows(), "preprocess": {"kind": "image"}},
            "spec: preprocess.kind 'image' needs bytes, which source.format 'csv' cannot hold: use 'files', or 'parquet' with a binary column",
        ),
    ],
)
def test_what_does_not_go_together_is_said_with_the_way_out(sections: dict[str, Any], said: str) -> None:
    assert fault(**sections) == said


def test_long_values_are_cut() -> None:
    line = fault(name="?" * 1000)

    assert "?..." in line
    assert len(line) < 200


@pytest.mark.parametrize(
    "sections",
    [
        {"source": {"uri": "x", "storage_options": "s3cr3t"}},
        {"source": {"uri": "x", "storage_options": {3: "s3cr3t"}}},
        {"source": [{"uri": "x", "storage_options": {"secret": "s3cr3t"}}]},
        {"model": {"uri": "x", "labels": {"secret": "s3cr3t"}}},
    ],
)
def test_credentials_stay_out_of_messages(sections: dict[str, Any]) -> None:
    assert "s3cr3t" not in fault(**sections)
