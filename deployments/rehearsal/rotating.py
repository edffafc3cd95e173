"""Rotations in a rehearsal without the gate: the same tasks as the flow's, approved at once."""

import argparse
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefect import flow

from blocks.certificate_authority import AuthorityKind, CertificateAuthority
from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.control_plane import ControlPlane
from deployments.rehearsal.prober import Prober
from tasks.certificates.orders import find_operator_csv, order_for
from tasks.certificates.proving import failed_findings, prove_certificate
from tasks.certificates.publishing import Publication, publish_certificate
from tasks.certificates.requests import request_certificate
from tasks.certificates.signing import Decision, IssuedCertificate, sign_certificate
from tasks.clients.cluster import ClusterClient
from tasks.connections import load_block
from tasks.core.certificate_orders import Shown
from tasks.core.certificates.authorities import AuthorityPlan, create_authority
from tasks.core.certificates.keys import KeySpec, generate_key
from tasks.core.manifests import Manifest
from tasks.core.permissions import AccountNeeds
from tasks.core.profiles import OperatorProfile, built_in_profile
from tasks.core.settings import CertificateChoice, CertificateMode
from tasks.core.verification import in_namespace
from tasks.target import check_target

_PROBERS = 3
_PROBERS_PER_SERVER = 6
"""Enough for the rate where a call takes long because the machine is busy."""


@dataclass(frozen=True)
class Rotation:
    """What one rotation did.

    Attributes:
        issued: The certificate that serves now.
        changed: What publishing wrote.
        unproven: Findings of the proof that failed; empty when it is proven.
    """

    issued: IssuedCertificate
    changed: tuple[str, ...]
    unproven: tuple[str, ...]


@flow(name="rotate-at-once")
def rotate_at_once(cluster_block: str, authority_block: str, patience: timedelta) -> Rotation:
    """Request, approve, sign, publish and prove a new certificate of one cluster, whatever serves there.

    Only for rehearsals: nobody is asked.
    """
    cluster = load_block(KubernetesCluster, cluster_block)
    authority = load_block(CertificateAuthority, authority_block)
    profile = built_in_profile()
    until = datetime.now(UTC) + patience
    order = order_for(profile, profile.namespace, CertificateChoice(mode=CertificateMode.OWN))
    target = check_target(cluster, AccountNeeds(fleet=(), bootstrap=()), until)
    csv = find_operator_csv(cluster, profile, profile.namespace)
    request = request_certificate(cluster, order, target, Shown.NOT_YET, until)
    issued = sign_certificate(cluster, order, request, Decision.APPROVE, authority)
    outcome = publish_certificate(cluster, Publication(order, issued, profile, csv), until)
    failed = failed_findings(prove_certificate(cluster, profile, order))
    return Rotation(
        issued, outcome.changed, tuple(f"{one.check} {one.subject}: {one.found}" for one in failed)
    )


def make_authority(
    folder: Path, name: str, lifetime: timedelta = timedelta(days=365)
) -> CertificateAuthority:
    """Make a CA in two files of the folder and save its block under the same name."""
    key = generate_key(KeySpec.ECDSA_P256)
    plan = AuthorityPlan(f"Rehearsal {name}", KeySpec.ECDSA_P256, lifetime)
    authority = create_authority(plan, key, datetime.now(UTC))
    certificate_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    certificate_file.write_bytes(authority.certificate.pem)
    key_file.touch(mode=0o600)
    key_file.write_bytes(key.pkcs8_pem().get_secret_value())
    block = CertificateAuthority(
        kind=AuthorityKind.FILE, certificate_file=certificate_file, key_file=key_file
    )
    block.save(name, overwrite=True)
    return block


def mesh_prober(control_plane: ControlPlane, profile: OperatorProfile | None = None) -> Prober:
    """A prober of the mesh validator at every API server of a control plane."""
    chosen = profile or built_in_profile()
    mesh = next(one for one in chosen.required_webhooks if one.generate_name.startswith("mesh-"))
    if mesh.proof is None:
        raise LookupError("the profile has no object that the mesh validator admits")
    threads = max(_PROBERS, len(control_plane.servers))
    return Prober(_clients(control_plane, threads), [in_namespace(mesh.proof.allowed, chosen.namespace)])


def validators_prober(control_plane: ControlPlane, every: timedelta = timedelta(milliseconds=30)) -> Prober:
    """A prober of all validators that the runbook lists (R9), at every API server of a control plane."""
    threads = _PROBERS_PER_SERVER * len(control_plane.servers)
    return Prober(_clients(control_plane, threads), admitted_objects(), every)


def admitted_objects() -> list[Manifest]:
    """An object for each of those validators that it admits."""
    profile = built_in_profile()
    proofs = [webhook.proof for webhook in profile.required_webhooks if webhook.proof is not None]
    return [in_namespace(proof.allowed, profile.namespace) for proof in proofs]


def _clients(control_plane: ControlPlane, threads: int) -> list[ClusterClient]:
    """A client for each thread; the API servers take turns."""
    return [control_plane.client(index=number % len(control_plane.servers)) for number in range(threads)]


def main() -> None:
    """Rotate once and say what serves then; Prefect's settings come from the environment."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--cluster", required=True, help="name of its block")
    parser.add_argument("--authority", required=True, help="name of its block")
    arguments = parser.parse_args()
    rotation = rotate_at_once(arguments.cluster, arguments.authority, timedelta(minutes=5))
    if rotation.unproven:
        sys.exit("; ".join(rotation.unproven))
    sys.stdout.write(f"{rotation.issued.serial}\n")


if __name__ == "__main__":
    main()
