"""The errors of this product, typed by what to do next: retry, refuse, or wait for a person."""

from enum import StrEnum
from typing import ClassVar

from typing_extensions import override


class Reaction(StrEnum):
    """What the caller of a failed step should do."""

    RETRY = "RETRY"
    """The same call may succeed later."""
    REFUSE = "REFUSE"
    """Nothing changes until somebody changes the input or the world."""
    ASK = "ASK"
    """A person has to decide."""


class FleetError(Exception):
    """The root of every error that this product raises on purpose.

    Args:
        attempted: What was attempted, as a clause ("apply the OLM manifests").
        subject: Which cluster and object it was about ("fra-1: Deployment olm/olm-operator").
        expected: What should have been there; empty when `found` says it all.
        found: What was there instead. Never a key, a token or a kubeconfig.
        next_step: What the person who reads this should do.
    """

    reaction: ClassVar[Reaction] = Reaction.REFUSE

    def __init__(
        self, attempted: str, subject: str = "", expected: str = "", found: str = "", next_step: str = ""
    ) -> None:
        # Positional arguments reach BaseException.args, so the error survives pickling between processes.
        super().__init__(attempted, subject, expected, found, next_step)
        self.attempted = attempted
        self.subject = subject
        self.expected = expected
        self.found = found
        self.next_step = next_step

    @override
    def __str__(self) -> str:
        """One sentence per known fact, in the order a reader needs them."""
        head = f"Could not {self.attempted}" + (f" ({self.subject})" if self.subject else "")
        facts = [
            f"expected {self.expected}" if self.expected else "",
            f"found {self.found}" if self.found else "",
        ]
        middle = "; ".join(fact for fact in facts if fact)
        text = f"{head}: {middle}." if middle else f"{head}."
        return f"{text} {self.next_step}".rstrip()

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later without anybody changing anything."""
        return self.reaction is Reaction.RETRY


class InputError(FleetError):
    """A parameter, a block or a file says something that cannot be carried out."""


class ManifestError(FleetError):
    """A manifest, a bundle or a catalog is not what it claims to be."""


class PrerequisiteError(FleetError):
    """The world lacks something that has to be there first (permission, version, policy)."""


class StalledError(FleetError):
    """A stage did not finish inside its deadline; the message carries the cause that was found."""


class InstallError(FleetError):
    """A run ended and not every cluster is as it should be."""


class ClusterError(FleetError):
    """The Kubernetes API of a cluster answered with an error."""


class ClusterUnavailableError(ClusterError):
    """No usable answer: connection refused, timeout, 429 or 5xx."""

    reaction = Reaction.RETRY


class ClusterConflictError(ClusterError):
    """409: somebody else changed the object meanwhile; read it again and decide again."""

    reaction = Reaction.RETRY


class ClusterForbiddenError(ClusterError):
    """401 or 403: the account of the pipeline lacks a permission, or its credentials are not accepted."""


class ClusterRejectedError(ClusterError):
    """400 or 422, or a denial by an admission webhook: the API server refuses the object itself."""


class ClusterIdentityError(ClusterError):
    """The cluster behind the address is not the one that was pinned."""


class RegistryError(FleetError):
    """An OCI registry answered with an error or sent bytes that do not match their digest."""


class RegistryUnavailableError(RegistryError):
    """No usable answer from the registry: connection refused, timeout, 429 or 5xx."""

    reaction = Reaction.RETRY


class DownloadError(FleetError):
    """A release file could not be had, or its sha256 is not the pinned one."""


class DownloadUnavailableError(DownloadError):
    """No usable answer from the download server: connection refused, timeout, 429 or 5xx."""

    reaction = Reaction.RETRY


class CertificateError(FleetError):
    """A key, a certificate signing request or a certificate breaks a rule."""


class RolledBackError(CertificateError):
    """A published certificate was not accepted; the one before it was put back and serves."""


class PublicationError(FleetError):
    """Metrics or a report could not be handed on; the verification they tell of stands."""


class PublicationUnavailableError(PublicationError):
    """No usable answer from where they should go: connection refused, timeout, 429 or 5xx."""

    reaction = Reaction.RETRY


class DecisionError(FleetError):
    """A person denied something, or has not decided yet: nothing goes on without them."""

    reaction = Reaction.ASK


class TenancyError(FleetError):
    """An OCI service answered with an error."""


class TenancyUnavailableError(TenancyError):
    """No usable answer from an OCI service: connection refused, timeout, 429 or 5xx."""

    reaction = Reaction.RETRY


class PrefectUnavailableError(FleetError):
    """Prefect's API accepted no connection."""

    reaction = Reaction.RETRY
