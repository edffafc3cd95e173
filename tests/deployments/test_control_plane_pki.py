"""The rehearsal's certificates, judged by parsing, by chain verification and by a TLS handshake."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from deployments.rehearsal.pki import Credential, Leaf, create_authority, issue

NOW = datetime.now(UTC)
SERVER = Leaf("kube-apiserver", dns_names=("localhost",), addresses=("127.1.7.1",))


@pytest.fixture(scope="module")
def authority() -> Credential:
    return create_authority("rehearsal-ca", NOW)


@pytest.fixture
def certificate(authority: Credential) -> x509.Certificate:
    return issue(authority, SERVER, NOW).certificate


def test_an_authority_may_sign_certificates(authority: Credential) -> None:
    basic = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = authority.certificate.extensions.get_extension_for_class(x509.KeyUsage)

    assert (basic.critical, basic.value.ca) == (True, True)
    assert (usage.critical, usage.value.key_cert_sign) == (True, True)


def test_a_leaf_may_not_sign_certificates(certificate: x509.Certificate) -> None:
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)

    assert (basic.critical, basic.value.ca) == (True, False)
    assert usage.value.key_cert_sign is False


def test_a_leaf_names_what_it_was_asked_to_name(certificate: x509.Certificate) -> None:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("127.1.7.1")]


def test_a_client_certificate_carries_user_and_group(authority: Credential) -> None:
    subject = issue(authority, Leaf("someone", "system:masters"), NOW).certificate.subject

    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "someone"
    assert subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:masters"


def test_certificates_are_valid_for_clocks_that_are_a_little_behind(certificate: x509.Certificate) -> None:
    assert certificate.not_valid_before_utc <= NOW - timedelta(minutes=59)
    assert certificate.not_valid_after_utc >= NOW + timedelta(days=29)


def test_every_leaf_has_a_key_of_its_own(authority: Credential) -> None:
    first, second = issue(authority, SERVER, NOW), issue(authority, SERVER, NOW)

    assert first.key_pem != second.key_pem


def handshake(server: Credential, trusted: Credential, folder: Path) -> str:
    """Let a client that trusts `trusted` talk to `server` under the name localhost; what it heard."""
    (folder / "server.pem").write_bytes(server.certificate_pem + server.key_pem)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(folder / "server.pem")
    client_side = ssl.create_default_context(cadata=trusted.certificate_pem.decode())
    near, far = socket.socketpair()

    def serve() -> None:
        with far, server_side.wrap_socket(far, server_side=True, do_handshake_on_connect=False) as secured:
            try:
                secured.do_handshake()
                secured.sendall(b"hello")
            except ssl.SSLError:
                return

    thread = Thread(target=serve)
    thread.start()
    try:
        with near, client_side.wrap_socket(near, server_hostname="localhost") as secured:
            return secured.recv(5).decode()
    finally:
        thread.join()


def test_a_client_that_trusts_the_authority_accepts_the_server(authority: Credential, tmp_path: Path) -> None:
    assert handshake(issue(authority, SERVER, NOW), authority, tmp_path) == "hello"


def test_a_client_that_trusts_another_authority_refuses_the_server(
    authority: Credential, tmp_path: Path
) -> None:
    stranger = create_authority("rehearsal-ca", NOW)

    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(issue(authority, SERVER, NOW), stranger, tmp_path)
