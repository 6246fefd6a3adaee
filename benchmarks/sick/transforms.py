"""Transforms that users might write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SIDE = 224
_ROUNDS = 4000


class Planes:
    """Takes raw pixels as numbers to compute with: 64-bit integers, divided once, which makes them floats."""

    version = "1"

    def prepare(self, payloads: Sequence[bytes]) -> tuple[Mapping[str, Any], Mapping[int, str]]:
        """Return the pixels."""
        import numpy as np

        pixels = np.stack([np.frombuffer(payload, np.uint8) for payload in payloads]).astype(np.int64)
        return {"pixels": (pixels / 1).reshape(len(payloads), 3, SIDE, SIDE)}, {}

    def feeds(self, columns: Mapping[str, Any], inputs: Sequence[Any]) -> Mapping[str, Any]:
        """Return them as the model takes them."""
        import numpy as np

        return {inputs[0].name: columns["pixels"].astype(np.float32)}


class Checksums:
    """Makes features of bytes in a loop of Python."""

    version = "1"

    def prepare(self, payloads: Sequence[bytes]) -> tuple[Mapping[str, Any], Mapping[int, str]]:
        """Return four features of each payload."""
        import numpy as np

        return {"features": np.asarray([_features(payload) for payload in payloads], np.float32)}, {}

    def feeds(self, columns: Mapping[str, Any], inputs: Sequence[Any]) -> Mapping[str, Any]:
        """Return them as they are."""
        return {inputs[0].name: columns["features"]}


def _features(payload: bytes) -> list[float]:
    first, second, largest, odd = 1, 0, 0, 0
    for position in range(_ROUNDS * 16):
        byte = payload[position % len(payload)]
        first = (first + byte) % 65521
        second = (second + first) % 65521
        largest = max(largest, byte)
        odd += byte & 1
    return [float(first), float(second), float(largest), float(odd)]
