"""The names that a webhook's certificate must have, computed from its Services (runbook R12).

kube-apiserver verifies `<service>.<namespace>.svc` (kubernetes/apiserver pkg/util/webhook/client.go); OLM
from 0.29.0 on keeps a certificate only when it also has `<service>.<namespace>` and
`<service>.<namespace>.svc.cluster.local` (its pkg/controller/install/certresources.go).
"""

import re
from dataclasses import dataclass

from tasks.core.errors import CertificateError

OLM_CLUSTER_DOMAIN = "cluster.local"
"""The cluster domain that OLM writes into its host names, whatever the cluster's own is."""

COMMON_NAME_LIMIT = 64
"""ub-common-name of RFC 5280 appendix A.1, in characters."""

_LABEL_LIMIT = 63
_NAME_LIMIT = 253
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True)
class WebhookTarget:
    """The Services of one operator that the API server or others call by name.

    Attributes:
        namespace: The namespace that the operator runs in.
        services: Names of its Services; the first is the one that OLM makes.
        cluster_domain: The cluster's DNS domain.
    """

    namespace: str
    services: tuple[str, ...]
    cluster_domain: str = OLM_CLUSTER_DOMAIN

    def __post_init__(self) -> None:
        """Refuse names that cannot be names of Services.

        Raises:
            CertificateError: A label or the whole name is malformed or too long (RFC 1123, RFC 1035).
        """
        if not self.services or len(set(self.services)) != len(self.services):
            raise _bad_name("at least one Service, each once", ", ".join(self.services) or "none")
        for label in (self.namespace, *self.services):
            check_label(label)
        for label in self.cluster_domain.split("."):
            check_label(label)
        longest = max(self.dns_names, key=len)
        if len(longest) > _NAME_LIMIT:
            raise _bad_name(f"names of at most {_NAME_LIMIT} characters", f"{longest} ({len(longest)})")

    @property
    def dns_names(self) -> tuple[str, ...]:
        """Every name that the certificate must have, Service by Service."""
        own = [
            f"{service}.{self.namespace}.svc.{self.cluster_domain}"
            for service in self.services
            if self.cluster_domain != OLM_CLUSTER_DOMAIN
        ]
        return (*(host for service in self.services for host in olm_hosts(service, self.namespace)), *own)

    @property
    def server_names(self) -> tuple[str, ...]:
        """The ServerName of the API server's handshake for each Service."""
        return tuple(server_name(service, self.namespace) for service in self.services)

    @property
    def olm_hosts(self) -> tuple[str, ...]:
        """The names that OLM 0.29.0 and later looks for: those of the Service that it makes."""
        return olm_hosts(self.services[0], self.namespace)

    @property
    def permitted_subtrees(self) -> tuple[str, ...]:
        """Narrow name constraints of a CA that still admit every name of this target.

        `<service>.<namespace>` alone would refuse the longer names, which do not end with it; the namespace
        alone would do for the short name, but linters refuse a constraint of one label.
        """
        namespace = self.namespace
        domains = dict.fromkeys((OLM_CLUSTER_DOMAIN, self.cluster_domain))
        return (
            *(f"{service}.{namespace}" for service in self.services),
            f"{namespace}.svc",
            *(f"{namespace}.svc.{domain}" for domain in domains),
        )


def server_name(service: str, namespace: str) -> str:
    """The name under which the API server calls a webhook's Service."""
    return f"{service}.{namespace}.svc"


def olm_hosts(service: str, namespace: str) -> tuple[str, str, str]:
    """OLM's HostnamesForService."""
    short = f"{service}.{namespace}"
    return short, f"{short}.svc", f"{short}.svc.{OLM_CLUSTER_DOMAIN}"


def service_of_deployment(deployment: str) -> str:
    """OLM's name for the Service of a deployment with webhooks."""
    return f"{deployment}-service"


def secret_of_service(service: str) -> str:
    """OLM's name for the Secret with a Service's certificate."""
    return f"{service}-cert"


def is_label(text: str) -> bool:
    """Whether a text is a DNS label of RFC 1123 in lower case, as Kubernetes demands."""
    return len(text) <= _LABEL_LIMIT and _LABEL.fullmatch(text) is not None


def check_label(label: str) -> str:
    """Return a DNS label of a Kubernetes object.

    Raises:
        CertificateError: It is not one (RFC 1123 section 2.1).
    """
    if not is_label(label):
        raise _bad_name(f"lower-case DNS labels of at most {_LABEL_LIMIT} characters", repr(label)[:90])
    return label


def check_common_name(name: str) -> str:
    """Return a common name that a certificate can carry.

    Raises:
        CertificateError: It is empty, longer than 64 characters, or has characters that do not print.
    """
    if not name.isprintable() or not 1 <= len(name) <= COMMON_NAME_LIMIT:
        raise CertificateError(
            "use a common name",
            repr(name)[:120],
            f"1 to {COMMON_NAME_LIMIT} printable characters (RFC 5280, ub-common-name)",
            f"{len(name)} characters",
            "Use a short name such as kube.operator.cert: verifiers read only the DNS names.",
        )
    return name


def _bad_name(expected: str, found: str) -> CertificateError:
    return CertificateError("compute the certificate's DNS names", "", expected, found)
