"""What the limit and the peers are built of: the package's own decoder, and ONNX Runtime called directly.

Every system thus decodes and infers by the same calls; what differs is how they are put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import onnxruntime

from airflow_provider_aiopt.runtimes.files import find_model, read_labels
from airflow_provider_aiopt.spec.model import ModelSpec
from airflow_provider_aiopt.spec.preprocess import ImagePreprocessSpec
from airflow_provider_aiopt.stages.transforms.image import decode_image

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Floats = np.ndarray[Any, np.dtype[np.float32]]


class Decoder:
    """Decodes, crops and resizes one JPEG to uint8 RGB ``[size, size, 3]``, as a model's card says.

    :param model: model folder or ``builtin:NAME``
    """

    def __init__(self, model: str) -> None:
        card = find_model(ModelSpec(uri=model)).card
        self.spec = ImagePreprocessSpec.model_validate(card.preprocess if card else {})

    def __call__(self, payload: bytes) -> Pixels:
        """Return the pixels."""
        return decode_image(payload, self.spec)


class Classifier:
    """A session that answers the best label and its score for a batch of pixels.

    :param model: model folder or ``builtin:NAME``
    :param threads: threads of one call
    :param spinning: whether a waiting thread keeps its core busy, ONNX Runtime's default
    """

    def __init__(self, model: str, *, threads: int, spinning: bool = True) -> None:
        spec = ModelSpec(uri=model)
        files = find_model(spec)
        self._labels = read_labels(spec, files)
        self._preprocess = Decoder(model).spec
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
        self._session = onnxruntime.InferenceSession(
            str(files.file), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        self.warm_up()

    def warm_up(self) -> None:
        """Run once: the first call allocates."""
        self.infer(np.zeros((1, 3, self._preprocess.size, self._preprocess.size), np.float32))

    @cached_property
    def _scale(self) -> tuple[Floats, Floats]:
        mean, std = (
            np.asarray(values, np.float32) for values in (self._preprocess.mean, self._preprocess.std)
        )
        return mean[:, None, None], std[:, None, None]

    def normalise(self, pixels: Pixels) -> Floats:
        """Return the model's input, float32 ``[n, 3, size, size]``."""
        values = np.empty((len(pixels), 3, *pixels.shape[1:3]), np.float32)
        np.copyto(values, pixels.transpose(0, 3, 1, 2))
        mean, std = self._scale
        values -= mean
        values /= std
        return values

    def infer(self, values: Floats) -> Floats:
        """Return the logits ``[n, classes]``."""
        logits: Floats = self._session.run(None, {self._input: values})[0]
        return logits

    def best(self, logits: Floats) -> tuple[list[str], list[float]]:
        """Return the best label of each row and its softmax score."""
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        classes = logits.argmax(axis=1)
        scores = exponentials[np.arange(len(logits)), classes] / exponentials.sum(axis=1)
        names: Sequence[str] | None = self._labels
        return [names[index] if names else str(index) for index in classes.tolist()], scores.tolist()

    def classify(self, pixels: Pixels) -> tuple[list[str], list[float]]:
        """Return the best label and score of each picture of a batch."""
        return self.best(self.infer(self.normalise(pixels)))
