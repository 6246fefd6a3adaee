from __future__ import annotations

import copy
from typing import Any

from airflow_provider_aiopt.optimize.graph import (
    is_convolutional,
    name_nodes,
    opset,
    strip_debug_information,
    tensor_cards,
)


def test_inputs_and_outputs_are_described(cnn: Any) -> None:
    (card,) = tensor_cards(cnn.graph.input)
    assert (card.name, card.dtype, card.shape) == ("image", "float32", ("batch", 3, 12, 12))


def test_the_standard_operator_set_is_found(cnn: Any) -> None:
    assert opset(cnn) == 17


def test_convolutions_are_found(cnn: Any) -> None:
    assert is_convolutional(cnn)
    without = copy.deepcopy(cnn)
    del without.graph.node[:]
    assert not is_convolutional(without)


def test_nodes_without_a_name_get_one_of_their_own(cnn: Any) -> None:
    named = copy.deepcopy(cnn)
    named.graph.node[0].name = "Conv_4"
    name_nodes(named)
    names = [node.name for node in named.graph.node]
    assert names[4] == "Conv_4_"
    assert len(set(names)) == len(names)


def test_debug_information_is_removed(cnn: Any) -> None:
    model = copy.deepcopy(cnn)
    entry = model.graph.node[0].metadata_props.add()
    entry.key, entry.value = "stack_trace", 'File "/somewhere/else.py"'
    model.producer_version = "2.9.0+cpu"
    strip_debug_information(model)
    assert model.producer_version == "2.9.0"
    assert b"/somewhere" not in model.SerializeToString()
    assert b"/somewhere" in cnn.SerializeToString()
