"""What the idiomatic peers share: torchvision's transforms and ONNX Runtime as their documentation has them.

Nothing here is this package's work but the reading of the model's card, which says how the model wants its
input.

Followed: `Inference PyTorch models on different hardware targets with ONNX Runtime
<https://onnxruntime.ai/docs/tutorials/accelerate-pytorch/resnet-inferencing.html>`_ for the session, which
has ONNX Runtime's own settings, and torchvision's ``Compose`` of ``CenterCrop``, ``Resize``, ``ToTensor`` and
``Normalize``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from torchvision import transforms

from airflow_provider_aiopt.runtimes.files import find_model, read_labels
from airflow_provider_aiopt.spec.model import ModelSpec
from airflow_provider_aiopt.spec.preprocess import ImagePreprocessSpec

BATCH_SIZE = 32
_SHORTER_SIDE = 375
"""Of every image of the benchmark; torchvision's ``CenterCrop`` takes pixels, not a share."""


def image_transform(model: str) -> Any:
    """Return the transform from a PIL image to the model's input, a float tensor ``[3, size, size]``.

    :param model: model folder or ``builtin:NAME``
    """
    card = find_model(ModelSpec(uri=model)).card
    wanted = ImagePreprocessSpec.model_validate(card.preprocess if card else {})
    return transforms.Compose(
        [
            transforms.CenterCrop(int(wanted.crop_fraction * _SHORTER_SIDE)),
            transforms.Resize(
                (wanted.size, wanted.size),
                interpolation=transforms.InterpolationMode(wanted.interpolation),
            ),
            transforms.ToTensor(),
            transforms.Normalize(
                mean=[value / 255 for value in wanted.mean], std=[value / 255 for value in wanted.std]
            ),
        ]
    )


class Model:
    """A session with ONNX Runtime's own settings, and the labels of its classes.

    :param model: model folder or ``builtin:NAME``
    """

    def __init__(self, model: str) -> None:
        spec = ModelSpec(uri=model)
        files = find_model(spec)
        names = read_labels(spec, files)
        if names is None:
            raise ValueError(f"The model {model} names no classes")
        self._labels = names
        self._session = onnxruntime.InferenceSession(str(files.file), providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def predict(self, batch: np.ndarray[Any, np.dtype[np.float32]]) -> tuple[list[str], list[float]]:
        """Return the best label of each image and its softmax score.

        :param batch: the model's input ``[n, 3, size, size]``
        """
        logits = self._session.run(None, {self._input: batch})[0]
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores = exponentials / exponentials.sum(axis=1, keepdims=True)
        best = logits.argmax(axis=1)
        return [self._labels[index] for index in best], scores.max(axis=1).tolist()
