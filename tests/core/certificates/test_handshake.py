"""A webhook with our certificate and a client with our CA shake hands over the loopback (runbook R21)."""

import socket
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.core.certificates.authorities import AuthorityPlan, create_authority
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.issuing import sign_request
from tasks.core.certificates.keys import KeySpec, PrivateKey
from tasks.core.certificates.profiles import CertificatePlan, documented_plan, recommended_plan
from tasks.core.certificates.request_policy import RequestExpectation
from tasks.core.certificates.requests import build_request
from tests.core.certificates.signing import CA_SPECS, LEAF_SPECS, key_of
from tests.core.certificates.workshop import HOST, TARGET

# A handshake looks at the real clock.
TODAY = datetime.now(UTC)


def _issue(plan: CertificatePlan, ca_spec: KeySpec) -> tuple[Certificate, Certificate, PrivateKey]:
    key = key_of(plan.key_spec)
    authority = create_authority(AuthorityPlan(key_spec=ca_spec), key_of(ca_spec, 1), TODAY)
    expectation = RequestExpectation(plan, key.spki_sha256)
    return sign_request(build_request(key, plan), expectation, authority, TODAY), authority.certificate, key


def _serve_once(listener: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = listener.accept()
    with connection:
        try:
            with context.wrap_socket(connection, server_side=True) as secured:
                secured.sendall(b"hello")
        except (ssl.SSLError, OSError):
            # The client refused our certificate and says so in its own exception.
            return


def _shake_hands(chain: bytes, key: PrivateKey, roots: bytes, host: str, folder: Path) -> str:
    """Returns the serial number that the client saw, or raises what the client raised."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (folder / "tls.crt").write_bytes(chain)
    (folder / "tls.key").write_bytes(key.pkcs8_pem().get_secret_value())
    server.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    client = ssl.create_default_context(cadata=roots.decode())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=_serve_once, args=(listener, server))
        serving.start()
        try:
            with (
                socket.create_connection(listener.getsockname()) as plain,
                client.wrap_socket(plain, server_hostname=host) as secured,
            ):
                assert secured.recv(5) == b"hello"
                return str((secured.getpeercert() or {})["serialNumber"])
        finally:
            serving.join()


@pytest.mark.parametrize("spec", LEAF_SPECS)
@pytest.mark.parametrize("ca_spec", CA_SPECS)
def test_a_client_with_our_ca_accepts_the_server(spec: KeySpec, ca_spec: KeySpec, tmp_path: Path) -> None:
    leaf, ca, key = _issue(recommended_plan(TARGET, spec), ca_spec)

    serial = _shake_hands(leaf.pem, key, ca.pem, HOST, tmp_path)

    assert serial.lower().lstrip("0") == leaf.serial


@pytest.mark.parametrize("host", TARGET.dns_names)
def test_every_name_of_the_plan_is_accepted(host: str, tmp_path: Path) -> None:
    leaf, ca, key = _issue(recommended_plan(TARGET), KeySpec.ECDSA_P256)

    _shake_hands(leaf.pem, key, ca.pem, host, tmp_path)


def test_the_overlap_of_old_and_new_ca_is_accepted(tmp_path: Path) -> None:
    leaf, ca, key = _issue(recommended_plan(TARGET), KeySpec.ECDSA_P256)
    _, old, _ = _issue(recommended_plan(TARGET), KeySpec.ECDSA_P384)

    _shake_hands(leaf.pem, key, old.pem + ca.pem, HOST, tmp_path)


def test_the_documented_certificate_is_refused_by_name(tmp_path: Path) -> None:
    """R12."""
    leaf, ca, key = _issue(documented_plan(TARGET), KeySpec.ECDSA_P256)

    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        _shake_hands(leaf.pem, key, ca.pem, HOST, tmp_path)


def test_a_client_with_another_ca_refuses_the_server(tmp_path: Path) -> None:
    """R22: the page's symptom."""
    leaf, _, key = _issue(recommended_plan(TARGET), KeySpec.ECDSA_P256)
    _, other, _ = _issue(recommended_plan(TARGET), KeySpec.ECDSA_P384)

    with pytest.raises(ssl.SSLCertVerificationError, match=r"unable to get local issuer|signature failure"):
        _shake_hands(leaf.pem, key, other.pem, HOST, tmp_path)
