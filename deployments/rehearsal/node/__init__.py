"""The kubelet stand-in of one control plane: it runs the real programs behind the images of pods.

Each program gets a root folder, a network and mounts of its own (Linux namespaces, no container runtime), so
that it starts with the command, the environment and the volumes of its pod, listens on the ports it always
listens on, and finds the API server as it would in a cluster.
"""

from deployments.rehearsal.node.node import Node
from deployments.rehearsal.node.settings import BackOff, NodeSettings

__all__ = ["BackOff", "Node", "NodeSettings"]
