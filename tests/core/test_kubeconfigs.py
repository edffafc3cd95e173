"""A kubeconfig may name a server, a CA and credentials; whatever runs programs or weakens TLS is refused."""

import base64
from typing import Any

import pytest
import yaml

from tasks.core.errors import InputError
from tasks.core.kubeconfigs import KubeconfigPolicy, KubeconfigRisk, read_cluster_entry, read_kubeconfig

NOTHING_ALLOWED = KubeconfigPolicy()
CA_PEM = b"-----BEGIN CERTIFICATE-----\n"


def kubeconfig(cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> str:
    server = {
        "server": "https://10.0.0.1:6443",
        "certificate-authority-data": base64.b64encode(CA_PEM).decode(),
    }
    return yaml.safe_dump(
        {
            "kind": "Config",
            "current-context": "other",
            "clusters": [{"name": "c", "cluster": {**server, **(cluster or {})}}],
            "users": [{"name": "u", "user": user if user is not None else {"token": "s3cret-token"}}],
            "contexts": [{"name": "fra", "context": {"cluster": "c", "user": "u"}}],
        }
    )


def test_the_named_context_is_read() -> None:
    settings = read_kubeconfig(kubeconfig(), "fra", NOTHING_ALLOWED)

    assert settings.server == "https://10.0.0.1:6443"
    assert settings.ca_pem == CA_PEM
    assert settings.token == "s3cret-token"


def test_secrets_are_not_in_the_repr() -> None:
    assert "s3cret" not in repr(read_kubeconfig(kubeconfig(), "fra", NOTHING_ALLOWED))


def test_an_unknown_context_is_named_with_those_that_exist() -> None:
    with pytest.raises(InputError, match=r"expected an entry named 'iad'; found fra"):
        read_kubeconfig(kubeconfig(), "iad", NOTHING_ALLOWED)


@pytest.mark.parametrize(
    ("cluster", "user", "field"),
    [
        ({"insecure-skip-tls-verify": True}, None, "insecure-skip-tls-verify"),
        ({"proxy-url": "http://proxy:3128"}, None, "proxy-url"),
        ({"server": "http://10.0.0.1"}, None, "https:// URL"),
        ({"certificate-authority-data": "***"}, None, "certificate-authority-data"),
        (None, {"exec": {"command": "oci"}}, "users[].user.exec"),
        (None, {"auth-provider": {"name": "gcp"}}, "users[].user.auth-provider"),
        (None, {"username": "admin", "password": "s3cret"}, "users[].user.username"),
        (None, {"as": "system:admin", "token": "s3cret"}, "users[].user.as"),
    ],
)
def test_what_is_not_allowed_is_refused_by_its_field(
    cluster: dict[str, Any] | None, user: dict[str, Any] | None, field: str
) -> None:
    with pytest.raises(InputError) as refusal:
        read_kubeconfig(kubeconfig(cluster, user), "fra", NOTHING_ALLOWED)

    assert field in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


def test_a_risk_that_the_block_allows_is_accepted() -> None:
    policy = KubeconfigPolicy(risks=frozenset({KubeconfigRisk.INSECURE_SKIP_TLS_VERIFY}))

    settings = read_kubeconfig(kubeconfig({"insecure-skip-tls-verify": True}), "fra", policy)

    assert settings.verify_tls is False


def test_an_exec_plugin_that_the_block_allows_is_kept() -> None:
    policy = KubeconfigPolicy(exec_commands=frozenset({"oci"}))

    settings = read_kubeconfig(kubeconfig(user={"exec": {"command": "oci", "args": ["ce"]}}), "fra", policy)

    assert settings.exec_plugin is not None
    assert settings.exec_plugin.command == "oci"


@pytest.mark.parametrize("text", ["token: [s3cret", "just text s3cret", "kind: Pod\ntoken: s3cret"])
def test_a_file_that_is_no_kubeconfig_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(InputError) as refusal:
        read_kubeconfig(text, "fra", NOTHING_ALLOWED)

    assert "s3cret" not in str(refusal.value)


def test_of_a_managed_clusters_file_only_address_and_authority_are_taken() -> None:
    text = kubeconfig(user={"exec": {"command": "oci"}})

    settings = read_cluster_entry(text)

    assert (settings.server, settings.ca_pem) == ("https://10.0.0.1:6443", CA_PEM)
    assert (settings.token, settings.exec_plugin) == ("", None)


@pytest.mark.parametrize("clusters", [[], [{"name": "a", "cluster": {}}, {"name": "b", "cluster": {}}]])
def test_a_managed_clusters_file_has_one_cluster(clusters: list[dict[str, Any]]) -> None:
    with pytest.raises(InputError, match="expected one entry"):
        read_cluster_entry(yaml.safe_dump({"kind": "Config", "clusters": clusters}))


def test_a_managed_clusters_file_may_not_switch_verification_off() -> None:
    with pytest.raises(InputError, match="insecure-skip-tls-verify"):
        read_cluster_entry(kubeconfig({"insecure-skip-tls-verify": True}))
