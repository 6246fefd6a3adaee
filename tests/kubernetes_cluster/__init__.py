"""A real Kubernetes of one node for tests: etcd, control plane, kubelet and containerd on this machine."""
