"""The node: a kubelet on containerd and runc, with Debian's network plugins."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from kubernetes_cluster.certificates import Authority
from kubernetes_cluster.machine import Machine

NAME = "node"
_PODS = "10.244.0.0/24"
_DNS = "10.96.0.10"
"""A service that there is none of; pods that ask for a name are not tested."""

_PLUGINS = "/usr/lib/cni"
_SOCKET = "/run/containerd/containerd.sock"

_CONTAINERD = """\
version = 2
# In memory, as all of the machine's /var/lib: about 1 GB, which is gone at once when the tests are over.
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
# Where the tests may not lower it, as in a container, containers keep the node's own.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{folder}/cni"

[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{folder}/registries"
"""

_REGISTRY = """\
server = "{url}"

[host."{url}"]
capabilities = ["pull", "resolve"]
"""


class Node:
    """A node whose machine is this one.

    :param machine: where its programs run
    :param kubelet: its program
    :param containerd: containerd's program
    :param pause: the image of pods' sandboxes
    """

    def __init__(self, machine: Machine, kubelet: Path, containerd: str, pause: str) -> None:
        self._machine, self._kubelet, self._containerd, self._pause = machine, kubelet, containerd, pause
        self._folder = machine.folder

    def start_containerd(self) -> None:
        """Start what runs containers."""
        (self._folder / "cni").mkdir()
        (self._folder / "cni" / "10-pods.conflist").write_text(json.dumps(_network()))
        configuration = self._folder / "containerd.toml"
        configuration.write_text(
            _CONTAINERD.format(folder=self._folder, socket=_SOCKET, pause=self._pause, plugins=_PLUGINS)
        )
        self._machine.start("containerd", self._containerd, f"--config={configuration}")

    def know_registry(self, name: str, url: str) -> None:
        """Say where a registry is.

        :param name: as images name it
        :param url: where it answers, without TLS
        """
        folder = self._folder / "registries" / name
        folder.mkdir(parents=True)
        (folder / "hosts.toml").write_text(_REGISTRY.format(url=url))

    def runs_containers(self) -> bool:
        """Whether containerd answers."""
        return self._machine.succeeds("ctr", f"--address={_SOCKET}", "version")

    def import_images(self, archive: Path) -> None:
        """Give it images.

        :param archive: as Docker and Podman write it
        """
        self._machine.run("ctr", f"--address={_SOCKET}", "--namespace=k8s.io", "images", "import", archive)

    def start_kubelet(self, authority: Authority, url: str) -> None:
        """Start what makes pods of what the API server has.

        :param authority: signs the node's certificates
        :param url: the API server's
        """
        configuration = self._folder / "kubelet.yaml"
        certificate, key = authority.server("kubelet", self._machine.address)
        tls = {"tlsCertFile": str(certificate), "tlsPrivateKeyFile": str(key)}
        values = self._settings() | tls
        values["authentication"]["x509"] = {"clientCAFile": str(authority.certificate)}
        configuration.write_text(yaml.safe_dump(values))
        known = authority.client_kubeconfig(f"system:node:{NAME}", url, "system:nodes")
        self._machine.start(
            "kubelet",
            self._kubelet,
            f"--config={configuration}",
            f"--kubeconfig={known}",
            f"--hostname-override={NAME}",
            f"--node-ip={self._machine.address}",
        )

    def _settings(self) -> dict[str, object]:
        nothing = {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%"}
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self._machine.address,
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}},
            "authorization": {"mode": "Webhook"},
            "containerRuntimeEndpoint": f"unix://{_SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": self._machine.cgroup,
            # Version 1 is what some machines have; the kubelet still knows it.
            "failCgroupV1": False,
            "failSwapOn": False,
            # However full the machine's own disk and memory are, pods are not evicted for it.
            "evictionHard": nothing,
            "imageGCHighThresholdPercent": 100,
            # How often it looks how much volumes hold; as delivered once a minute.
            "volumeStatsAggPeriod": "1s",
            "makeIPTablesUtilChains": False,
            "protectKernelDefaults": True,
            "oomScoreAdj": 0,
            "clusterDNS": [_DNS],
            "clusterDomain": "cluster.local",
            "resolvConf": "",
            "healthzPort": 0,
            "registerWithTaints": [],
        }


def _network() -> dict[str, object]:
    """Each pod has a link to the node and an address, and no way out of it."""
    ranges = {"type": "host-local", "ranges": [[{"subnet": _PODS}]], "dataDir": "/run/cni"}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "ptp", "ipam": ranges}]}
