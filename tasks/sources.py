"""What a run needs from outside the clusters, fetched once and shared by all of them (R2, R5, R6, R11)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from blocks.container_registry import AnonymousAccess, BasicAccess, ContainerRegistry
from tasks.clients.downloads import PinnedFile, fetch_file, list_releases
from tasks.clients.files import read_bundle_archive, read_bundle_folder, read_file
from tasks.clients.polling import deadline_at
from tasks.clients.registry import (
    BasicCredentials,
    Credentials,
    RegistryAccess,
    RegistryClient,
    Scheme,
    TokenCredentials,
)
from tasks.connections import load_block
from tasks.core.bundles import Bundle, read_bundle
from tasks.core.catalogs import CatalogServer
from tasks.core.errors import InputError, ManifestError
from tasks.core.images import images_of
from tasks.core.installation import Installation
from tasks.core.manifests import Manifest, read_manifests
from tasks.core.olm_release import OlmManifests, normalised_version, read_release, release_files
from tasks.core.permissions import AccountNeeds, PermissionStep, required_permissions
from tasks.core.profiles import BUILT_IN_PROFILES, OperatorProfile, built_in_profile, load_profile
from tasks.core.references import ImageReference, parse_reference
from tasks.core.releases import choose_version, newest_supported, parse_version
from tasks.core.settings import (
    BundleSource,
    MetricsServerChoice,
    MetricsServerMode,
    OlmRelease,
    OperatorChoice,
    VersionChange,
)

_PATIENCE = timedelta(minutes=3)
"""For everything together. The clients repeat what may succeed later themselves, until then."""
_PROFILE_BYTES = 1024 * 1024
_NEWEST = "newest-1.x"


@dataclass(frozen=True)
class Sources:
    """Everything that is the same for every cluster of a run.

    Attributes:
        catalog: What serves the bundle, or the `host:port` of a catalog that runs already.
        other_olm: What to do where another OLM version is installed.
        metrics_server: Manifests, or None when it is not part of the run.
    """

    profile: OperatorProfile
    bundle: Bundle
    installation: Installation
    catalog: CatalogServer | str
    olm: OlmManifests
    other_olm: VersionChange
    metrics_server: list[Manifest] | None

    @property
    def images(self) -> tuple[str, ...]:
        """What the nodes pull for the operator, OLM, the catalog and the metrics server (R5, R6)."""
        catalog = (self.catalog.image,) if isinstance(self.catalog, CatalogServer) else ()
        manifests = (self.bundle.csv, *self.bundle.objects, *self.olm.objects, *(self.metrics_server or ()))
        return tuple(dict.fromkeys((*images_of(manifests), *catalog)))

    @property
    def needs(self) -> AccountNeeds:
        """What the accounts have to be allowed to do on every cluster."""
        namespace = self.installation.namespace
        return AccountNeeds(
            fleet=tuple(
                request
                for step in (PermissionStep.OPERATOR, PermissionStep.VERIFICATION)
                for request in required_permissions(step, self.profile, namespace)
            ),
            bootstrap=required_permissions(PermissionStep.BOOTSTRAP, self.profile, namespace),
        )


def fetch_sources(
    operator: OperatorChoice, olm: OlmRelease, metrics: MetricsServerChoice, patience: timedelta = _PATIENCE
) -> Sources:
    """Fetch and check everything before any cluster is touched."""
    until = datetime.now(UTC) + patience
    profile = read_profile(operator.profile)
    bundle = fetch_bundle(operator, profile, until)
    namespace = operator.namespace or profile.namespace
    return Sources(
        profile=profile,
        bundle=bundle,
        installation=Installation(
            namespace, bundle.package, bundle.default_channel, bundle.name, f"{bundle.package}-catalog"
        ),
        catalog=operator.catalog.address or pin_catalog_server(operator, until),
        olm=fetch_olm_release(olm, until),
        other_olm=olm.other_version,
        metrics_server=fetch_metrics_server(metrics, until),
    )


@task(name="read-operator-profile", cache_policy=NO_CACHE, persist_result=False)
def read_profile(name: str) -> OperatorProfile:
    """Load a built-in profile or a file, and say what a person has to know before installing it.

    Raises:
        InputError: There is no such profile, or a field of it is wrong.
    """
    profile = built_in_profile(name) if name in BUILT_IN_PROFILES else load_profile(_profile_text(name), name)
    if profile.lifecycle_notice:
        get_run_logger().warning(profile.lifecycle_notice)
    return profile


@task(name="fetch-bundle", cache_policy=NO_CACHE, persist_result=False)
def fetch_bundle(operator: OperatorChoice, profile: OperatorProfile, until: datetime) -> Bundle:
    """Get the operator's bundle from a registry, a directory or an archive (R5, R6).

    Raises:
        RegistryError: The registry refused, gave no usable answer in time, or sent other bytes than their
            digest says.
        ManifestError: It is no valid bundle, or one of another package or version.
        InputError: The choice cannot be carried out.
    """
    version = _version(operator, profile, until)
    expected = profile.csv_name_for(version)
    bundle = _read_bundle(operator, profile, version, until)
    if (bundle.package, bundle.name) != (profile.package, expected):
        raise ManifestError(
            "use the bundle",
            bundle.source,
            f"package {profile.package} with {expected}",
            f"package {bundle.package} with {bundle.name}",
            "Correct operator.version or operator.bundle.",
        )
    get_run_logger().info("bundle %s from %s, digest %s", bundle.name, bundle.source, bundle.digest or "none")
    return bundle


@task(name="pin-catalog-image", cache_policy=NO_CACHE, persist_result=False)
def pin_catalog_server(operator: OperatorChoice, until: datetime) -> CatalogServer:
    """The opm image by digest; a tag is resolved once, so that every cluster of the run gets the same."""
    secrets = (operator.pull_secret,) if operator.pull_secret else ()
    reference = parse_reference(operator.catalog.opm_image)
    if not reference.digest:
        with RegistryClient(_access(reference, operator.registry)) as registry:
            reference = reference.pinned(registry.resolve_digest(reference, deadline_at(until)))
        get_run_logger().info("catalog image %s", reference)
    return CatalogServer(str(reference), secrets)


@task(name="fetch-olm-release", cache_policy=NO_CACHE, persist_result=False)
def fetch_olm_release(release: OlmRelease, until: datetime) -> OlmManifests:
    """Get both manifest files of an OLM release and verify their pins (R2).

    Raises:
        InputError: A pin is missing.
        DownloadError: A file is not there or has other content.
        ManifestError: The files are of another version.
    """
    crds, olm = (
        fetch_file(PinnedFile(file.location, file.sha256), deadline_at(until)).decode()
        for file in release_files(release)
    )
    return read_release(normalised_version(release.version), crds, olm)


@task(name="fetch-metrics-server", cache_policy=NO_CACHE, persist_result=False)
def fetch_metrics_server(choice: MetricsServerChoice, until: datetime) -> list[Manifest] | None:
    """Get the metrics server's manifest and verify its pin (R11); None when it is not part of the run.

    Raises:
        InputError: The pin is missing.
        DownloadError: The file is not there or has other content.
    """
    if choice.mode is MetricsServerMode.OFF:
        return None
    location = choice.location.replace("{version}", choice.version)
    content = fetch_file(PinnedFile(location, choice.sha256), deadline_at(until))
    return read_manifests(content.decode(), location)


def _profile_text(name: str) -> str:
    attempted = "read an operator profile"
    content = read_file(Path(name).expanduser(), _PROFILE_BYTES, attempted)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InputError(attempted, name, "text in UTF-8", f"something else at byte {error.start}") from None


def _version(operator: OperatorChoice, profile: OperatorProfile, until: datetime) -> str:
    if operator.version != _NEWEST:
        version = parse_version(operator.version.strip())
        # Which versions fit is the profile's to say (`csv_name_for`); this says what is no version at all.
        return str(version or choose_version(operator.version))
    repository = profile.release.github_repository
    releases = list_releases(repository, deadline_at(until), operator.releases_url)
    return str(newest_supported(releases))


def _read_bundle(operator: OperatorChoice, profile: OperatorProfile, version: str, until: datetime) -> Bundle:
    match operator.bundle_source:
        case BundleSource.REGISTRY:
            default = f"{profile.release.bundle_repository}:{version}"
            reference = parse_reference(operator.bundle or default)
            with RegistryClient(_access(reference, operator.registry)) as registry:
                pulled = registry.pull_bundle(reference, deadline_at(until))
            return read_bundle(pulled.files, str(reference), pulled.digest)
        case BundleSource.DIRECTORY:
            return read_bundle(read_bundle_folder(_path(operator)), operator.bundle)
        case BundleSource.ARCHIVE:
            return read_bundle(read_bundle_archive(_path(operator)), operator.bundle)


def _path(operator: OperatorChoice) -> Path:
    if not operator.bundle:
        raise InputError(
            "read the bundle",
            "operator.bundle",
            f"a path, since operator.bundle_source is {operator.bundle_source.value}",
            "nothing",
        )
    return Path(operator.bundle).expanduser()


def _access(reference: ImageReference, block_name: str) -> RegistryAccess:
    if not block_name:
        return RegistryAccess(reference.registry)
    block = load_block(ContainerRegistry, block_name)
    if block.host != reference.registry:
        # Credentials of one registry are never shown to another one.
        return RegistryAccess(reference.registry)
    return RegistryAccess(
        block.host,
        _credentials(block),
        frozenset(block.token_realms),
        Scheme.HTTP if block.plain_http == "loopback" else Scheme.HTTPS,
        block.ca_certificates,
    )


def _credentials(block: ContainerRegistry) -> Credentials:
    match block.access:
        case AnonymousAccess():
            return RegistryAccess(block.host).credentials
        case BasicAccess(username=username, password=password):
            return BasicCredentials(username, password)
        case token:
            return TokenCredentials(token.token)
