"""Reads a kubeconfig and refuses what would let a file run programs or weaken TLS on the worker.

client-go got an allow-list for exec plugins in 1.35 (KEP-3331 lineage); the Python client has none, so the
file is read here and only what is listed below reaches the transport.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import yaml

from tasks.core.errors import InputError

_SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The same in C where PyYAML has it: a fleet has a kubeconfig for each cluster."""


class KubeconfigRisk(StrEnum):
    """What a kubeconfig may ask for only when the block allows it by name."""

    INSECURE_SKIP_TLS_VERIFY = "INSECURE_SKIP_TLS_VERIFY"
    """The API server's certificate is not verified."""
    PROXY_URL = "PROXY_URL"
    """Traffic to the API server passes a proxy."""


@dataclass(frozen=True)
class KubeconfigPolicy:
    """What is allowed beyond a server, a CA and a token or client certificate.

    Attributes:
        risks: Allowed risks.
        exec_commands: Commands that an `exec` credential plugin may run, exactly as the file spells them.
    """

    risks: frozenset[KubeconfigRisk] = frozenset()
    exec_commands: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ExecPlugin:
    """A client-go credential plugin (client.authentication.k8s.io/v1) that the policy allows."""

    command: str
    config: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class ConnectionSettings:
    """How to reach and trust one API server, and who we are there. Secrets are kept out of repr().

    Attributes:
        server: The https URL.
        ca_pem: PEM of the CAs to trust; empty with `ca_file` or for the system's roots.
        ca_file: A file with such PEM.
        tls_server_name: The name to verify instead of the URL's host; empty for that host.
        out_of_reach: What to do when nothing answers; empty for the usual advice.
    """

    server: str
    ca_pem: bytes = field(default=b"", repr=False)
    ca_file: str = ""
    tls_server_name: str = ""
    verify_tls: bool = True
    proxy_url: str = ""
    token: str = field(default="", repr=False)
    token_file: str = ""
    client_certificate_pem: bytes = field(default=b"", repr=False)
    client_key_pem: bytes = field(default=b"", repr=False)
    client_certificate_file: str = ""
    client_key_file: str = ""
    exec_plugin: ExecPlugin | None = None
    out_of_reach: str = ""


def read_kubeconfig(text: str, context: str, policy: KubeconfigPolicy) -> ConnectionSettings:
    """Take one explicit context out of a kubeconfig.

    Args:
        text: The file's content.
        context: The context's name; `current-context` is never used, since it changes behind our back.
        policy: What the block allows.

    Raises:
        InputError: The file is malformed, the context is absent, or it asks for something not allowed.
    """
    config = _parse(text)
    entry = _named(config, "contexts", "context", context)
    cluster = _named(config, "clusters", "cluster", str(entry.get("cluster", "")))
    user = _named(config, "users", "user", str(entry.get("user", "")))
    _refuse_risks(cluster, user, policy)
    return ConnectionSettings(
        server=_server(cluster, f"context {context}"),
        ca_pem=_decoded(cluster, "certificate-authority-data"),
        ca_file=str(cluster.get("certificate-authority", "")),
        tls_server_name=str(cluster.get("tls-server-name", "")),
        verify_tls=not cluster.get("insecure-skip-tls-verify", False),
        proxy_url=str(cluster.get("proxy-url", "")),
        token=str(user.get("token", "")),
        token_file="" if user.get("token") else str(user.get("tokenFile", "")),
        client_certificate_pem=_decoded(user, "client-certificate-data"),
        client_key_pem=_decoded(user, "client-key-data"),
        client_certificate_file=str(user.get("client-certificate", "")),
        client_key_file=str(user.get("client-key", "")),
        exec_plugin=_exec_plugin(user, policy),
    )


def read_cluster_entry(text: str) -> ConnectionSettings:
    """Take address and authority of the only cluster of a kubeconfig; who we are comes from elsewhere.

    Raises:
        InputError: The file is malformed, or has another number of clusters than one.
    """
    entries = _parse(text).get("clusters") or []
    names = [str(entry.get("name")) for entry in entries if isinstance(entry, dict)]
    if len(names) != 1:
        raise _refusal("clusters", "one entry", f"{len(names)} entries")
    cluster = _named(_parse(text), "clusters", "cluster", names[0])
    _refuse_risks(cluster, {}, KubeconfigPolicy())
    return ConnectionSettings(
        server=_server(cluster, "the only cluster"),
        ca_pem=_decoded(cluster, "certificate-authority-data"),
    )


def _server(cluster: Mapping[str, Any], subject: str) -> str:
    server = str(cluster.get("server", ""))
    if not server.startswith("https://"):
        raise _refusal(subject, "clusters[].cluster.server to be an https:// URL", server or "nothing")
    return server.rstrip("/")


def _parse(text: str) -> Mapping[str, Any]:
    try:
        config = yaml.load(text, Loader=_SAFE_LOADER)  # noqa: S506 - safe in either form
    except yaml.YAMLError:
        # The parser quotes the line it stumbled over, which may be a token: its message is dropped.
        raise _refusal("the whole file", "YAML", "text that is not YAML") from None
    if not isinstance(config, dict) or config.get("kind") != "Config":
        raise _refusal("the whole file", "a mapping with kind: Config", "something else")
    return config


def _named(config: Mapping[str, Any], section: str, key: str, name: str) -> Mapping[str, Any]:
    entries = config.get(section) or []
    names = [str(entry.get("name")) for entry in entries if isinstance(entry, dict)]
    for entry in entries:
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(key), dict):
            found: Mapping[str, Any] = entry[key]
            return found
    raise _refusal(section, f"an entry named {name!r}", f"{', '.join(names) or 'no entries'}")


def _refuse_risks(cluster: Mapping[str, Any], user: Mapping[str, Any], policy: KubeconfigPolicy) -> None:
    if (
        cluster.get("insecure-skip-tls-verify")
        and KubeconfigRisk.INSECURE_SKIP_TLS_VERIFY not in policy.risks
    ):
        raise _not_allowed("insecure-skip-tls-verify", KubeconfigRisk.INSECURE_SKIP_TLS_VERIFY)
    if cluster.get("proxy-url") and KubeconfigRisk.PROXY_URL not in policy.risks:
        raise _not_allowed("proxy-url", KubeconfigRisk.PROXY_URL)
    for field_name in ("auth-provider", "username", "password", "as", "as-groups"):
        if user.get(field_name):
            raise _refusal(
                f"users[].user.{field_name}",
                "a token, a client certificate or an allowed exec plugin",
                f"the field {field_name}, which is not supported",
            )


def _exec_plugin(user: Mapping[str, Any], policy: KubeconfigPolicy) -> ExecPlugin | None:
    config = user.get("exec")
    if not config:
        return None
    command = str(config.get("command", ""))
    if command not in policy.exec_commands:
        raise _refusal(
            "users[].user.exec",
            f"a command that the block allows ({', '.join(policy.exec_commands) or 'it allows none'})",
            repr(command),
            "A kubeconfig that runs programs can run anything on the worker: use a service account token, "
            "or allow this very command in the block.",
        )
    return ExecPlugin(command, config)


def _decoded(entry: Mapping[str, Any], name: str) -> bytes:
    value = entry.get(name)
    if not value:
        return b""
    try:
        return base64.b64decode(str(value), validate=True)
    except binascii.Error:
        raise _refusal(name, "base64", "text that is not base64") from None


def _not_allowed(field_name: str, risk: KubeconfigRisk) -> InputError:
    return _refusal(
        f"clusters[].cluster.{field_name}",
        f"{risk.value} in the block's allowed_risks",
        "it is not allowed",
        "Remove it from the kubeconfig, or allow it in the block when you accept the risk.",
    )


def _refusal(subject: str, expected: str, found: str, next_step: str = "") -> InputError:
    return InputError("use the kubeconfig", subject, expected, found, next_step)
