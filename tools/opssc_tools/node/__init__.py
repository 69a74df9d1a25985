"""A real Kubernetes node on this machine: containerd, kubelet, scheduler and kube-proxy as plain processes.

They live in namespaces of their own, whose first process ends them all; images are made here, without a registry.
Nothing is imported from here: `machine` runs where the rest cannot.
"""
