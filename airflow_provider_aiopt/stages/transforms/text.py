"""Texts: tokenise; pad when the batch is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.data.tensors import ragged_array
from airflow_provider_aiopt.exceptions import (
    DecodeError,
    MissingExtraError,
    ModelLoadError,
    RecordError,
    SpecError,
)
from airflow_provider_aiopt.runtimes.base import TensorInfo, numpy_dtype
from airflow_provider_aiopt.spec.preprocess import TextPreprocessSpec
from airflow_provider_aiopt.stages.transforms.parts import prepare_in_parts

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

TOKENS = "tokens"


class TextTransform:
    """Prepares token ids, a vector of at most ``max_length`` for each text.

    :param spec: the settings
    :param tokenizer: path of the Hugging Face ``tokenizer.json``
    :raises MissingExtraError: if ``tokenizers`` is not installed
    :raises ModelLoadError: if the file is no tokenizer
    :raises SpecError: if ``max_length`` leaves no room for a text's own tokens
    """

    def __init__(self, spec: TextPreprocessSpec, tokenizer: Path) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingExtraError("tokenizers", "text", "Preprocessing text") from error
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # the library raises plain Exception
            raise ModelLoadError(f"{tokenizer} is no Hugging Face tokenizer: {error}") from error
        markers = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        if spec.max_length <= markers:  # the library would then truncate nothing, or everything
            raise SpecError(
                f"preprocess.max_length is {spec.max_length}, but {tokenizer} adds {markers} tokens of its "
                f"own to each text; give at least {markers + 1}"
            )
        self._tokenizer.enable_truncation(spec.max_length)
        self._tokenizer.no_padding()

    @property
    def version(self) -> str:
        """See :attr:`Transform.version`."""
        import tokenizers

        return f"text 1, tokenizers {tokenizers.__version__}"

    def prepare(
        self,
        payloads: Sequence[bytes],
        executor: Executor,
    ) -> tuple[dict[str, pa.Array], dict[int, RecordError]]:
        """Tokenise all texts in one call, which has threads of its own; see :meth:`Transform.prepare`."""
        return prepare_in_parts(self._encode, payloads, executor)

    def _encode(self, payloads: Sequence[bytes]) -> tuple[dict[str, pa.Array], dict[int, RecordError]]:
        import numpy as np

        texts: list[str] = []
        errors: dict[int, RecordError] = {}
        for index, payload in enumerate(payloads):
            try:
                texts.append(payload.decode("utf-8"))
            except UnicodeDecodeError as error:
                errors[index] = DecodeError(f"The text is not valid UTF-8: {error.reason} at {error.start}")
        encoded = self._tokenizer.encode_batch(texts)
        rows = [np.asarray(item.ids, np.int32) for item in encoded]
        return {TOKENS: ragged_array(rows)}, errors

    def feeds(
        self, batch: pa.RecordBatch, inputs: Sequence[TensorInfo]
    ) -> Mapping[str, np.ndarray[Any, Any]]:
        """Pad to the longest text of the batch; the attention mask is 0 on padding."""
        import numpy as np

        column = batch.column(TOKENS)
        lengths = np.asarray(column.value_lengths())
        mask = np.arange(lengths.max(initial=1)) < lengths[:, None]
        ids = np.zeros(mask.shape, np.int64)
        ids[mask] = np.asarray(column.flatten())
        tensors = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        dtypes = {info.name: numpy_dtype(info) for info in inputs}
        return {name: value.astype(dtypes.get(name, np.int64)) for name, value in tensors.items()}
