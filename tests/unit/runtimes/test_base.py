from __future__ import annotations

import numpy as np
import pytest

from airflow_provider_aiopt.exceptions import ModelInputError
from airflow_provider_aiopt.runtimes.base import TensorInfo, check_feeds, numpy_dtype

IMAGE = TensorInfo("image", "float32", (None, 3, 8, 8))


def zeros(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.zeros(shape, dtype)


def test_an_input_is_written_as_name_type_and_axes() -> None:
    assert str(IMAGE) == "image float32 [?, 3, 8, 8]"


@pytest.mark.parametrize("batch", [1, 7])
def test_tensors_that_fit_pass(batch: int) -> None:
    check_feeds([IMAGE], {"image": zeros(batch, 3, 8, 8)})


def test_further_tensors_do_no_harm() -> None:
    check_feeds([IMAGE], {"image": zeros(1, 3, 8, 8), "mask": zeros(1)})


@pytest.mark.parametrize(
    ("value", "made"),
    [
        (zeros(1, 3, 9, 9), r"image float32 \[1, 3, 9, 9\]"),
        (zeros(1, 8, 8, 3), r"image float32 \[1, 8, 8, 3\]"),
        (zeros(3, 8, 8), r"image float32 \[3, 8, 8\]"),
        (zeros(1, 3, 8, 8, dtype="uint8"), r"image uint8 \[1, 3, 8, 8\]"),
    ],
    ids=["other size", "other layout", "no batch axis", "other type"],
)
def test_a_tensor_that_does_not_fit_is_named_with_what_the_model_takes(value: np.ndarray, made: str) -> None:
    with pytest.raises(
        ModelInputError, match=rf"takes image float32 \[\?, 3, 8, 8\], but preprocessing makes {made}"
    ):
        check_feeds([IMAGE], {"image": value})


def test_a_missing_tensor_is_named_with_those_there_are() -> None:
    mask = TensorInfo("attention_mask", "int64", (None, None))
    with pytest.raises(ModelInputError, match=r"makes image: no tensor for attention_mask.*preprocess\.kind"):
        check_feeds([IMAGE, mask], {"image": zeros(1, 3, 8, 8)})


def test_element_types_become_numpys() -> None:
    assert numpy_dtype(IMAGE) == np.float32


@pytest.mark.parametrize("dtype", ["tensor(string)", "tensor(bfloat16)"])
def test_an_element_type_that_nothing_can_make_is_refused(dtype: str) -> None:
    with pytest.raises(ModelInputError, match=r"takes words tensor\(.*\) \[\?\], a type that no"):
        numpy_dtype(TensorInfo("words", dtype, (None,)))


def test_a_shape_that_the_file_does_not_say_is_not_checked() -> None:
    unknown = TensorInfo("x", "float32", None)
    assert str(unknown) == "x float32 [...]"
    check_feeds([unknown], {"x": zeros(1, 2, 3)})
    with pytest.raises(ModelInputError, match=r"takes x float32 \[\.\.\.\], but .* x uint8"):
        check_feeds([unknown], {"x": zeros(1, dtype="uint8")})
