from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from components import requires

from airflow_provider_aiopt.data.limited import LimitedThreads
from airflow_provider_aiopt.exceptions import (
    DecodeError,
    MissingExtraError,
    ModelLoadError,
    RecordTimeoutError,
    SpecError,
)
from airflow_provider_aiopt.runtimes.base import TensorInfo
from airflow_provider_aiopt.spec import TextPreprocessSpec
from airflow_provider_aiopt.stages.transforms.text import TextTransform

requires("tokenizers", "pip install 'airflow-provider-aiopt[text]'")

INPUTS = [TensorInfo(name, "int64", (None, None)) for name in ("input_ids", "attention_mask")]
FIRST, LAST, UNKNOWN, HELLO, WORLD = 1, 2, 3, 4, 5


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """Words apart by spaces, between two markers, as BERT's."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = {"[PAD]": 0, "[CLS]": FIRST, "[SEP]": LAST, "[UNK]": UNKNOWN, "hello": HELLO, "world": WORLD}
    built = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    built.pre_tokenizer = pre_tokenizers.Whitespace()
    built.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", FIRST), ("[SEP]", LAST)]
    )
    path = tmp_path / "tokenizer.json"
    built.save(str(path))
    return path


def run(
    tokenizer: Path, *texts: bytes, inputs: list[TensorInfo] = INPUTS, **settings: Any
) -> tuple[dict[str, np.ndarray], dict[int, Any]]:
    transform = TextTransform(TextPreprocessSpec(**settings), tokenizer)
    with ThreadPoolExecutor(1) as executor:
        columns, errors = transform.prepare(texts, executor)
    return dict(transform.feeds(pa.record_batch(columns), inputs)), errors


def test_texts_are_padded_to_the_longest_and_masked(tokenizer: Path) -> None:
    feeds, errors = run(tokenizer, b"hello", b"hello there world", b"")

    assert feeds["input_ids"].tolist() == [
        [FIRST, HELLO, LAST, 0, 0],
        [FIRST, HELLO, UNKNOWN, WORLD, LAST],
        [FIRST, LAST, 0, 0, 0],
    ]
    assert feeds["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]
    assert not feeds["token_type_ids"].any()
    assert not errors


def test_long_texts_are_cut_and_keep_their_markers(tokenizer: Path) -> None:
    feeds, _ = run(tokenizer, b"hello world " * 100, max_length=4)
    assert feeds["input_ids"].tolist() == [[FIRST, HELLO, WORLD, LAST]]


def test_tensors_have_the_types_that_the_model_takes(tokenizer: Path) -> None:
    inputs = [TensorInfo("input_ids", "int32", ()), TensorInfo("attention_mask", "float32", ())]
    feeds, _ = run(tokenizer, b"hello", inputs=inputs)
    assert {name: value.dtype.name for name, value in feeds.items()} == {
        "input_ids": "int32",
        "attention_mask": "float32",
        "token_type_ids": "int64",
    }


def test_the_mask_is_there_for_pooling_even_if_the_model_takes_none(tokenizer: Path) -> None:
    feeds, _ = run(tokenizer, b"hello", inputs=[TensorInfo("input_ids", "int64", ())])
    assert "attention_mask" in feeds


def test_bytes_that_are_no_text_are_bad_and_the_others_are_not(tokenizer: Path) -> None:
    feeds, errors = run(tokenizer, b"hello", b"caf\xe9", b"world")
    assert feeds["input_ids"][:, 1].tolist() == [HELLO, WORLD]
    assert isinstance(errors[1], DecodeError)
    assert "not valid UTF-8" in str(errors[1])


def test_none_but_bad_texts(tokenizer: Path) -> None:
    feeds, errors = run(tokenizer, b"\xff")
    assert feeds["input_ids"].shape == (0, 1)
    assert list(errors) == [0]


@pytest.mark.parametrize("max_length", [1, 2])
def test_a_limit_without_room_for_text_is_refused(tokenizer: Path, max_length: int) -> None:
    with pytest.raises(SpecError, match=rf"max_length is {max_length}, .* adds 2 tokens.*at least 3"):
        run(tokenizer, b"hello", max_length=max_length)


def test_a_file_that_is_no_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelLoadError, match=r"tokenizer\.json is no Hugging Face tokenizer"):
        run(tmp_path / "tokenizer.json")


def test_without_tokenizers_the_pip_command_is_named(
    tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'airflow-provider-aiopt\[text\]'"):
        run(tokenizer)


class TestTimeLimit:
    @pytest.fixture
    def released(self) -> Iterator[threading.Event]:
        event = threading.Event()
        yield event
        event.set()

    def test_a_text_that_never_ends_is_found_in_its_batch(
        self, tokenizer: Path, released: threading.Event
    ) -> None:
        transform = TextTransform(TextPreprocessSpec(), tokenizer)
        encode = transform._tokenizer.encode_batch

        def hang(texts: list[str]) -> Any:
            if "hang" in texts:
                released.wait(60)
            return encode(texts)

        transform._tokenizer = SimpleNamespace(encode_batch=hang)
        executor = LimitedThreads(
            1, limit_s=0.2, substitute=lambda: RecordTimeoutError("given up"), max_stuck=9
        )
        columns, errors = transform.prepare([b"hello", b"hang", b"\xff", b"world"], executor)

        assert columns["tokens"].to_pylist() == [[FIRST, HELLO, LAST], [FIRST, WORLD, LAST]]
        assert [(row, type(error)) for row, error in sorted(errors.items())] == [
            (1, RecordTimeoutError),
            (2, DecodeError),
        ]
