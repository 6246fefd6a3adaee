"""Hypothesis strategies of valid specs."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

# No file holds lone surrogates, and PyYAML reads the next-line character, which it writes, as a line break.
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85"), min_size=1, max_size=12)
positive = st.integers(1, 10**6)
finite = st.floats(allow_nan=False, allow_infinity=False)
above_zero = st.floats(min_value=1e-6, max_value=1e6)
maybe_text = st.none() | text
sha256 = st.text("0123456789abcdef", min_size=64, max_size=64)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | finite | text,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(text, inner, max_size=2),
    max_leaves=4,
)
storage_options = st.dictionaries(text, json_values, max_size=2)
pattern = text.map(lambda value: value.replace("/", "_").replace("..", "_"))


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any choice of *fields*."""
    return st.fixed_dictionaries({}, optional=fields)


def section(required: dict[str, Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """*required* and any choice of *fields*."""
    return optional(**fields).map(lambda chosen: required | chosen)


def _source(format_name: str, columns: int) -> st.SearchStrategy[dict[str, Any]]:
    rows = {} if format_name == "files" else {"columns": st.lists(text, min_size=columns, max_size=columns)}
    uri = text.map("python:{}".format) if format_name == "python" else text
    arguments = {"arguments": storage_options} if format_name == "python" else {}
    return st.builds(
        dict.__or__,
        st.fixed_dictionaries({"uri": uri, "format": st.just(format_name), **rows}),
        optional(
            pattern=pattern | st.lists(pattern, min_size=1, max_size=3),
            recursive=st.booleans(),
            connection=maybe_text,
            storage_options=storage_options,
            max_record_bytes=positive,
            allow_empty=st.booleans(),
            attempts=st.integers(1, 100),
            read_timeout_s=above_zero,
            **arguments,
            **({} if format_name == "files" else {"id_column": maybe_text}),
        ),
    )


_resize = st.one_of(
    optional(interpolation=st.sampled_from(["bicubic", "bilinear", "lanczos", "nearest"])),
    optional(
        interpolation=st.sampled_from(["bicubic", "bilinear"]),
        resize_backend=st.sampled_from(["pillow", "torch"]),
        scaled_decode=st.booleans(),
    ),
)
_image_rest = section(
    {"kind": "image"},
    size=st.integers(1, 8192),
    crop_fraction=st.floats(min_value=0.01, max_value=1),
    mean=st.lists(finite, min_size=3, max_size=3),
    std=st.lists(above_zero, min_size=3, max_size=3),
    layout=st.sampled_from(["nchw", "nhwc"]),
    max_pixels=positive,
)
_image = st.builds(dict.__or__, _image_rest, _resize)
_custom = st.builds(
    dict.__or__,
    st.fixed_dictionaries({"kind": st.just("custom"), "transform": st.just("my_package.transforms.make")}),
    optional(arguments=storage_options, processes=st.booleans()),
)
_text = section({"kind": "text"}, tokenizer=text, max_length=positive)


def _tabular(columns: int) -> st.SearchStrategy[dict[str, Any]]:
    return section(
        {"kind": "tabular"},
        mean=st.lists(finite, min_size=columns, max_size=columns),
        std=st.lists(above_zero, min_size=columns, max_size=columns),
    )


@st.composite
def _source_and_preprocess(draw: st.DrawFn) -> dict[str, Any]:
    format_name = draw(st.sampled_from(["files", "csv", "jsonl", "parquet", "python"]))
    kinds = ["none", "text", "custom"] + (["image"] if format_name == "files" else [])
    if format_name != "files":
        kinds.append("tabular")
    if format_name in ("parquet", "python"):
        kinds.append("image")
    kind = draw(st.sampled_from(kinds))
    columns = draw(st.integers(1, 4)) if kind == "tabular" else 1
    made: dict[str, Any] = {"source": draw(_source(format_name, columns))}
    if kind != "none":
        sections = {"image": _image, "text": _text, "tabular": _tabular(columns), "custom": _custom}
        made["preprocess"] = draw(sections[kind])
    return made


_output = {"output": maybe_text}
_postprocess = st.one_of(
    section(
        {"kind": "classification"},
        top_k=positive,
        activation=st.sampled_from(["softmax", "sigmoid", "none"]),
        **_output,
    ),
    section(
        {"kind": "embedding"},
        pooling=st.sampled_from(["mean", "cls", "none"]),
        normalize=st.booleans(),
        **_output,
    ),
    section({"kind": "raw"}, **_output),
)
_runtime = st.one_of(
    section(
        {"uri": "model.onnx", "runtime": "onnxruntime"},
        device=st.sampled_from(["auto", "cpu", "cuda", "tensorrt"]),
    ),
    section(
        {"uri": "model.pt2", "runtime": "torch"},
        device=st.sampled_from(["auto", "cpu", "cuda"]),
        torch=optional(
            autocast=st.sampled_from([None, "bfloat16", "float16"]),
            channels_last=st.booleans(),
            compile=st.booleans(),
            input_dtype=st.sampled_from(["float32", "int64"]),
        ),
    ),
    text.filter(lambda uri: not uri.startswith("builtin:") and "." not in uri).map(lambda uri: {"uri": uri}),
)
_model = st.builds(
    dict.__or__,
    _runtime,
    optional(
        sha256=st.none() | sha256,
        threads=st.none() | positive,
        labels=maybe_text,
        connection=maybe_text,
        storage_options=storage_options,
    ),
)
_cache = st.one_of(
    st.builds(
        dict.__or__,
        st.fixed_dictionaries({"uri": text.filter(lambda uri: "://" not in uri)}),
        optional(max_bytes=positive),
    ),
    st.builds(
        dict.__or__,
        st.sampled_from(["redis://cache", "redis://cache:6379/1", "rediss://[::1]/0"]).map(
            lambda uri: {"uri": uri}
        ),
        optional(ttl_s=positive),
    ),
)


@st.composite
def _batching(draw: st.DrawFn) -> dict[str, Any]:
    sizes = draw(st.lists(positive, max_size=3, unique=True).map(sorted))
    most = sizes[-1] if sizes else draw(positive)
    if draw(st.booleans()):
        return (
            {"batch_size": most, "batching": {"pad_to": sizes}}
            if sizes
            else draw(optional(batch_size=positive))
        )
    bounds = draw(optional(max_latency_ms=st.none() | above_zero, max_bytes=st.none() | positive))
    return {"batch_size": "auto", "batching": {"pad_to": sizes, "max_batch_size": most, **bounds}}


_rest = optional(
    name=st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,30}", fullmatch=True),
    postprocess=_postprocess,
    sink=optional(
        uri=maybe_text,
        compression=st.sampled_from(["zstd", "snappy", "gzip", "lz4", "none"]),
        connection=maybe_text,
        storage_options=storage_options,
    ),
    execution=st.builds(
        dict.__or__,
        st.builds(dict.__or__, _batching(), optional(shards=st.integers(1, 99_999))),
        optional(
            keep_order=st.booleans(),
            workers=st.none() | positive,
            max_bad_fraction=st.floats(0, 1),
            resume=st.booleans(),
        ),
    ),
    cache=st.none() | _cache,
)


@st.composite
def _specs(draw: st.DrawFn) -> dict[str, Any]:
    made = {**draw(_source_and_preprocess()), "model": draw(_model), **draw(_rest)}
    execution = made.get("execution", {})
    if made["source"]["format"] != "python" and execution.get("shards", 1) == 1 and draw(st.booleans()):
        made["execution"] = execution | {"shard_bytes": draw(positive)}
    return made


specs: st.SearchStrategy[dict[str, Any]] = _specs()
"""The plain values of any valid spec."""
