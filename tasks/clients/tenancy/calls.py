"""Calls of the OCI SDK with our own timeouts, retries, pages and limits instead of the SDK's.

The SDK's retries ignore Retry-After, its pager retries on top of every strategy, its defaults differ by
service, and its circuit breaker is shared by the whole process. So the SDK sends single requests only.
"""

import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tasks.clients.tenancy.errors import convert, raised_by_requests, retry_after
from tasks.clients.tenancy.identity import Identity
from tasks.clients.tenancy.sdk import Untyped, oci
from tasks.clients.tenancy.traffic import TenancyTraffic, traffic_of
from tasks.core.deadlines import Deadline
from tasks.core.errors import TenancyError, TenancyUnavailableError

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 30.0
_ATTEMPTS = 5
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0
_PAGE_LIMIT = 100


@dataclass(frozen=True)
class ServiceKind:
    """A service of the SDK.

    Attributes:
        package: Its package below `oci`.
        client: The class of its client.
        per_second: The documented rate per tenancy; 0 where none is documented.
    """

    package: str
    client: str
    per_second: int = 0


class Service(Enum):
    """The services that prerequisites are read from."""

    IDENTITY = ServiceKind("identity", "IdentityClient")
    VAULTS = ServiceKind("key_management", "KmsVaultClient", per_second=10)
    KEYS = ServiceKind("key_management", "KmsManagementClient", per_second=10)
    CERTIFICATES = ServiceKind("certificates_management", "CertificatesManagementClient")
    CERTIFICATE_BUNDLES = ServiceKind("certificates", "CertificatesClient")
    CLUSTERS = ServiceKind("container_engine", "ContainerEngineClient")
    OBJECT_STORAGE = ServiceKind("object_storage", "ObjectStorageClient")


@dataclass(frozen=True)
class Address:
    """Where the services of a tenancy are.

    Attributes:
        region: The region, as `eu-frankfurt-1`.
        endpoint: One address for all services instead of those of the region; empty for the region's own.
        ca_file: Certificates that the services' certificates are checked with; None for the usual ones.
    """

    region: str
    endpoint: str = ""
    ca_file: Path | None = None


class TenancyCalls:
    """Calls of the services of one tenancy in one region.

    Args:
        name: The tenancy's name in messages.
        identity: Who signs.
        address: Where the services are.
        deadline: When everything has to be over; retries and timeouts end before it.
        traffic: The limits; by default those that all clients of the tenancy in this process share.
    """

    def __init__(
        self,
        name: str,
        identity: Identity,
        address: Address,
        deadline: Deadline,
        traffic: TenancyTraffic | None = None,
    ) -> None:
        self.name = name
        self.identity = identity
        self.address = address
        self.deadline = deadline
        self._traffic = traffic or traffic_of(identity.tenancy_id)
        # The SDK does not promise that a client may be shared by threads.
        self._clients = threading.local()

    def get(self, service: Service, operation: str, *arguments: Untyped, **options: Untyped) -> Untyped:
        """Call an operation and give its data.

        Args:
            service: The service.
            operation: The method of the SDK's client.
            arguments: Its positional arguments; the first is named in messages.
            options: Its keyword arguments; `endpoint` is ours and addresses a vault's own endpoint.

        Raises:
            TenancyNotFoundError: 404.
            TenancyUnavailableError: No usable answer after all attempts, or before the deadline.
            TenancyError: The service refuses.
        """
        return self._call(service, operation, arguments, options).data

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the deadline.

        Raises:
            TenancyUnavailableError: The deadline passed.
        """
        left = self.deadline.left().total_seconds()
        if left <= 0:
            raise self._unavailable("wait", "the deadline passed")
        self._traffic.timing.sleep(min(seconds, left))

    def pages(
        self, service: Service, operation: str, *arguments: str, **options: Untyped
    ) -> Iterator[Untyped]:
        """All items of a list operation, page by page."""
        options.setdefault("limit", _PAGE_LIMIT)
        while True:
            response = self._call(service, operation, arguments, options)
            data = response.data
            # Certificates answers with a collection, the others with a list.
            yield from data if isinstance(data, list) else data.items
            if not response.has_next_page:
                return
            options["page"] = response.next_page

    def respond(self, service: Service, operation: str, *arguments: Untyped, **options: Untyped) -> Untyped:
        """Call an operation and give the whole response, for its headers."""
        return self._call(service, operation, arguments, options)

    def _call(
        self, service: Service, operation: str, arguments: tuple[Untyped, ...], options: dict[str, Untyped]
    ) -> Untyped:
        attempted = operation.replace("_", " ")
        named = next((item for item in arguments if isinstance(item, str)), "")
        subject = f"{self.name}, {self.address.region}: {named}".removesuffix(": ")
        pause = _FIRST_PAUSE
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._send(service, operation, arguments, options)
            except raised_by_requests() as error:
                converted = convert(error, attempted, subject)
                wait = max(retry_after(error), pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                too_late = wait >= self.deadline.left().total_seconds()
                if not converted.retryable or attempt == _ATTEMPTS or too_late:
                    raise converted from None
            self._traffic.timing.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _send(
        self, service: Service, operation: str, arguments: tuple[Untyped, ...], options: dict[str, Untyped]
    ) -> Untyped:
        kind = service.value
        breaker = self._traffic.breaker(self.address.region, kind.client)
        if not breaker.admits():
            raise self._unavailable(operation, f"{kind.package} failed five times in a row")
        remaining = dict(options)
        client = self._client(service, str(remaining.pop("endpoint", "")))
        with self._traffic.slot(self.deadline):
            if kind.per_second:
                self._traffic.rate(self.address.region, kind.package, kind.per_second).wait()
            client.base_client.timeout = self._timeout(operation)
            try:
                response = getattr(client, operation)(*arguments, **remaining)
            except raised_by_requests() as error:
                failed = convert(error, operation, self.name).retryable
                (breaker.failed if failed else breaker.succeeded)()
                raise
        breaker.succeeded()
        return response

    def _timeout(self, operation: str) -> tuple[float, float]:
        left = self.deadline.left().total_seconds()
        if left <= 0:
            raise self._unavailable(operation, "the deadline passed")
        return min(_CONNECT_SECONDS, left), min(_READ_SECONDS, left)

    def _unavailable(self, operation: str, found: str) -> TenancyError:
        return TenancyUnavailableError(
            operation.replace("_", " "), f"{self.name}, {self.address.region}", found=found
        )

    def _client(self, service: Service, endpoint: str) -> Untyped:
        clients: dict[tuple[Service, str], Untyped] = self._clients.__dict__.setdefault("by_service", {})
        if (service, endpoint) not in clients:
            clients[service, endpoint] = self._new_client(service.value, endpoint or self.address.endpoint)
        return clients[service, endpoint]

    def _new_client(self, kind: ServiceKind, endpoint: str) -> Untyped:
        client_class = getattr(getattr(oci(), kind.package), kind.client)
        options = {"service_endpoint": endpoint} if endpoint else {}
        client = client_class(
            self.identity.config_for(self.address.region),
            signer=self.identity.signer,
            retry_strategy=oci().retry.NoneRetryStrategy(),
            circuit_breaker_strategy=oci().circuit_breaker.NoCircuitBreakerStrategy(),
            **options,
        )
        if self.address.ca_file:
            # REQUESTS_CA_BUNDLE would win over `verify` otherwise.
            client.base_client.session.trust_env = False
            client.base_client.session.verify = str(self.address.ca_file)
        return client
