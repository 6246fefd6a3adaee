"""A model runtime that stands for another and does something else with its calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_aiopt.runtimes.base import ModelRuntime, TensorInfo

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import numpy as np


class WatchedRuntime:
    """Is to a stage what *runtime* is; subclasses override :meth:`run`.

    :param runtime: the model
    """

    def __init__(self, runtime: ModelRuntime) -> None:
        self.watched = runtime

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """The model's inputs."""
        return self.watched.inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The model's outputs."""
        return self.watched.outputs

    @property
    def description(self) -> str:
        """The runtime and the device that really loaded."""
        return self.watched.description

    @property
    def on_device(self) -> bool:
        """Whether the model runs on a device of its own."""
        return self.watched.on_device

    @property
    def fallback(self) -> str | None:
        """Why ``device: auto`` took no GPU."""
        return self.watched.fallback

    @property
    def normalisation(self) -> str | None:
        """Where images are normalised."""
        return self.watched.normalisation

    def run(self, feeds: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """Run one batch."""
        return self.watched.run(feeds)
