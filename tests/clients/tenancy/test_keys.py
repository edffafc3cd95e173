"""Signing with keys of one's own: what works, and everything that is wrong in one message."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from deployments.rehearsal.tenancy.answers import Caller
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.world import Place
from tasks.clients.tenancy.calls import Address, Service, TenancyCalls
from tasks.clients.tenancy.identity import Identity
from tasks.clients.tenancy.keys import (
    ApiKey,
    sign_with_api_key,
    sign_with_config_file,
    sign_with_session_token,
)
from tasks.clients.tenancy.traffic import TenancyTraffic
from tasks.core.deadlines import Deadline
from tasks.core.errors import TenancyError
from tests.clients.tenancy.conftest import REGION, VirtualTime

TENANCY = "ocid1.tenancy.oc1..acme"


@pytest.fixture
def api_key_of_place(place: Place) -> ApiKey:
    signatory = place.signatory
    return ApiKey(signatory.tenancy_id, signatory.user_id, signatory.fingerprint, signatory.private_key_pem)


@pytest.fixture
def tenancy_name(server: TenancyServer, time: VirtualTime) -> Callable[[Identity], str]:
    def read(identity: Identity) -> str:
        deadline = Deadline.after(timedelta(minutes=1), time.clock)
        calls = TenancyCalls("acme", identity, Address(REGION, server.url), deadline, TenancyTraffic())
        name: str = calls.get(Service.IDENTITY, "get_tenancy", identity.tenancy_id).name
        return name

    return read


def problems(call: Callable[[], Identity]) -> str:
    with pytest.raises(TenancyError) as caught:
        call()
    return caught.value.found


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, passphrase: str = "") -> str:
    lock = (
        serialization.BestAvailableEncryption(passphrase.encode())
        if passphrase
        else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock).decode()


def token(expires: datetime) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires.timestamp()}).encode()).decode().rstrip("=")
    return f"e30.{claims}.c2ln"


def test_an_api_key_signs(api_key_of_place: ApiKey, tenancy_name: Callable[[Identity], str]) -> None:
    assert tenancy_name(sign_with_api_key(api_key_of_place)) == "acme"


def test_a_locked_api_key_signs(
    api_key: rsa.RSAPrivateKey, api_key_of_place: ApiKey, tenancy_name: Callable[[Identity], str]
) -> None:
    locked = replace(api_key_of_place, private_key=pem_of(api_key, "open sesame"), passphrase="open sesame")

    assert tenancy_name(sign_with_api_key(locked)) == "acme"


def test_everything_that_is_wrong_with_an_api_key_is_said_at_once() -> None:
    found = problems(lambda: sign_with_api_key(ApiKey("acme", "anna", "aa:bb", "no key")))

    assert found == (
        "the tenancy acme is no tenancy OCID; the user anna is no user OCID; "
        "the fingerprint aa:bb is malformed; "
        "the private key cannot be read: no private key in PEM, or a wrong passphrase"
    )


def test_a_fingerprint_of_another_key_is_named(api_key_of_place: ApiKey) -> None:
    other = replace(api_key_of_place, fingerprint=":".join(["00"] * 16))

    found = problems(lambda: sign_with_api_key(other))

    assert found == f"the key's fingerprint is {api_key_of_place.fingerprint}"


def test_a_locked_key_without_its_passphrase_is_named(
    api_key: rsa.RSAPrivateKey, api_key_of_place: ApiKey
) -> None:
    locked = replace(api_key_of_place, private_key=pem_of(api_key, "open sesame"))

    assert problems(lambda: sign_with_api_key(locked)) == "the private key needs its passphrase"


def test_a_key_on_a_curve_is_named(api_key_of_place: ApiKey) -> None:
    curve = replace(api_key_of_place, private_key=pem_of(ec.generate_private_key(ec.SECP256R1())))

    assert problems(lambda: sign_with_api_key(curve)) == "the private key is not RSA"


def test_a_configuration_file_signs(
    place: Place, tmp_path: Path, tenancy_name: Callable[[Identity], str]
) -> None:
    path = place.signatory.write_config(tmp_path, REGION)

    assert tenancy_name(sign_with_config_file(path, "DEFAULT", place.tenancy.id)) == "acme"


def test_a_configuration_file_that_is_absent_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent"

    found = problems(lambda: sign_with_config_file(path, "DEFAULT", TENANCY))

    assert found == "the file cannot be read: No such file or directory"


def test_a_profile_that_is_absent_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("[DEFAULT]\n[PROD]\n")

    found = problems(lambda: sign_with_config_file(path, "TEST", TENANCY))

    assert found == "there is no such profile, only DEFAULT, PROD"


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("no configuration at all")

    found = problems(lambda: sign_with_config_file(path, "DEFAULT", TENANCY))

    assert found == "the file is no OCI configuration file"


def test_everything_that_is_missing_in_a_profile_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(f"[DEFAULT]\ntenancy=ocid1.tenancy.oc1..other\nkey_file={tmp_path}/absent.pem\n")

    found = problems(lambda: sign_with_config_file(path, "DEFAULT", TENANCY))

    assert found == (
        "user is missing; fingerprint is missing; "
        f"it belongs to ocid1.tenancy.oc1..other and not to the block's tenancy {TENANCY}; "
        f"key_file {tmp_path}/absent.pem cannot be read: FileNotFoundError"
    )


def test_a_profile_of_a_session_is_not_signed_with_its_api_key(place: Place, tmp_path: Path) -> None:
    path = place.signatory.write_config(tmp_path, REGION)
    path.write_text(path.read_text() + "security_token_file=/tmp/token\n")

    found = problems(lambda: sign_with_config_file(path, "DEFAULT", place.tenancy.id))

    assert found == "it has a security_token_file: use the kind session_token"


def session_file(folder: Path, pem: str, text: str) -> Path:
    (folder / "key.pem").write_text(pem)
    (folder / "token").write_text(text)
    path = folder / "config"
    path.write_text(
        f"[DEFAULT]\ntenancy={TENANCY}\nkey_file={folder}/key.pem\nsecurity_token_file={folder}/token\n"
    )
    return path


def test_a_session_token_signs(
    api_key: rsa.RSAPrivateKey,
    place: Place,
    tmp_path: Path,
    server: TenancyServer,
    tenancy_name: Callable[[Identity], str],
) -> None:
    caller = Caller(place.tenancy.id, "ocid1.user.oc1..s")
    hour = timedelta(hours=1)
    text = server.store.sessions.issue(caller, api_key.public_key(), datetime.now(UTC), hour)
    path = session_file(tmp_path, pem_of(api_key), text)

    assert tenancy_name(sign_with_session_token(path, "DEFAULT", place.tenancy.id)) == "acme"


def test_a_session_that_ended_is_named(api_key: rsa.RSAPrivateKey, tmp_path: Path) -> None:
    path = session_file(tmp_path, pem_of(api_key), token(datetime(2026, 1, 2, 3, 4, tzinfo=UTC)))

    found = problems(lambda: sign_with_session_token(path, "DEFAULT", TENANCY))

    assert found == "the session ended at 2026-01-02 03:04 UTC: run oci session refresh or authenticate"


def test_a_token_that_is_none_and_a_key_that_is_none_are_named(tmp_path: Path) -> None:
    path = session_file(tmp_path, "no key", "no token")

    found = problems(lambda: sign_with_session_token(path, "DEFAULT", TENANCY))

    assert found == (
        "the session token is no JSON Web Token with an expiry; "
        "the private key cannot be read: no private key in PEM, or a wrong passphrase"
    )


def test_a_profile_without_a_session_is_named(place: Place, tmp_path: Path) -> None:
    path = place.signatory.write_config(tmp_path, REGION)

    found = problems(lambda: sign_with_session_token(path, "DEFAULT", place.tenancy.id))

    assert found == "security_token_file is missing"


def test_a_session_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(f"[DEFAULT]\nkey_file=/absent.pem\nsecurity_token_file={tmp_path}/absent\n")

    found = problems(lambda: sign_with_session_token(path, "DEFAULT", TENANCY))

    assert found == (
        f"security_token_file {tmp_path}/absent cannot be read: FileNotFoundError; "
        "key_file /absent.pem cannot be read: FileNotFoundError"
    )


def test_no_message_holds_a_token_or_a_key(api_key: rsa.RSAPrivateKey, tmp_path: Path) -> None:
    ended = token(datetime(2026, 1, 2, tzinfo=UTC))
    path = session_file(tmp_path, pem_of(api_key), ended)

    found = problems(lambda: sign_with_session_token(path, "DEFAULT", TENANCY))

    assert ended not in found
    assert "PRIVATE KEY" not in found


def test_a_session_of_another_tenancy_is_named(api_key: rsa.RSAPrivateKey, tmp_path: Path) -> None:
    path = session_file(tmp_path, pem_of(api_key), token(datetime(2099, 1, 2, tzinfo=UTC)))

    found = problems(lambda: sign_with_session_token(path, "DEFAULT", "ocid1.tenancy.oc1..other"))

    assert found == f"it belongs to {TENANCY} and not to the block's tenancy ocid1.tenancy.oc1..other"
