"""Which channels to remove, and what the layers behind them make of the rest.

A channel costs what the layers that read it cannot make up for from the channels that stay: the optimal brain
surgeon's saliency for a block of weights (Hassibi and Stork, "Second order derivatives for network pruning",
1992), with the covariance of the layer's inputs on real data in place of the Hessian.  Channels are removed
one after another, the cheapest first; what is left is then solved by least squares, and the mean goes into
the bias.  No labels and no gradients are needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_DAMPING = 0.01
_MOST = 0.875
"""Share of a group's channels that are ever removed: a layer without any would cut the graph in two."""

ALIGNMENT = 8
"""Channels that stay are a multiple of this many: kernels work on vectors of 8 floats."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A layer that reads the channels.

    :param weights: ``[outputs, channels * block]``
    :param moments: second moments of its inputs, ``[channels * block, channels * block]``
    :param block: weights of an output for each channel: 1, or the size of a convolution's window
    """

    weights: Array
    moments: Array
    block: int

    @property
    def damped(self) -> Array:
        """The moments, invertible where inputs depend on each other or are constant."""
        import numpy as np

        # Rounding would make it singular, and inputs that hardly vary would take up any error.
        scale = _DAMPING * np.trace(self.moments) / len(self.moments) + np.finfo(np.float32).tiny
        return np.asarray(self.moments + scale * np.eye(len(self.moments)))


@dataclass(frozen=True, slots=True)
class Removal:
    """The order in which channels go.

    :param order: indices of channels, the first to go first
    :param costs: for each, the share of the readers' output variance that is lost once it is gone too; they
        never fall
    """

    order: tuple[int, ...]
    costs: tuple[float, ...]


def removal_order(readers: Sequence[Reader], channels: int, *, most: float = _MOST) -> Removal:
    """Remove channel after channel, each time the one whose loss can best be made up for.

    :param readers: all layers that read them
    :param channels: how many there are
    :param most: share of them after which to stop
    """
    import numpy as np

    states = [_Surgeon(reader, channels) for reader in readers]
    whole = sum(float(((item.weights @ item.moments) * item.weights).sum()) for item in readers)
    order: list[int] = []
    costs: list[float] = []
    lost = 0.0
    alive = np.ones(channels, dtype=bool)
    for _ in range(int(channels * min(most, _MOST))):
        saliency = np.where(alive, sum(state.saliencies() for state in states), np.inf)
        chosen = int(saliency.argmin())
        lost += max(0.0, float(saliency[chosen]))
        for state in states:
            state.remove(chosen)
        alive[chosen] = False
        order.append(chosen)
        costs.append(lost / whole if whole > 0 else 0.0)
    return Removal(tuple(order), tuple(costs))


class _Surgeon:
    """One reader, as channels go."""

    def __init__(self, reader: Reader, channels: int) -> None:
        import numpy as np

        self.block = reader.block
        self.channels = channels
        self.weights = reader.weights.astype(np.float64)
        self.inverse = np.linalg.inv(reader.damped)

    def saliencies(self) -> Array:
        """Return what each channel costs, ``[channels]``; meaningless for those that are gone."""
        import numpy as np

        if self.block == 1:
            return np.asarray((self.weights**2).sum(axis=0) / np.maximum(np.diag(self.inverse), 1e-300))
        size = self.block
        every = np.arange(self.channels)
        blocks = self.inverse.reshape(self.channels, size, self.channels, size)[every, :, every, :]
        blocks = blocks + np.where(np.abs(blocks).sum(axis=(1, 2)) == 0, 1.0, 0.0)[:, None, None] * np.eye(
            size
        )
        weights = self.weights.reshape(len(self.weights), self.channels, size)
        solved = np.linalg.solve(blocks, weights.transpose(1, 2, 0))
        return np.asarray(np.einsum("ock,cko->c", weights, solved))

    def remove(self, channel: int) -> None:
        """Take a channel out, and let the others make up for it."""
        import numpy as np

        places = slice(channel * self.block, (channel + 1) * self.block)
        rows = self.inverse[places].copy()
        solved = np.linalg.solve(rows[:, places], rows)
        self.weights -= self.weights[:, places] @ solved
        self.inverse -= rows.T @ solved
        self.weights[:, places] = 0
        self.inverse[places] = 0
        self.inverse[:, places] = 0


def share_out(
    removals: Mapping[str, Removal], sizes: Mapping[str, int], amount: float
) -> dict[str, tuple[int, ...]]:
    """Return the channels that stay in each group when a share of all goes, at the least loss for any layer.

    Channels go by the chunk, so that a multiple of :data:`ALIGNMENT` stays.

    :param removals: how each group's channels go
    :param sizes: how many each group has
    :param amount: share of all channels to remove, 0 to 1
    :returns: indices in ascending order
    """
    chunks = sorted(
        (removal.costs[end - 1], end, name)
        for name, removal in removals.items()
        for end in range(sizes[name] % ALIGNMENT or ALIGNMENT, len(removal.order) + 1, ALIGNMENT)
    )
    wanted, gone = amount * sum(sizes.values()), dict.fromkeys(removals, 0)
    for _, end, name in chunks:
        if sum(gone.values()) + (end - gone[name]) / 2 > wanted:
            break
        gone[name] = end
    dropped = {name: set(removal.order[: gone[name]]) for name, removal in removals.items()}
    return {
        name: tuple(index for index in range(sizes[name]) if index not in dropped[name]) for name in removals
    }


def rebuilt(reader: Reader, kept: Sequence[int]) -> Array:
    """Return the weights that bring the outputs closest to what they were, from the channels that stay.

    :param reader: the layer
    :param kept: indices of the channels that stay
    :returns: ``[outputs, len(kept) * block]``
    """
    import numpy as np

    places = (np.asarray(kept)[:, None] * reader.block + np.arange(reader.block)).ravel()
    moments = reader.damped
    wanted = reader.weights.astype(np.float64) @ moments[:, places]
    return np.asarray(np.linalg.solve(moments[np.ix_(places, places)], wanted.T).T)
