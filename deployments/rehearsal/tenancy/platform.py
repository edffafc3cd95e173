"""What OCI gives to its own: the metadata service of an instance, and the token proxy of an OKE cluster."""

import base64
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from typing_extensions import override

from deployments.rehearsal.tenancy.answers import Answer, Caller, RefusedError
from deployments.rehearsal.tenancy.signatures import SignedRequest, verify
from deployments.rehearsal.tenancy.store import Store

FEDERATION_PATH = "/v1/x509"
PROXY_PORT = 12250
"""The SDK asks no other port for workload identity."""
_TOKEN_LIFETIME = timedelta(minutes=20)
_REFUSED = RefusedError(401, "NotAuthenticated", "the certificate is not one of an instance")


class InstanceAuthority:
    """Signs the certificates of instances, and gives tokens for them (`/v1/x509`)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "PKISVC Identity Intermediate")])
        self.certificate = self._sign(name, name, self._key.public_key())

    def issue(self, caller: Caller) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
        """A certificate that names an instance and its tenancy."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, caller.principal_id),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, f"opc-tenant:{caller.tenancy_id}"),
            ]
        )
        return self._sign(subject, self.certificate.subject, key.public_key()), key

    def exchange(self, request: SignedRequest) -> Answer:
        """A token for the public key in a request that was signed with an instance's certificate."""
        sent = json.loads(request.body)
        leaf = x509.load_der_x509_certificate(base64.b64decode(sent["certificate"]))
        caller, key = self._caller_of(leaf)
        # The SDK does not sign the host here.
        verify(request, lambda _: (key, caller), self._store.clock(), frozenset({"(request-target)"}))
        public = serialization.load_der_public_key(base64.b64decode(sent["publicKey"]))
        if not isinstance(public, rsa.RSAPublicKey):
            raise _REFUSED
        token = self._store.sessions.issue(caller, public, self._store.clock(), _TOKEN_LIFETIME)
        return Answer({"token": token})

    def _caller_of(self, leaf: x509.Certificate) -> tuple[Caller, rsa.RSAPublicKey]:
        key = leaf.public_key()
        algorithm = leaf.signature_hash_algorithm
        if not isinstance(key, rsa.RSAPublicKey) or algorithm is None:
            raise _REFUSED
        try:
            self._key.public_key().verify(
                leaf.signature, leaf.tbs_certificate_bytes, padding.PKCS1v15(), algorithm
            )
        except InvalidSignature:
            raise _REFUSED from None
        unit = str(leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)[0].value)
        name = str(leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        return Caller(unit.removeprefix("opc-tenant:"), name), key

    def _sign(self, subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey) -> x509.Certificate:
        now = self._store.clock()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(hours=2))
            .sign(self._key, hashes.SHA256())
        )


@dataclass(frozen=True)
class _Question:
    method: str
    path: str
    authorization: str
    body: bytes


_AnswerQuestion = Callable[[_Question], tuple[int, bytes]]


class _SmallServer:
    """An HTTP server of one function."""

    def __init__(
        self,
        address: tuple[str, int],
        answer: Callable[[_Question], tuple[int, bytes]],
        tls: ssl.SSLContext | None,
    ) -> None:
        class Handler(_SmallHandler):
            answer_question = staticmethod(answer)

        self._server = ThreadingHTTPServer(address, Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> Self:
        """Start."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


class _SmallHandler(BaseHTTPRequestHandler):
    answer_question: _AnswerQuestion

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        question = _Question(self.command, self.path, self.headers.get("authorization", ""), body)
        status, payload = self.answer_question(question)
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


class InstanceMetadata(_SmallServer):
    """The metadata service that an instance sees; its URL goes into OCI_METADATA_BASE_URL.

    Args:
        authority: Who signs the instance's certificate.
        caller: Which instance it is.
        region: Where it runs.
    """

    def __init__(self, authority: InstanceAuthority, caller: Caller, region: str) -> None:
        leaf, key = authority.issue(caller)
        pem = serialization.Encoding.PEM
        self._files = {
            "/opc/v2/instance/region": region.encode(),
            "/opc/v2/identity/cert.pem": leaf.public_bytes(pem),
            "/opc/v2/identity/intermediate.pem": authority.certificate.public_bytes(pem),
            "/opc/v2/identity/key.pem": key.private_bytes(
                pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
            ),
        }
        super().__init__(("127.0.0.1", 0), self._answer, None)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}/opc/v2"

    def _answer(self, question: _Question) -> tuple[int, bytes]:
        if question.authorization != "Bearer Oracle":
            return 401, b""
        found = self._files.get(question.path)
        return (200, found) if found is not None else (404, b"")


@dataclass(frozen=True)
class Pod:
    """A pod's service account, and what it is in OCI.

    Attributes:
        token: The service account's token.
        caller: Who it is.
        enhanced: Whether its cluster is of the enhanced type; others get no tokens.
    """

    token: str
    caller: Caller
    enhanced: bool = True


class WorkloadProxy(_SmallServer):
    """The proxy behind port 12250 of an enhanced OKE cluster that gives tokens to pods.

    Args:
        store: The tenancies.
        host: An address of 127.0.0.0/8 that nobody else listens on.
        pod: The one pod that it knows.
        tls: Its certificate.
    """

    def __init__(self, store: Store, host: str, pod: Pod, tls: ssl.SSLContext) -> None:
        self._store = store
        self._pod = pod
        super().__init__((host, PROXY_PORT), self._answer, tls)

    def _answer(self, question: _Question) -> tuple[int, bytes]:
        if question.path != "/resourcePrincipalSessionTokens" or question.method != "POST":
            return 404, b""
        if question.authorization != f"Bearer {self._pod.token}":
            return 401, b""
        if not self._pod.enhanced:
            return 403, b""
        key = serialization.load_der_public_key(base64.b64decode(json.loads(question.body)["podKey"]))
        if not isinstance(key, rsa.RSAPublicKey):
            return 400, b""
        token = self._store.sessions.issue(self._pod.caller, key, self._store.clock(), _TOKEN_LIFETIME)
        return 200, base64.b64encode(json.dumps({"token": f"ST${token}"}).encode())
