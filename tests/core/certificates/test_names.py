"""The names of the certificate, and the profiles (runbook R12, R17)."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.certificates.keys import KeySpec
from tasks.core.certificates.names import (
    WebhookTarget,
    check_common_name,
    is_label,
    secret_of_service,
    service_of_deployment,
)
from tasks.core.certificates.profiles import (
    CertificateProfile,
    Usage,
    check_publishable,
    documented_plan,
    recommended_plan,
)
from tasks.core.errors import CertificateError
from tests.core.certificates.workshop import TARGET

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)


def test_each_service_has_three_names() -> None:
    assert TARGET.dns_names == (
        "oci-service-operator-controller-manager-service.oci-service-operator-system",
        "oci-service-operator-controller-manager-service.oci-service-operator-system.svc",
        "oci-service-operator-controller-manager-service.oci-service-operator-system.svc.cluster.local",
        "oci-service-operator-webhook-service.oci-service-operator-system",
        "oci-service-operator-webhook-service.oci-service-operator-system.svc",
        "oci-service-operator-webhook-service.oci-service-operator-system.svc.cluster.local",
    )


def test_another_cluster_domain_adds_names_because_olm_knows_only_its_own() -> None:
    target = WebhookTarget("mesh", ("webhook",), "corp.example")

    assert target.dns_names == (
        "webhook.mesh",
        "webhook.mesh.svc",
        "webhook.mesh.svc.cluster.local",
        "webhook.mesh.svc.corp.example",
    )
    assert target.permitted_subtrees == (
        "webhook.mesh",
        "mesh.svc",
        "mesh.svc.cluster.local",
        "mesh.svc.corp.example",
    )


def test_the_api_server_calls_service_namespace_svc() -> None:
    assert TARGET.server_names == (TARGET.dns_names[1], TARGET.dns_names[4])


def test_olm_looks_for_the_names_of_its_own_service() -> None:
    assert TARGET.olm_hosts == TARGET.dns_names[:3]


def test_olms_names_for_service_and_secret() -> None:
    service = service_of_deployment("oci-service-operator-controller-manager")

    assert secret_of_service(service) == "oci-service-operator-controller-manager-service-cert"


@given(LABELS, LABELS)
def test_every_pair_of_labels_gives_valid_names(service: str, namespace: str) -> None:
    for name in WebhookTarget(namespace, (service,)).dns_names:
        assert len(name) <= 253
        assert all(is_label(label) for label in name.split("."))


@pytest.mark.parametrize("label", ["", "Upper", "a.b", "-a", "a-", "a_b", "ä", "a" * 64, "*", "a\n"])
def test_no_label_of_kubernetes_is_refused(label: str) -> None:
    with pytest.raises(CertificateError):
        WebhookTarget(label, ("webhook",))
    with pytest.raises(CertificateError):
        WebhookTarget("mesh", (label,))


@pytest.mark.parametrize("services", [(), ("a", "a")])
def test_services_are_named_once_each(services: tuple[str, ...]) -> None:
    with pytest.raises(CertificateError):
        WebhookTarget("mesh", services)


def test_names_beyond_253_characters_are_refused() -> None:
    with pytest.raises(CertificateError, match="at most 253"):
        WebhookTarget("n" * 63, ("s" * 63,), ".".join(["d" * 40] * 4))


@pytest.mark.parametrize("name", ["", "a" * 65, "two\nlines", TARGET.server_names[0]])
def test_a_common_name_that_no_certificate_can_carry_is_refused(name: str) -> None:
    """The Service's own name has 79 characters, the limit is 64."""
    with pytest.raises(CertificateError, match="ub-common-name"):
        check_common_name(name)


def test_64_characters_are_a_common_name() -> None:
    assert check_common_name("a" * 64) == "a" * 64


def test_the_recommended_plan_asks_an_ecdsa_key_to_sign_only() -> None:
    """RFC 8813: no key encipherment."""
    plan = recommended_plan(TARGET)

    assert plan.usages == (Usage.DIGITAL_SIGNATURE, Usage.SERVER_AUTH)
    assert (plan.dns_names, plan.validity) == (TARGET.dns_names, timedelta(days=397))


def test_an_rsa_key_may_also_encipher() -> None:
    plan = recommended_plan(TARGET, KeySpec.RSA_3072)

    assert plan.usages == (Usage.DIGITAL_SIGNATURE, Usage.KEY_ENCIPHERMENT, Usage.SERVER_AUTH)


def test_the_documented_plan_is_the_page_literally() -> None:
    """R12, R17."""
    plan = documented_plan(TARGET)

    assert plan.dns_names == (
        "oci-service-operator-controller-manager-service.oci-service-operator-system.svc.cluster.local",
        "oci-service-operator-webhook-service.oci-service-operator-system.svc.cluster.local",
    )
    assert plan.common_name == "kube.operator.cert"
    assert plan.usages == (Usage.DIGITAL_SIGNATURE, Usage.KEY_ENCIPHERMENT, Usage.SERVER_AUTH)
    assert plan.validity == timedelta(hours=876000)
    assert plan.key_spec is KeySpec.ECDSA_P256


def test_the_recommended_plan_may_be_published() -> None:
    check_publishable(recommended_plan(TARGET))


def test_the_documented_plan_is_refused_with_the_measured_reason() -> None:
    with pytest.raises(CertificateError) as refused:
        check_publishable(documented_plan(TARGET))

    assert f"not {TARGET.server_names[0]}`" in refused.value.found
    assert "x509: certificate is valid for" in refused.value.found


def test_the_documented_plan_is_refused_even_with_all_names() -> None:
    with pytest.raises(CertificateError):
        check_publishable(replace(documented_plan(TARGET), dns_names=TARGET.dns_names))


def test_a_plan_that_lacks_one_name_is_refused() -> None:
    plan = replace(recommended_plan(TARGET), dns_names=TARGET.dns_names[1:])

    with pytest.raises(CertificateError, match=CertificateProfile.RECOMMENDED):
        check_publishable(plan)


def test_a_plan_without_a_lifetime_is_refused() -> None:
    with pytest.raises(CertificateError, match="a positive lifetime"):
        recommended_plan(TARGET, validity=timedelta(0))
