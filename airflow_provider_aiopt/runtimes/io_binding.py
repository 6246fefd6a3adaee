"""Running an ONNX Runtime session on tensors that stay on the device between calls."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class BoundSession:
    """A session whose input tensors have a place on the device that calls of the same shape use again.

    Without it each call allocates and frees device memory for its inputs.  Threads have places of their own,
    so that one thread's batch can be copied while another's is computed.

    :param session: the session
    :param ort_value: ``onnxruntime.OrtValue``
    :param device: its name for the device, for example ``cuda``
    """

    def __init__(self, session: Any, ort_value: Any, device: str) -> None:
        self._session = session
        self._ort_value = ort_value
        self._device = device
        self._local = threading.local()

    def run(self, names: Sequence[str], feeds: Mapping[str, np.ndarray[Any, Any]]) -> list[Any]:
        """Run one batch.

        :param names: the outputs
        :param feeds: a tensor for each input
        :returns: the outputs in the order of *names*
        """
        binding = self._session.io_binding()  # a used one would force its outputs' shapes on the next batch
        for name, value in feeds.items():
            binding.bind_ortvalue_input(name, self._placed(name, value))
        for name in names:
            binding.bind_output(name, self._device)
        self._session.run_with_iobinding(binding)
        return list(binding.copy_outputs_to_cpu())

    def _placed(self, name: str, value: np.ndarray[Any, Any]) -> Any:
        import numpy as np

        places: dict[str, tuple[tuple[object, ...], Any]] = self._local.__dict__.setdefault("places", {})
        contiguous, kind = np.ascontiguousarray(value), (value.shape, value.dtype)
        if name in places and places[name][0] == kind:
            place = places[name][1]
            place.update_inplace(contiguous)
            return place
        places.pop(name, None)  # before another is made: there may be no room for both
        place = self._ort_value.ortvalue_from_numpy(contiguous, self._device, 0)
        places[name] = (kind, place)
        return place
