"""Two ways to prune an ONNX graph: zero weights, or fewer channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.optimize.channels import LAYERS, ChannelGroup, Consumer, Graph, channel_groups
from airflow_provider_aiopt.optimize.imports import require
from airflow_provider_aiopt.optimize.moments import Moments, find_layers, measure_moments
from airflow_provider_aiopt.optimize.removal import Reader, rebuilt, removal_order, share_out

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_PURPOSE = "Pruning a model"

_SPREAD = 3
"""How many times the share that is removed of all channels a single group may lose."""


def zero_weights(model: Any, amount: float) -> str:
    """Set the smallest weights of all layers to zero, by one threshold for all of them.

    :param model: an ONNX model, changed in place
    :param amount: share of the weights, 0 to 1
    :returns: what was done; empty where there are no weights
    """
    import numpy as np

    numpy_helper = require("onnx.numpy_helper", _PURPOSE)
    names = dict.fromkeys(layer.node.input[1] for layer in find_layers(model, LAYERS))
    weights = {item.name: item for item in model.graph.initializer if item.name in names}
    if not weights:
        return ""
    sizes = np.concatenate([np.abs(numpy_helper.to_array(item)).ravel() for item in weights.values()])
    threshold = np.partition(sizes, int(amount * sizes.size))[int(amount * sizes.size)]
    for name, item in weights.items():
        value = numpy_helper.to_array(item)
        item.CopyFrom(numpy_helper.from_array(np.where(np.abs(value) < threshold, 0, value), name))
    gone = float((sizes < threshold).mean())
    return f"the smallest {gone:.1%} of the weights of {len(weights)} layers are zero, by one threshold"


def remove_channels(model: Any, feeds: Mapping[str, Array], amount: float, *, seed: int = 0) -> str:
    """Remove the channels that the layers behind them can best do without, and rebuild these layers' weights.

    :param model: an ONNX model whose nodes have names, changed in place
    :param feeds: calibration records, a tensor for each input
    :param amount: share of the removable channels, 0 to 1
    :param seed: of the choice of places in feature maps
    :returns: what was done; empty where no channel can be removed
    """
    graph = Graph(model)
    groups = channel_groups(graph)
    if not groups:
        return ""
    layers = {consumer.layer.node.name: consumer.layer for group in groups for consumer in group.consumers}
    moments = measure_moments(model, list(layers.values()), feeds, seed)
    edit = _Edit(model, graph)
    readers = {group.name: [edit.reader(item, moments) for item in group.consumers] for group in groups}
    sizes = {group.name: group.size for group in groups}
    # No group loses much more than the others, so that the rest of its order need not be known.
    most = _SPREAD * amount
    removals = {group.name: removal_order(readers[group.name], group.size, most=most) for group in groups}
    kept = share_out(removals, sizes, amount)
    cut = [group for group in groups if len(kept[group.name]) < group.size]
    for group in cut:  # before any is cut: a layer that loses inputs may lose outputs too
        for consumer, reader in zip(group.consumers, readers[group.name], strict=True):
            edit.rebuild(consumer, reader, kept[group.name], moments[consumer.layer.node.name])
    for group in cut:
        edit.shrink(group, kept[group.name])
    model.graph.ClearField("value_info")  # of shapes that no longer hold
    edit.save()
    gone = sum(sizes.values()) - sum(map(len, kept.values()))
    return (
        f"{gone} of {sum(sizes.values())} removable channels of {len(groups)} layers removed, those that the "
        "layers behind them can best make up for on the calibration data; these layers' weights rebuilt by "
        "least squares"
    )


@dataclass
class _Edit:
    """Changes a model's constants."""

    model: Any
    graph: Graph

    def reader(self, consumer: Consumer, moments: Mapping[str, Moments]) -> Reader:
        """Return a layer as :mod:`~.removal` sees it."""
        layer = consumer.layer
        seen = moments[layer.node.name]
        # What is lost of the mean goes into the bias, where there is one.
        second = seen.products[0] / seen.count
        matrix = seen.covariance[0] if self.graph.bias_of(layer) else second
        weights = layer.weights.reshape(len(layer.weights), -1)
        block = weights.shape[1] // layer.weights.shape[1]
        return Reader(weights, matrix, block)

    def shrink(self, group: ChannelGroup, kept: tuple[int, ...]) -> None:
        """Remove all channels of *group* but *kept* from all that has values for each."""
        import numpy as np

        constants = self.graph.constants
        for item in group.slices:
            constants[item.name] = np.take(constants[item.name], kept, axis=item.axis)
        for name in group.shapes:
            constants[name] = np.array([constants[name][0], len(kept)], dtype=constants[name].dtype)
        for node in self.model.graph.node:
            if node.name in group.depthwise:
                next(item for item in node.attribute if item.name == "group").i = len(kept)

    def rebuild(self, consumer: Consumer, reader: Reader, kept: tuple[int, ...], seen: Moments) -> None:
        """Give a layer the weights and the bias that make up for the channels that are not *kept*."""
        import numpy as np

        constants = self.graph.constants
        weights = rebuilt(reader, kept)
        bias = self.graph.bias_of(consumer.layer)
        if bias:
            places = (np.asarray(kept)[:, None] * reader.block + np.arange(reader.block)).ravel()
            lost = reader.weights @ seen.mean[0] - weights @ seen.mean[0][places]
            value = constants[bias]
            constants[bias] = (value + lost.reshape(value.shape)).astype(value.dtype)
        before = constants[consumer.weights]
        shape = list(consumer.layer.weights.shape)
        shape[1] = len(kept)
        after = weights.reshape(shape)
        after = after.T if consumer.axis == 0 else after
        constants[consumer.weights] = after.astype(before.dtype)

    def save(self) -> None:
        """Write the constants that changed into the model."""
        numpy_helper = require("onnx.numpy_helper", _PURPOSE)
        for item in self.model.graph.initializer:
            value = self.graph.constants[item.name]
            item.CopyFrom(numpy_helper.from_array(value, item.name))
