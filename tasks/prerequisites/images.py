"""Asks registries for the images of clusters, with the credentials that the clusters' nodes will use."""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.clients.polling import deadline_at
from tasks.clients.registry import (
    Anonymous,
    BasicCredentials,
    Credentials,
    RegistryAccess,
    RegistryClient,
    Scheme,
)
from tasks.clients.registry.errors import RegistryDeniedError, RegistryDigestError, RegistryNotFoundError
from tasks.clients.remembering import Memory
from tasks.clients.web import Pacing, is_loopback
from tasks.connections import open_cluster
from tasks.core.deadlines import Deadline
from tasks.core.errors import FleetError, InputError
from tasks.core.manifests import ObjectRef
from tasks.core.prerequisites.findings import Finding
from tasks.core.prerequisites.images import (
    Given,
    ImageAnswer,
    NotAsked,
    Refusal,
    Refused,
    check_image,
    check_no_images,
    check_pull_secret_absent,
    pull_secret_check,
)
from tasks.core.prerequisites.pull_secrets import PullSecret, read_pull_secret
from tasks.core.prerequisites.settings import ClusterNeeds
from tasks.core.references import ImageReference, parse_reference
from tasks.steps import step

_REGISTRY_PATIENCE = timedelta(seconds=60)
"""For all images of a cluster in one registry; a registry that is silent costs no more than that."""
_REGISTRIES_AT_ONCE = 4
_LONGER_THAN_A_RUN = timedelta(days=1)


class ImageQuestions:
    """Asks for each image once per run and credentials, whichever cluster wants it first; thread-safe.

    Args:
        until: When all questions have to be answered (time zone aware).
        pacing: Repetitions while a registry gives no usable answer.
    """

    def __init__(self, until: datetime, pacing: Pacing | None = None) -> None:
        self._until = until
        self._pacing = pacing
        self._answers: Memory[ImageAnswer] = Memory(_LONGER_THAN_A_RUN)

    def ask_registry(
        self, references: Sequence[ImageReference], pull_secret: PullSecret
    ) -> dict[ImageReference, ImageAnswer]:
        """Ask one registry for images, inside one deadline."""
        try:
            deadline = deadline_at(self._until).part(_REGISTRY_PATIENCE)
        except FleetError as error:
            return {reference: NotAsked(error.found) for reference in references}
        return {reference: self._ask_as_kubelet(reference, pull_secret, deadline) for reference in references}

    def _ask_as_kubelet(
        self, reference: ImageReference, pull_secret: PullSecret, deadline: Deadline
    ) -> ImageAnswer:
        """Every login that fits is tried until one gets the image; anonymous only where none fits."""
        logins: list[Credentials] = [
            BasicCredentials(login.username, login.password) for login in pull_secret.logins_for(reference)
        ]
        first, *others = logins or [Anonymous()]
        answer = self._ask_once(reference, first, deadline)
        for credentials in others:
            if isinstance(answer, Given):
                break
            answer = self._ask_once(reference, credentials, deadline)
        return answer

    def _ask_once(
        self, reference: ImageReference, credentials: Credentials, deadline: Deadline
    ) -> ImageAnswer:
        return self._answers.recall(
            (reference, credentials), lambda: self._ask(reference, credentials, deadline)
        )

    def _ask(self, reference: ImageReference, credentials: Credentials, deadline: Deadline) -> ImageAnswer:
        try:
            with RegistryClient(_access(reference, credentials), self._pacing) as registry:
                return Given(registry.resolve_digest(reference, deadline), f"{credentials}")
        except RegistryDeniedError as error:
            return Refused(Refusal.DENIED, error.found)
        except RegistryNotFoundError as error:
            return Refused(Refusal.NOT_FOUND, error.found)
        except RegistryDigestError as error:
            return Refused(Refusal.OTHER_BYTES, f"expected {error.expected}, found {error.found}")
        except FleetError as error:
            return NotAsked(f"expected {error.expected}, found {error.found}")


@step("check-images")
def check_images(
    cluster: KubernetesCluster, needs: ClusterNeeds, questions: ImageQuestions
) -> tuple[Finding, ...]:
    """R5, R6: whether the nodes' credentials get every image, by digest."""
    references = [parse_reference(text) for text in dict.fromkeys(needs.images.references)]
    if not references:
        return (check_no_images(),)
    pull_secret, findings = _pull_secret(cluster, needs)
    if pull_secret is None:
        return findings
    answers = _ask_all(references, pull_secret, questions)
    return *findings, *(check_image(reference, answers[reference]) for reference in references)


def _ask_all(
    references: Sequence[ImageReference], pull_secret: PullSecret, questions: ImageQuestions
) -> dict[ImageReference, ImageAnswer]:
    """Ask all registries side by side, so that a silent one does not use up the time of the others."""
    by_registry: defaultdict[str, list[ImageReference]] = defaultdict(list)
    for reference in references:
        by_registry[reference.registry].append(reference)
    with ThreadPoolExecutor(_REGISTRIES_AT_ONCE) as pool:
        asked = pool.map(lambda group: questions.ask_registry(group, pull_secret), by_registry.values())
        return {reference: answer for answers in asked for reference, answer in answers.items()}


def _pull_secret(
    cluster: KubernetesCluster, needs: ClusterNeeds
) -> tuple[PullSecret | None, tuple[Finding, ...]]:
    """The logins and what is to be said about their Secret; None when nobody knows the logins."""
    namespace, name = needs.namespace, needs.images.pull_secret
    if not name:
        return PullSecret({}), ()
    check = pull_secret_check(namespace, name)
    try:
        secret = open_cluster(cluster).get(ObjectRef("v1", "Secret", name, namespace))
    except FleetError as error:
        return None, (
            check.unknown(
                f"so no image was asked for: {error}",
                f"Let the fleet's account get the Secret {name} in {namespace}, or run the check again.",
            ),
        )
    if secret is None:
        return PullSecret({}), (check_pull_secret_absent(namespace, name),)
    try:
        return read_pull_secret(secret, f"{namespace}/{name}"), (check.passed(),)
    except InputError as error:
        reason = f"the nodes cannot use it, so no image was asked for: expected {error.expected}"
        return None, (
            check.failed(
                f"{reason}, found {error.found} in {error.subject}",
                f"Make it again: kubectl create secret docker-registry {name} -n {namespace} …",
            ),
        )


def _access(reference: ImageReference, credentials: Credentials) -> RegistryAccess:
    # As containerd does (MatchLocalhost): plain HTTP for registries on loopback addresses only.
    access = RegistryAccess(reference.registry, credentials)
    scheme = Scheme.HTTP if is_loopback(access.host_name) else Scheme.HTTPS
    return RegistryAccess(reference.registry, credentials, scheme=scheme)
