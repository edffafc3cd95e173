"""A new certificate whose proof fails on the real API server: the one before serves again (R20, R21).

What fails is that one of the validators is not asked any more: the API server admits an object that the
operator would refuse. Objects, endpoints and handshakes are in order; only the proof's own calls find it.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from deployments.rehearsal.rotating import rotate_at_once
from tasks.clients.cluster import PatchType
from tasks.core.certificates.reading import read_certificates
from tasks.core.errors import CertificateError
from tasks.core.manifests import Manifest, sha256_hex
from tests.support.certificates import certificate_in, requests_of
from tests.support.rotations import (
    NAMESPACE,
    PATIENCE,
    PREVIOUS,
    STAGING,
    RotatingCluster,
    Served,
)

pytestmark = [pytest.mark.cluster, pytest.mark.long]

_TRIES = 3


@dataclass(frozen=True)
class RolledBack:
    """A change of CA whose proof failed, and another one once the cause was gone.

    Attributes:
        authority: The CA that was changed to.
        before: What served before.
        data: Digest of the Secret's data before, the key included.
        error: Why the first change failed.
        after: What served after it.
        data_after: Digest of the Secret's data after it.
        kept: What of ours lay in the namespace after it.
        unproven: Findings that failed after the second change.
    """

    authority: bytes
    before: Served
    data: str
    error: str
    after: Served
    data_after: str
    kept: tuple[str, ...]
    unproven: tuple[str, ...]


@pytest.fixture(scope="module")
def rolled_back(rotating: RotatingCluster) -> RolledBack:
    """OLM may write the webhooks anew meanwhile, and so undo the fault: then it is another change."""
    for number in range(_TRIES):
        if found := changed_with_a_fault(rotating, f"rollback-ca-{number}"):
            return found
    pytest.fail(f"OLM undid the fault during each of {_TRIES} changes")


def changed_with_a_fault(rotating: RotatingCluster, ca: str) -> RolledBack | None:
    """None when the fault was gone before the proof."""
    rotating.delete_requests()
    authority = rotating.authority(ca)
    before, data = rotating.served(), digest_of(rotating.secret())
    with mesh_validator_not_asked(rotating) as fault:
        error = error_of_change(rotating, ca)
    if not error:
        assert not fault.lasted
        return None
    after, data_after, kept = rotating.served(), digest_of(rotating.secret()), tuple(rotating.left_over())
    again = rotate_at_once(rotating.cluster.name, ca, PATIENCE)
    return RolledBack(authority, before, data, error, after, data_after, kept, again.unproven)


def error_of_change(rotating: RotatingCluster, ca: str) -> str:
    """Why the change of CA failed; empty when it did not."""
    try:
        rotate_at_once(rotating.cluster.name, ca, PATIENCE)
    except CertificateError as error:
        return str(error)
    return ""


def digest_of(secret: Manifest) -> str:
    return sha256_hex(json.dumps(secret["data"], sort_keys=True).encode())


@dataclass
class Fault:
    """A validator that is not asked.

    Attributes:
        lasted: Whether it still was so at the end.
    """

    lasted: bool = False


@contextmanager
def mesh_validator_not_asked(rotating: RotatingCluster) -> Iterator[Fault]:
    """Somebody has the API server ask this validator about nothing; no object's status shows it."""
    bundle = next(one for one in rotating.bundles() if one.name.startswith("mesh-"))
    place = f"/webhooks/{bundle.index}"
    never = [{"name": "never", "expression": "false"}]
    expected: Manifest = {"op": "test", "path": f"{place}/name", "value": bundle.name}
    add: Manifest = {"op": "add", "path": f"{place}/matchConditions", "value": never}
    rotating.client.patch(bundle.ref, [expected, add], PatchType.JSON)
    fault = Fault()
    yield fault
    live = rotating.client.get(bundle.ref)
    assert live is not None
    fault.lasted = live["webhooks"][bundle.index].get("matchConditions") == never
    if fault.lasted:
        rotating.client.patch(bundle.ref, [expected, {"op": "remove", "path": add["path"]}], PatchType.JSON)


def test_the_error_says_what_failed_and_what_serves_now(rolled_back: RolledBack) -> None:
    assert "expected a proof through the API server; found CALL_DENIED Mesh through" in rolled_back.error
    assert "The previous certificate (serial " in rolled_back.error
    assert "serves again, and nothing was lost" in rolled_back.error


def test_secret_and_bundles_and_endpoints_are_as_before(rolled_back: RolledBack) -> None:
    assert rolled_back.data_after == rolled_back.data
    assert rolled_back.after == rolled_back.before


def test_the_approved_request_waits_for_the_next_run(
    rotating: RotatingCluster, rolled_back: RolledBack
) -> None:
    """Nobody is asked again: the next run publishes the very certificate that was approved."""
    (request,) = requests_of(rotating.client, NAMESPACE)

    assert rolled_back.kept == (STAGING.name,)
    assert rolled_back.unproven == ()
    assert read_certificates(certificate_in(request))[0].sha256 == rotating.served().secret
    assert rotating.served().bundles == {rolled_back.authority}
    assert rotating.left_over() == []
    assert base64.b64decode(rotating.secret()["data"]["olmCAKey"]) == rolled_back.authority
    assert rotating.client.get(PREVIOUS) is None
