"""How Kubernetes is built from its published modules."""

from __future__ import annotations

from kubernetes_cluster.programs import VERSION, main_module

OF_KUBERNETES = """\
module k8s.io/kubernetes

go 1.25.0

require github.com/google/cadvisor v0.53.0

replace (
\tk8s.io/api => ./staging/src/k8s.io/api
\tk8s.io/apimachinery => ./staging/src/k8s.io/apimachinery
)
"""


def test_what_kubernetes_takes_from_its_own_folder_is_taken_from_its_modules() -> None:
    lines = main_module(OF_KUBERNETES).splitlines()
    version = "v0" + VERSION.removeprefix("1")
    assert f"require k8s.io/kubernetes v{VERSION}" in lines
    assert [line for line in lines if line.startswith("replace")] == [
        f"replace k8s.io/api => k8s.io/api {version}",
        f"replace k8s.io/apimachinery => k8s.io/apimachinery {version}",
    ]
