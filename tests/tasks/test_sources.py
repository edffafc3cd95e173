"""What a run needs from outside, fetched and checked before any cluster is touched (R2, R5, R6, R11)."""

import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient
from pydantic import SecretStr

from blocks.container_registry import AnonymousAccess, BasicAccess, ContainerRegistry, TokenAccess
from deployments.rehearsal.bundle import write_bundle
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.releases import ReleaseServer
from deployments.rehearsal.releases.repositories import RepositoryName, Tag
from tasks.core.errors import (
    DownloadError,
    InputError,
    ManifestError,
    PrerequisiteError,
    RegistryError,
    RegistryUnavailableError,
)
from tasks.core.profiles import built_in_profile, load_profile
from tasks.core.settings import (
    BundleSource,
    CatalogChoice,
    MetricsServerChoice,
    MetricsServerMode,
    OlmRelease,
    OperatorChoice,
)
from tasks.sources import (
    fetch_bundle,
    fetch_metrics_server,
    fetch_olm_release,
    pin_catalog_server,
    read_profile,
)
from tests.support.small_installs import patiently, tasks_outside_flows
from tests.support.small_operators import SmallOperator

OSOK = built_in_profile()
TEA = SmallOperator("tea")
CSV = "oci-service-operator.v1.1.9"
ANONYMOUS, USER, TOKEN = "sources-anonymous", "sources-user", "sources-token"


@pytest.fixture(scope="module")
def server() -> Iterator[ReleaseServer]:
    with ReleaseServer() as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def blocks(server: ReleaseServer, prefect_server: SyncPrefectClient) -> Iterator[None]:
    """One ContainerRegistry block per way to log in."""
    login = server.login
    ways = {
        ANONYMOUS: AnonymousAccess(),
        USER: BasicAccess(username=login.username, password=SecretStr(login.password)),
        TOKEN: TokenAccess(token=SecretStr(login.bearer_token)),
    }
    for name, access in ways.items():
        block = ContainerRegistry(host=server.registry, access=access, plain_http="loopback")
        block.save(name, overwrite=True)
    with tasks_outside_flows():
        yield


def from_registry(reference: str, block: str = ANONYMOUS) -> OperatorChoice:
    return OperatorChoice(bundle=reference, registry=block)


@pytest.mark.parametrize(
    ("repository", "block"),
    [
        (RepositoryName.PUBLIC, ANONYMOUS),
        (RepositoryName.PRIVATE, USER),
        (RepositoryName.BASIC, USER),
        (RepositoryName.BEARER, TOKEN),
    ],
    ids=["anonymous", "a token that the user gets", "user and password", "a bearer token"],
)
def test_the_bundle_is_pulled_with_the_credentials_of_the_registrys_block(
    server: ReleaseServer, repository: RepositoryName, block: str
) -> None:
    """R6."""
    bundle = fetch_bundle(from_registry(server.image(repository), block), OSOK, patiently())

    assert (bundle.name, bundle.digest) == (CSV, server.image_digest(repository))


@pytest.mark.parametrize("repository", [RepositoryName.PRIVATE, RepositoryName.BASIC, RepositoryName.BEARER])
def test_a_registry_that_says_401_is_told_with_the_credentials_that_were_used(
    server: ReleaseServer, repository: RepositoryName
) -> None:
    """R6: the cause, and which block to correct."""
    with pytest.raises(RegistryError) as caught:
        fetch_bundle(from_registry(server.image(repository)), OSOK, patiently())

    assert "HTTP 401 with no credentials (anonymous)" in caught.value.found
    assert "Check the ContainerRegistry block" in caught.value.next_step


def test_a_registry_that_says_404_is_told_with_the_image(server: ReleaseServer) -> None:
    """R6."""
    missing = server.image(tag="1.1.8")

    with pytest.raises(RegistryError) as caught:
        fetch_bundle(from_registry(missing), OSOK, patiently())

    assert caught.value.subject == missing
    assert "HTTP 404" in caught.value.found
    assert "Check repository and tag" in caught.value.next_step


def test_a_registry_that_says_429_for_longer_than_the_deadline_is_told_at_once(server: ReleaseServer) -> None:
    """R6: it asks for 30 seconds, and 20 are left."""
    started = datetime.now(UTC)

    with pytest.raises(RegistryUnavailableError) as caught:
        fetch_bundle(
            from_registry(server.image(RepositoryName.TOO_MANY_REQUESTS)),
            OSOK,
            started + timedelta(seconds=20),
        )

    assert "429" in caught.value.found
    assert "Retry-After: 30" in caught.value.found
    assert datetime.now(UTC) < started + timedelta(seconds=20)


def test_a_bundle_pinned_by_digest_is_the_one_with_that_digest(server: ReleaseServer) -> None:
    """R6."""
    digest = server.image_digest(tag=Tag.OCI_IMAGE)
    repository = server.image().rpartition(":")[0]

    bundle = fetch_bundle(from_registry(f"{repository}@{digest}"), OSOK, patiently())

    assert (bundle.name, bundle.digest) == (CSV, digest)


def test_a_tampered_image_is_refused(server: ReleaseServer) -> None:
    """R6."""
    tampered = server.image(RepositoryName.TAMPERED_BLOB)

    with pytest.raises(RegistryError, match="sha256:"):
        fetch_bundle(from_registry(tampered), OSOK, patiently())


@pytest.mark.parametrize("source", [BundleSource.DIRECTORY, BundleSource.ARCHIVE])
def test_a_bundle_that_was_brought_by_hand_is_the_same_as_the_pulled_one(
    server: ReleaseServer, source: BundleSource, tmp_path: Path
) -> None:
    """R5: disconnected realms."""
    write_bundle(tmp_path / "bundle")
    with tarfile.open(tmp_path / "bundle.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "bundle", arcname=".")
    path = tmp_path / ("bundle" if source is BundleSource.DIRECTORY else "bundle.tar.gz")

    bundle = fetch_bundle(OperatorChoice(bundle_source=source, bundle=str(path)), OSOK, patiently())

    pulled = fetch_bundle(from_registry(server.image()), OSOK, patiently())
    assert bundle.manifests == pulled.manifests
    assert (bundle.source, bundle.digest) == (str(path), "")


@pytest.mark.parametrize("source", [BundleSource.DIRECTORY, BundleSource.ARCHIVE])
def test_a_bundle_by_hand_needs_a_path(source: BundleSource) -> None:
    with pytest.raises(InputError, match=rf"operator\.bundle\).*{source.value}"):
        fetch_bundle(OperatorChoice(bundle_source=source), OSOK, patiently())


def test_the_newest_1_x_is_read_off_the_releases_page(server: ReleaseServer) -> None:
    """R6: drafts, prereleases and the line without OCI Service Mesh are passed over."""
    choice = OperatorChoice(
        version="newest-1.x", bundle=server.image(), registry=ANONYMOUS, releases_url=server.url
    )

    assert fetch_bundle(choice, OSOK, patiently()).name == CSV
    assert "/repos/oracle/oci-service-operator/releases" in {request.path for request in server.seen}


@pytest.mark.parametrize("version", ["2.0.0", "v2.0.0", "2.0.0-alpha.2"])
def test_version_2_is_refused_with_the_reason(version: str) -> None:
    """R6."""
    with pytest.raises(PrerequisiteError, match="Version 2 of the operator has no OCI Service Mesh"):
        fetch_bundle(OperatorChoice(version=version), OSOK, patiently())


def test_latest_is_no_version() -> None:
    """R6: it names another release tomorrow."""
    with pytest.raises(InputError, match="It names another release tomorrow"):
        fetch_bundle(OperatorChoice(version="latest"), OSOK, patiently())


def test_another_operators_versions_are_judged_by_its_profile(tmp_path: Path) -> None:
    """R6: the rule about OCI Service Mesh is OSOK's alone."""
    profile = load_profile(TEA.profile(), "test")
    folder = str(TEA.write(tmp_path))
    choice = OperatorChoice(version="1.2.3", bundle_source=BundleSource.DIRECTORY, bundle=folder)

    assert fetch_bundle(choice, profile, patiently()).name == "tea.v1.2.3"
    with pytest.raises(PrerequisiteError, match=r"The profile was written for the 1\.x line"):
        fetch_bundle(choice.model_copy(update={"version": "2.0.0"}), profile, patiently())


def test_a_bundle_of_another_version_than_asked_for_is_refused(server: ReleaseServer) -> None:
    """R6."""
    choice = OperatorChoice(version="1.1.8", bundle=server.image(), registry=ANONYMOUS)

    with pytest.raises(ManifestError, match=r"with oci-service-operator\.v1\.1\.8; found"):
        fetch_bundle(choice, OSOK, patiently())


def test_a_registry_block_that_does_not_exist_is_named(server: ReleaseServer) -> None:
    with pytest.raises(InputError, match="sources-nobody"):
        fetch_bundle(from_registry(server.image(), "sources-nobody"), OSOK, patiently())


def test_the_catalogs_image_is_pinned_to_the_digest_behind_its_tag(server: ReleaseServer) -> None:
    """R6; operator-registry#984: another opm under the same tag broke everyone."""
    choice = OperatorChoice(
        catalog=CatalogChoice(opm_image=server.image()), registry=ANONYMOUS, pull_secret="pull"
    )

    pinned = pin_catalog_server(choice, patiently())

    assert pinned.image == f"{server.image()}@{server.image_digest()}"
    assert pinned.pull_secrets == ("pull",)


@pytest.mark.parametrize("wrong", ["crds_sha256", "olm_sha256"])
def test_an_olm_file_of_another_content_than_pinned_is_refused(server: ReleaseServer, wrong: str) -> None:
    """R2."""
    files = {
        f"{name}_sha256": server.olm_file(OlmVersion.V0_46_0, f"{name}.yaml").sha256
        for name in ("crds", "olm")
    }
    release = OlmRelease(version="0.46.0", location=server.olm_location, **{**files, wrong: "0" * 64})

    with pytest.raises(DownloadError) as caught:
        fetch_olm_release(release, patiently())

    assert caught.value.expected == f"SHA-256 {'0' * 64}"
    assert files[wrong] in caught.value.found
    assert wrong.removesuffix("_sha256") in caught.value.subject


def test_an_olm_release_without_a_pin_is_refused_before_anything_is_fetched() -> None:
    """R2: a pin is built in for 0.20.0 only."""
    with pytest.raises(InputError, match="no pin is built in for that version"):
        fetch_olm_release(OlmRelease(version="0.46.0", location="https://nowhere.invalid"), patiently())


def test_the_metrics_server_is_fetched_only_when_it_is_part_of_the_run(server: ReleaseServer) -> None:
    """R11."""
    pinned = MetricsServerChoice(
        mode=MetricsServerMode.ENSURE,
        location=server.metrics_server_location,
        sha256=server.metrics_server_file().sha256,
    )

    manifests = fetch_metrics_server(pinned, patiently()) or []

    assert {manifest["kind"] for manifest in manifests} >= {"Deployment", "APIService"}
    assert fetch_metrics_server(MetricsServerChoice(), patiently()) is None


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"name: [", "YAML"), (b"\xff\xfe\x00", "UTF-8"), (b"name: tea", "title: field required")],
)
def test_a_profile_file_that_cannot_be_used_is_refused_with_the_reason(
    tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / "profile.yaml"
    path.write_bytes(content)

    with pytest.raises(InputError, match=told):
        read_profile(str(path))


def test_a_profile_file_describes_another_operator(tmp_path: Path) -> None:
    path = tmp_path / "tea.yaml"
    path.write_text(TEA.profile())

    assert read_profile(str(path)).package == "tea"
