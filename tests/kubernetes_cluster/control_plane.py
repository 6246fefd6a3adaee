"""etcd, API server, controller manager and scheduler."""

from __future__ import annotations

from pathlib import Path

from kubernetes_cluster.certificates import Authority
from kubernetes_cluster.machine import Machine

_ETCD_PORT, _API_PORT = 2379, 6443
"""Free for sure: the machine has a network of its own."""

_SERVICES = "10.96.0.0/24"
_ISSUER = "https://kubernetes.default.svc"


class ControlPlane:
    """What a cluster is without its nodes.

    :param machine: where its programs run
    :param programs: the folder with those of Kubernetes
    :param etcd: etcd's program
    :param authority: signs certificates
    """

    def __init__(self, machine: Machine, programs: Path, etcd: str, authority: Authority) -> None:
        self._machine, self._programs, self._etcd, self._authority = machine, programs, etcd, authority
        self.url = f"https://{machine.address}:{_API_PORT}"
        self.admin = authority.client_kubeconfig("admin", self.url, "system:masters")
        """Of whoever may do everything."""

    def start(self) -> None:
        """Start all of it; each waits by itself for what it needs."""
        private, public = self._authority.key("service-accounts")
        self._start_etcd()
        self._start_api_server(private, public)
        self._start_controllers(private)
        scheduler = self._authority.client_kubeconfig("system:kube-scheduler", self.url)
        self._machine.start(
            "kube-scheduler",
            self._programs / "kube-scheduler",
            f"--kubeconfig={scheduler}",
            "--leader-elect=false",
            "--secure-port=0",
            "--authentication-skip-lookup",
        )

    def _start_etcd(self) -> None:
        here = f"http://127.0.0.1:{_ETCD_PORT}"
        self._machine.start(
            "etcd",
            self._etcd,
            "--data-dir=/var/lib/etcd",  # in memory
            f"--listen-client-urls={here}",
            f"--advertise-client-urls={here}",
            "--logger=zap",
        )

    def _start_api_server(self, private: Path, public: Path) -> None:
        certificate, key = self._authority.server("kube-apiserver", self._machine.address)
        to_kubelet, its_key = self._authority.client("kube-apiserver-kubelet-client", "system:masters")
        self._machine.start(
            "kube-apiserver",
            self._programs / "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{_ETCD_PORT}",
            f"--bind-address={self._machine.address}",
            f"--secure-port={_API_PORT}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={self._authority.certificate}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--service-cluster-ip-range={_SERVICES}",
            f"--service-account-issuer={_ISSUER}",
            f"--service-account-key-file={public}",
            f"--service-account-signing-key-file={private}",
            f"--kubelet-certificate-authority={self._authority.certificate}",
            f"--kubelet-client-certificate={to_kubelet}",
            f"--kubelet-client-key={its_key}",
            "--kubelet-preferred-address-types=InternalIP",
        )

    def _start_controllers(self, private: Path) -> None:
        known = self._authority.client_kubeconfig("system:kube-controller-manager", self.url)
        self._machine.start(
            "kube-controller-manager",
            self._programs / "kube-controller-manager",
            f"--kubeconfig={known}",
            f"--service-account-private-key-file={private}",
            f"--root-ca-file={self._authority.certificate}",
            # Each controller may do what its own role allows.
            "--use-service-account-credentials",
            # As delivered they ask 20 times a second, and the first sync alone takes half a minute.
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            # A claim whose volume came a moment too late is looked at again only then.
            "--pvclaimbinder-sync-period=500ms",
            "--leader-elect=false",
            "--secure-port=0",
        )
