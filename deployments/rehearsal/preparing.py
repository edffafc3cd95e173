"""The rehearsal's first part: a tenancy that lacks something: found, planned, decided, and repaired."""

import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prefect.client.orchestration import SyncPrefectClient

from blocks.certificate_authority import AuthorityKind, CertificateAuthority
from blocks.oci_tenancy import ConfigFile, OciTenancy
from deployments.rehearsal.deciding import follow_and_decide
from deployments.rehearsal.managed import ManagedClusters, OkeUser
from deployments.rehearsal.running import FinishedRun, follow, submit
from deployments.rehearsal.tenancy.seeding import HOSTS, Seed, seed
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.store import Store
from deployments.rehearsal.tenancy.world import SETTLE, Signatory, add_tenancy, add_user
from tasks.core.reports import duration_text

REGION = "eu-frankfurt-1"
TENANCY = "rehearsal-tenancy"
"""The block of the tenancy, whose user is the clusters' everyday account."""
BOOTSTRAP = "rehearsal-bootstrap"
"""The block of the same tenancy whose user may create OLM's own cluster roles."""
OCI_AUTHORITY = "rehearsal-mesh-root"
"""The block of the tenancy's authority."""
NEEDS: dict[str, object] = {
    "vault": "mesh",
    "key": "mesh",
    "certificate_authority": "mesh",
    "gateway": {"kind": "oci_certificate", "certificate": "gateway", "hosts": [HOSTS[0]]},
}
"""The parameter `needs` that fits this tenancy."""
_TOO_SHORT = Seed(leaf_validity="P30D", certificate_days=29)
"""Service Mesh asks for certificates of 45 days, which this authority refuses (R26)."""


class RehearsalTenancy:
    """The tenancy of a rehearsal. A context manager: it answers while it is entered.

    Args:
        folder: Where the API keys go.
    """

    def __init__(self, folder: Path) -> None:
        self.server = TenancyServer(Store(settle=SETTLE), REGION)
        self._folder = folder

    def __enter__(self) -> Self:
        """Start it, with an authority whose rule is too short."""
        self.server.start()
        self.place = add_tenancy(self.server.store, "rehearsal", [REGION])
        self._bootstrap = add_user(self.server.store, self.place.tenancy, "bootstrap@example.com")
        self._seeded = seed(self.server, self.place, _TOO_SHORT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.server.stop()

    def managed(self) -> ManagedClusters:
        """Makes clusters OKE clusters of this tenancy."""
        fleet = OkeUser(self.place.signatory.user_id, TENANCY)
        bootstrap = OkeUser(self._bootstrap.user_id, BOOTSTRAP)
        return ManagedClusters(self.server, self.place, fleet, bootstrap)

    def save_blocks(self) -> None:
        """Save both tenancy blocks; inside `prefect_environment`."""
        self._block(self.place.signatory, TENANCY).save(TENANCY, overwrite=True)
        self._block(self._bootstrap, BOOTSTRAP).save(BOOTSTRAP, overwrite=True)

    def save_authority(self) -> None:
        """Save the block of the tenancy's authority, for webhook certificates that OCI signs."""
        block = CertificateAuthority(kind=AuthorityKind.OCI, tenancy=TENANCY, ocid=self._seeded.authority_id)
        block.save(OCI_AUTHORITY, overwrite=True)

    def _block(self, signatory: Signatory, name: str) -> OciTenancy:
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return OciTenancy(
            tenancy_id=signatory.tenancy_id,
            region=REGION,
            home_region=REGION,
            compartment_id=self.place.compartment_id,
            authentication=ConfigFile(path=signatory.write_config(folder, REGION)),
            endpoint=self.server.url,
        )


def prepare(client: SyncPrefectClient, report: Callable[[str], None]) -> bool:
    """Check the tenancy, and have made what it lacks; whether everything is met in the end."""
    report("\ncheck-prerequisites runs on the tenancy")
    parameters: dict[str, object] = {"tenancies": [TENANCY], "needs": NEEDS}
    run = submit(client, "check-prerequisites/check-prerequisites", parameters)
    checked = follow(client, run, report)
    _show(checked, "check-prerequisites", report)
    report("\ncreate-prerequisites plans what is missing")
    run = submit(client, "create-prerequisites/create-prerequisites", {"tenancy": TENANCY, "needs": NEEDS})
    created = follow_and_decide(client, run, report)
    _show(created, "create-prerequisites", report)
    return created.state == "Completed"


def _show(finished: FinishedRun, flow: str, report: Callable[[str], None]) -> None:
    for document in _documents(finished):
        counts = ", ".join(f"{count} {status}" for status, count in document["counts"].items())
        report(f"{document['subject']}: {counts}")
        for finding in document["findings"]:
            if finding["status"] != "PASS":
                report(
                    f"  {finding['status']:<7} {finding['runbook']} {finding['check']}: {finding['reason']}"
                )
                report(f"          {finding['fix']}")
    report(f"{flow} {finished.state} after {duration_text(finished.duration)}")


def _documents(finished: FinishedRun) -> list[dict[str, Any]]:
    texts = [text.partition("```json\n")[2].partition("\n```")[0] for text in finished.artifacts.values()]
    return [json.loads(text) for text in texts if text]
