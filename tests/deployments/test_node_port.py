"""The node's port in its Node object, which the API server dials for logs and port forwarding."""

import pytest

from deployments.rehearsal.control_plane import ControlPlane
from deployments.rehearsal.controlplane.commands import NODE_NAME
from deployments.rehearsal.node import Node
from deployments.rehearsal.programs import Programs
from tasks.core.manifests import ObjectRef
from tests.deployments.test_node_support import OPERATOR, wait_for

pytestmark = pytest.mark.cluster


def test_a_port_that_a_heartbeat_put_into_the_node_object_is_put_right(
    control_plane: ControlPlane, programs: Programs
) -> None:
    client, ref = control_plane.client(), ObjectRef("v1", "Node", NODE_NAME)

    def port() -> int:
        node = client.get(ref)
        assert node is not None
        found: int = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
        return found

    with Node(control_plane, programs, OPERATOR):
        ours = wait_for(lambda: port() if port() != control_plane.kubelet_port else None)
        heartbeat = {"daemonEndpoints": {"kubeletEndpoint": {"Port": control_plane.kubelet_port}}}
        client.patch(ref, {"status": heartbeat}, subresource="status")

        assert wait_for(lambda: port() == ours)
