"""Server chains, good and flawed, with the class of answer that kube-apiserver gives to each."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding
from cryptography.x509.oid import CertificatePoliciesOID

from tasks.core.certificates.verification import VerdictKind as Kind
from tests.core.certificates.workshop import (
    ANY_PURPOSE,
    CLIENT_AUTH,
    DAY,
    HOST,
    HOSTS,
    INTERMEDIATE,
    LEAF,
    NAMESPACE,
    NOW,
    ROOT,
    SERVER_AUTH,
    Recipe,
    ec_key,
    make,
    pem,
    rsa_key,
)

DOCUMENTED = (
    f"oci-service-operator-webhook-service.{NAMESPACE}.svc.cluster.local",
    f"oci-service-operator-controller-manager-service.{NAMESPACE}.svc.cluster.local",
)
SUBTREES = (NAMESPACE, f"{NAMESPACE}.svc", f"{NAMESPACE}.svc.cluster.local")
SHORT_MESH = "webhook.mesh.svc"
SHORT_HOST = "webhook.ns.svc"
SECOND = timedelta(seconds=1)
OTHER_ROOT = replace(ROOT, name="Root B", key=ec_key(4))
IMPOSTOR = replace(ROOT, key=ec_key(5))
LEAF_PEM = pem(make(LEAF, ROOT))
ROOT_PEM = pem(make(ROOT))
INTERMEDIATE_CERTIFICATE = make(INTERMEDIATE, ROOT)


@dataclass(frozen=True)
class Chain:
    """One case: what the server presents, what the caBundle has, and the expected class of answer."""

    label: str
    presented: bytes
    roots: bytes
    expected: Kind
    host: str = HOST
    now: datetime = NOW


def direct(label: str, expected: Kind, leaf: Recipe = LEAF, root: Recipe = ROOT, host: str = HOST) -> Chain:
    """A leaf that the only certificate of the caBundle signed."""
    return Chain(label, pem(make(leaf, root)), pem(make(root)), expected, host)


def through(label: str, expected: Kind, between: Recipe = INTERMEDIATE, root: Recipe = ROOT) -> Chain:
    """A leaf that an intermediate signed; the server presents both."""
    presented = pem(make(LEAF, between), make(between, root))
    return Chain(label, presented, pem(make(root)), expected)


def at(label: str, expected: Kind, now: datetime) -> Chain:
    """The plain chain at another time."""
    return Chain(label, LEAF_PEM, ROOT_PEM, expected, now=now)


def bundle(label: str, expected: Kind, roots: bytes) -> Chain:
    """The plain leaf under another caBundle."""
    return Chain(label, LEAF_PEM, roots, expected)


def _extra(value: x509.ExtensionType, *, critical: bool) -> Recipe:
    return replace(LEAF, extra=((value, critical),))


def _crowd() -> bytes:
    impostors = [replace(ROOT, key=ec_key(1000 + number), key_identifiers=False) for number in range(101)]
    return pem(*(make(impostor) for impostor in impostors))


_UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
_POLICY = x509.CertificatePolicies([x509.PolicyInformation(CertificatePoliciesOID.ANY_POLICY, None)])
_DIRECTORY = x509.DirectoryName(x509.Name([]))
_ADDRESS = x509.SubjectAlternativeName([x509.DNSName(HOST), x509.IPAddress(ip_address("10.1.2.3"))])
_BY_NAME = x509.NameConstraints([_DIRECTORY], None)
_WITH_ADDRESS = replace(LEAF, dns=None, extra=((_ADDRESS, False),))
_NUMBER = x509.SubjectAlternativeName([x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4"))])
_BY_NUMBER = replace(LEAF, dns=None, extra=((_NUMBER, True),))
_CROSS_A = replace(INTERMEDIATE, name="Cross A", key=ec_key(6))
_CROSS_B = replace(INTERMEDIATE, name="Cross B", key=ec_key(7))
_STALE = replace(INTERMEDIATE, not_after=NOW - DAY)
_ORPHAN = make(LEAF, INTERMEDIATE)
_WRONG_IDENTIFIER = replace(
    LEAF, key_identifiers=False, extra=((x509.AuthorityKeyIdentifier(b"\x01" * 20, None, None), False),)
)

NAMES = [
    direct("plain", Kind.VALID),
    direct("documented names", Kind.NAME_MISMATCH, replace(LEAF, dns=DOCUMENTED)),
    direct("no SAN", Kind.NAME_MISMATCH, replace(LEAF, dns=None)),
    direct(
        "common name alone", Kind.NAME_MISMATCH, replace(LEAF, dns=None, name=SHORT_HOST), host=SHORT_HOST
    ),
    direct("wildcard", Kind.VALID, replace(LEAF, dns=(f"*.{NAMESPACE}.svc",))),
    direct("wildcard too high", Kind.NAME_MISMATCH, replace(LEAF, dns=("*.svc",))),
    direct("wildcard inside a label", Kind.NAME_MISMATCH, replace(LEAF, dns=(f"oci*.{NAMESPACE}.svc",))),
    direct("upper case", Kind.VALID, replace(LEAF, dns=(HOST.upper(),))),
    direct("host with a final dot", Kind.VALID, host=f"{HOST}."),
    direct("101 other names", Kind.NAME_MISMATCH, replace(LEAF, dns=tuple(f"h{n}.svc" for n in range(101)))),
]
DATES = [
    at("first second", Kind.VALID, LEAF.not_before),
    at("before the first second", Kind.NOT_CURRENT, LEAF.not_before - SECOND),
    at("last second", Kind.VALID, LEAF.not_after),
    at("after the last second", Kind.NOT_CURRENT, LEAF.not_after + SECOND),
    direct("expired root", Kind.NOT_CURRENT, root=replace(ROOT, not_after=NOW - DAY)),
    direct("root of tomorrow", Kind.NOT_CURRENT, root=replace(ROOT, not_before=NOW + DAY)),
    through("expired intermediate", Kind.NOT_CURRENT, _STALE),
]
BUNDLES = [
    bundle("another CA", Kind.UNKNOWN_AUTHORITY, pem(make(OTHER_ROOT))),
    bundle("another CA of the same name", Kind.UNKNOWN_AUTHORITY, pem(make(IMPOSTOR))),
    bundle("same name first, then the right one", Kind.VALID, pem(make(IMPOSTOR)) + ROOT_PEM),
    bundle("old and new CA", Kind.VALID, pem(make(OTHER_ROOT)) + ROOT_PEM),
    bundle("the leaf itself", Kind.VALID, LEAF_PEM),
    bundle("empty", Kind.NO_ROOTS, b""),
    bundle("no PEM", Kind.NO_ROOTS, b"ca.pem\n"),
    bundle("Windows line ends", Kind.VALID, ROOT_PEM.replace(b"\n", b"\r\n")),
    bundle(
        "text before and between", Kind.VALID, b"subject=old\n" + pem(make(OTHER_ROOT)) + b"x\n" + ROOT_PEM
    ),
    bundle("damaged block first", Kind.VALID, ROOT_PEM.replace(b"MII", b"!!!", 1) + ROOT_PEM),
    bundle("joined without a line end", Kind.NO_ROOTS, ROOT_PEM.rstrip() + ROOT_PEM.rstrip()),
    bundle("byte order mark", Kind.NO_ROOTS, b"\xef\xbb\xbf" + ROOT_PEM),
    bundle("headers", Kind.NO_ROOTS, ROOT_PEM.replace(b"E-----\n", b"E-----\nComment: x\n\n", 1)),
    bundle("101 CAs of the same name", Kind.TOO_MANY_CANDIDATES, _crowd()),
    Chain("nothing presented", b"", ROOT_PEM, Kind.UNREADABLE),
]
PATHS = [
    through("intermediate presented", Kind.VALID),
    Chain("intermediate missing", pem(_ORPHAN), ROOT_PEM, Kind.UNKNOWN_AUTHORITY),
    Chain("intermediate as trust anchor", pem(_ORPHAN), pem(INTERMEDIATE_CERTIFICATE), Kind.VALID),
    Chain("wrong order", pem(INTERMEDIATE_CERTIFICATE, _ORPHAN), ROOT_PEM, Kind.NAME_MISMATCH),
    through("root allows no intermediate", Kind.PATH_TOO_LONG, root=replace(ROOT, path_length=0)),
    direct("root allows no intermediate, none there", Kind.VALID, root=replace(ROOT, path_length=0)),
    through("intermediate is no CA", Kind.UNKNOWN_AUTHORITY, replace(INTERMEDIATE, authority=False)),
    through("intermediate says nothing", Kind.UNKNOWN_AUTHORITY, replace(INTERMEDIATE, authority=None)),
    direct("root is no CA", Kind.UNKNOWN_AUTHORITY, root=replace(ROOT, authority=False)),
    direct("root says nothing", Kind.UNKNOWN_AUTHORITY, root=replace(ROOT, authority=None)),
    direct("root must not sign", Kind.UNKNOWN_AUTHORITY, root=replace(ROOT, may_sign=False)),
    direct("root without key usage", Kind.VALID, root=replace(ROOT, may_sign=None)),
    direct(
        "no key identifiers",
        Kind.VALID,
        replace(LEAF, key_identifiers=False),
        replace(ROOT, key_identifiers=False),
    ),
    direct("wrong authority key identifier", Kind.VALID, _WRONG_IDENTIFIER),
    direct("root without a name", Kind.VALID, root=replace(ROOT, name="")),
    Chain(
        "one of two intermediates expired",
        pem(_ORPHAN, make(_STALE, ROOT), INTERMEDIATE_CERTIFICATE),
        ROOT_PEM,
        Kind.VALID,
    ),
    Chain(
        "a circle of cross-signatures",
        pem(make(LEAF, _CROSS_A), make(_CROSS_A, _CROSS_B), make(_CROSS_B, _CROSS_A)),
        ROOT_PEM,
        Kind.UNKNOWN_AUTHORITY,
    ),
]
USAGES = [
    direct("client purpose", Kind.INCOMPATIBLE_USAGE, replace(LEAF, purposes=(CLIENT_AUTH,))),
    direct("both purposes", Kind.VALID, replace(LEAF, purposes=(CLIENT_AUTH, SERVER_AUTH))),
    direct("any purpose", Kind.VALID, replace(LEAF, purposes=(ANY_PURPOSE,))),
    direct("no purpose listed", Kind.VALID, replace(LEAF, purposes=None)),
    direct("root for clients", Kind.INCOMPATIBLE_USAGE, root=replace(ROOT, purposes=(CLIENT_AUTH,))),
    direct("root for servers", Kind.VALID, root=replace(ROOT, purposes=(SERVER_AUTH,))),
    direct("unknown critical extension", Kind.UNKNOWN_EXTENSION, _extra(_UNKNOWN, critical=True)),
    direct("critical names that nobody knows", Kind.UNKNOWN_EXTENSION, _BY_NUMBER),
    direct("unknown extension", Kind.VALID, _extra(_UNKNOWN, critical=False)),
    direct("critical policy", Kind.VALID, _extra(_POLICY, critical=True)),
]
CONSTRAINTS = [
    direct("the target's subtrees", Kind.VALID, root=replace(ROOT, permitted=SUBTREES)),
    direct("top labels", Kind.VALID, root=replace(ROOT, permitted=(NAMESPACE, "svc", "cluster.local"))),
    direct("one host alone", Kind.NAME_CONSTRAINT, root=replace(ROOT, permitted=(HOSTS[0],))),
    direct("each host", Kind.VALID, root=replace(ROOT, permitted=HOSTS)),
    direct("leading dot", Kind.VALID, root=replace(ROOT, permitted=tuple(f".{base}" for base in SUBTREES))),
    direct(
        "leading dot of the host",
        Kind.NAME_CONSTRAINT,
        root=replace(ROOT, permitted=(f".{HOST}", "local", NAMESPACE)),
    ),
    direct("upper-case subtree", Kind.VALID, root=replace(ROOT, permitted=("SVC", "LOCAL", NAMESPACE))),
    direct("half a label", Kind.NAME_CONSTRAINT, root=replace(ROOT, permitted=("vc", "local", NAMESPACE))),
    direct("excluded", Kind.NAME_CONSTRAINT, root=replace(ROOT, excluded=("svc",))),
    direct("something else excluded", Kind.VALID, root=replace(ROOT, excluded=("example.com",))),
    direct(
        "wildcard that may be excluded",
        Kind.NAME_CONSTRAINT,
        replace(LEAF, dns=(f"*.{NAMESPACE}.svc",)),
        replace(ROOT, excluded=(f"secret.{NAMESPACE}.svc",)),
    ),
    through("at the intermediate", Kind.NAME_CONSTRAINT, replace(INTERMEDIATE, permitted=("example.com",))),
    direct(
        "no address permitted", Kind.NAME_CONSTRAINT, _WITH_ADDRESS, replace(ROOT, permitted=("10.9.0.0/16",))
    ),
    direct("address permitted", Kind.VALID, _WITH_ADDRESS, replace(ROOT, permitted=("10.0.0.0/8",))),
    direct("address excluded", Kind.NAME_CONSTRAINT, _WITH_ADDRESS, replace(ROOT, excluded=("10.1.0.0/16",))),
    direct(
        "another address excluded",
        Kind.VALID,
        _WITH_ADDRESS,
        replace(ROOT, excluded=("10.9.0.0/16", "fd00::/8")),
    ),
    direct("directory names", Kind.UNKNOWN_EXTENSION, root=replace(ROOT, extra=((_BY_NAME, True),))),
]
# The cryptography library makes neither SHA-1 nor version 1; openssl made these, the keys are gone.
_MADE = Path(__file__).parent / "made"
_SHA1_LEAF = (_MADE / "sha1-leaf.pem").read_bytes()
_SHA1_ROOT = (_MADE / "sha1-root.pem").read_bytes()
_V1_ROOT, _V1_BETWEEN = (_MADE / "v1-root.pem").read_bytes(), (_MADE / "v1-between.pem").read_bytes()
_V1_LEAF, _V1_THROUGH = (_MADE / "v1-leaf.pem").read_bytes(), (_MADE / "v1-leaf-through.pem").read_bytes()
_V1_NOW = datetime(2027, 1, 1, tzinfo=UTC)
_EDWARDS = replace(ROOT, key=ed25519.Ed25519PrivateKey.generate())
_PSS = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
KEYS = [
    direct("Ed25519 root", Kind.VALID, root=_EDWARDS),
    direct("RSA-PSS signature", Kind.VALID, replace(LEAF, scheme=_PSS), replace(ROOT, key=rsa_key())),
    direct("SHA-512", Kind.VALID, replace(LEAF, digest=hashes.SHA512())),
    Chain("Ed25519 impostor", LEAF_PEM, pem(make(_EDWARDS)), Kind.UNKNOWN_AUTHORITY),
    Chain("root of version 1", _V1_LEAF, _V1_ROOT, Kind.VALID, SHORT_MESH, _V1_NOW),
    Chain(
        "intermediate of version 1",
        _V1_THROUGH + _V1_BETWEEN,
        _V1_ROOT,
        Kind.NOT_AN_AUTHORITY,
        SHORT_MESH,
        _V1_NOW,
    ),
    Chain("SHA-1", _SHA1_LEAF, _SHA1_ROOT, Kind.UNKNOWN_AUTHORITY, SHORT_MESH),
    direct("RSA root", Kind.VALID, root=replace(ROOT, key=rsa_key())),
    direct("RSA leaf", Kind.VALID, replace(LEAF, key=rsa_key())),
    Chain(
        "RSA impostor",
        LEAF_PEM,
        pem(make(replace(ROOT, key=rsa_key()))),
        Kind.UNKNOWN_AUTHORITY,
    ),
]
CHAINS = [*NAMES, *DATES, *BUNDLES, *PATHS, *USAGES, *CONSTRAINTS, *KEYS]
