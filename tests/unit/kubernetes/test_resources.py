from __future__ import annotations

import pytest

from airflow_provider_aiopt.exceptions import ConfigurationError
from airflow_provider_aiopt.kubernetes.resources import PodResources, Toleration


def test_a_gpu_node_may_take_longer_to_come_and_to_start() -> None:
    plain, gpu = PodResources(), PodResources(gpus=1)
    assert (plain.schedule_timeout_s, plain.startup_timeout_s) == (300, 300)
    assert (gpu.schedule_timeout_s, gpu.startup_timeout_s) == (1800, 1200)
    assert PodResources(queue="gpus").schedule_timeout_s == 86_400


def test_the_usual_taint_of_gpu_nodes_is_tolerated_once() -> None:
    usual = Toleration(key="nvidia.com/gpu", effect="NoSchedule")
    assert PodResources().all_tolerations == ()
    assert PodResources(gpus=1).all_tolerations == (usual,)
    assert PodResources(gpus=1, tolerations=(usual,)).all_tolerations == (usual,)
    assert PodResources(gpus=1, gpu_resource="nvidia.com/mig-1g.10gb").all_tolerations == (
        Toleration(key="nvidia.com/mig-1g.10gb", effect="NoSchedule"),
    )


def test_numbers_are_amounts_too() -> None:
    assert PodResources.model_validate({"cpu": 2, "memory": 1.5}) == PodResources(cpu="2", memory="1.5")


def test_every_fault_is_named_at_once() -> None:
    wrong = {"gpus": -1, "memory": "16 GB", "claims": {"data": "x"}, "gpu": 1}
    with pytest.raises(ConfigurationError, match=r"(?s)pod_resources is wrong: gpus: .*memory: .*gpu: Extra"):
        PodResources.read(wrong, "pod_resources")
    with pytest.raises(ConfigurationError, match=r"claims: '/a/\.\./b' is no absolute path"):
        PodResources.read({"claims": {"/a/../b": "x"}}, "pod_resources")
