"""One CA, one key, one plan: what the tests of issued certificates share."""

from datetime import datetime
from functools import cache

from tasks.core.certificates.authorities import Authority, AuthorityPlan, create_authority
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.issuing import sign_request
from tasks.core.certificates.keys import KeySpec, PrivateKey, generate_key
from tasks.core.certificates.profiles import recommended_plan
from tasks.core.certificates.request_policy import RequestExpectation
from tasks.core.certificates.requests import build_request
from tests.core.certificates.workshop import NOW, TARGET, rsa_key

CA_SPECS = (KeySpec.RSA_2048, KeySpec.ECDSA_P256, KeySpec.ECDSA_P384)
LEAF_SPECS = (KeySpec.ECDSA_P256, KeySpec.ECDSA_P384, KeySpec.RSA_2048)


@cache
def key_of(spec: KeySpec, number: int = 0) -> PrivateKey:
    """A key of a kind that is the same within one test run."""
    if spec is KeySpec.RSA_2048 and not number:
        return PrivateKey(rsa_key())
    return generate_key(spec)


@cache
def authority_of(spec: KeySpec = KeySpec.ECDSA_P256, *, constrained: bool = True) -> Authority:
    """A CA that was made at `NOW`."""
    permitted = TARGET.permitted_subtrees if constrained else ()
    return create_authority(AuthorityPlan(key_spec=spec, permitted_names=permitted), key_of(spec), NOW)


def authority_at(now: datetime) -> Authority:
    """A CA of the real clock, for programs that look at it."""
    return create_authority(AuthorityPlan(key_spec=KeySpec.ECDSA_P256), generate_key(), now)


def expectation_of(spec: KeySpec = KeySpec.ECDSA_P256) -> RequestExpectation:
    """The recommended certificate for a key of a kind."""
    return RequestExpectation(recommended_plan(TARGET, spec), key_of(spec).spki_sha256)


@cache
def leaf_of(spec: KeySpec = KeySpec.ECDSA_P256, ca_spec: KeySpec = KeySpec.ECDSA_P256) -> Certificate:
    """The recommended certificate, signed at `NOW`."""
    expectation = expectation_of(spec)
    request = build_request(key_of(spec), expectation.plan)
    return sign_request(request, expectation, authority_of(ca_spec), NOW)
