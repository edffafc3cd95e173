"""The keys, certificates, tokens and kubeconfigs of one control plane, as files that only we can read."""

import base64
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import yaml

from deployments.rehearsal.controlplane.addresses import Addresses
from deployments.rehearsal.pki import (
    Leaf,
    create_authority,
    issue,
    new_private_key,
    private_key_pem,
    public_key_pem,
)

CONTEXT = "rehearsal"
"""The only context of every kubeconfig."""


class User(StrEnum):
    """Who talks to the API server with a token; the audit log shows these names."""

    ADMIN = "admin"
    CONTROLLER_MANAGER = "system:kube-controller-manager"
    SCHEDULER = "system:kube-scheduler"
    NODE = "rehearsal-node"
    """KWOK and the kubelet stand-in."""


# RBAC's own bootstrap roles are bound to the two system users by name; the others get everything.
_GROUPS: Mapping[User, tuple[str, ...]] = {User.ADMIN: ("system:masters",), User.NODE: ("system:masters",)}
_FILE_NAMES: Mapping[User, str] = {
    User.ADMIN: "kubeconfig",
    User.CONTROLLER_MANAGER: "controller-manager.kubeconfig",
    User.SCHEDULER: "scheduler.kubeconfig",
    User.NODE: "node.kubeconfig",
}


@dataclass(frozen=True)
class CredentialFiles:
    """Paths of what `write_credentials` wrote, and the tokens.

    Attributes:
        folder: Holds `ca`, `front-proxy-ca`, `server`, `front-proxy-client`, `kubelet` and `kubelet-client`
            (each `.crt` and `.key`), `service-account` (`.key` and `.pub`), `tokens.csv` and the kubeconfigs.
        tokens: The bearer token of each user.
    """

    folder: Path
    tokens: Mapping[User, str]

    def certificate(self, name: str) -> Path:
        """The certificate file of a name, such as `ca`."""
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        """The private key file of a name, such as `server`."""
        return self.folder / f"{name}.key"

    @property
    def tokens_file(self) -> Path:
        """The API server's static token file."""
        return self.folder / "tokens.csv"

    def kubeconfig(self, user: User) -> Path:
        """The kubeconfig of a user, with the token and the authority inside."""
        return self.folder / _FILE_NAMES[user]


def write_credentials(folder: Path, addresses: Addresses, server: str, now: datetime) -> CredentialFiles:
    """Make everything that a control plane needs to prove who it is.

    Args:
        folder: Where the files go; it exists.
        addresses: What the server certificates are valid for.
        server: The API server's URL for the kubeconfigs.
        now: The start of the certificates' validity.
    """
    files = CredentialFiles(folder, {user: secrets.token_hex(16) for user in User})
    _write_certificates(files, addresses, now)
    signer = new_private_key()
    _write_private(files.key("service-account"), private_key_pem(signer))
    _write_private(folder / "service-account.pub", public_key_pem(signer))
    rows = [",".join([token, user, user, *_GROUPS.get(user, ())]) for user, token in files.tokens.items()]
    _write_private(files.tokens_file, ("\n".join(rows) + "\n").encode())
    authority = files.certificate("ca").read_bytes()
    for user, token in files.tokens.items():
        _write_private(files.kubeconfig(user), _kubeconfig(server, authority, user, token))
    return files


def _write_certificates(files: CredentialFiles, addresses: Addresses, now: datetime) -> None:
    authority = create_authority("rehearsal-ca", now)
    front_proxy = create_authority("rehearsal-front-proxy-ca", now)
    names = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
    server = Leaf("kube-apiserver", dns_names=names, addresses=(addresses.host, "127.0.0.1"))
    kubelet = Leaf("system:node:node-0", "system:nodes", ("node-0", "localhost"), (addresses.host,))
    credentials = {
        "ca": authority,
        "front-proxy-ca": front_proxy,
        "server": issue(authority, server, now),
        "kubelet": issue(authority, kubelet, now),
        "kubelet-client": issue(authority, Leaf("kube-apiserver-kubelet-client", "system:masters"), now),
        "front-proxy-client": issue(front_proxy, Leaf("front-proxy-client"), now),
    }
    for name, credential in credentials.items():
        _write_private(files.certificate(name), credential.certificate_pem)
        _write_private(files.key(name), credential.key_pem)


def _kubeconfig(server: str, authority: bytes, user: User, token: str) -> bytes:
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(authority).decode()}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": cluster}],
        "users": [{"name": str(user), "user": {"token": token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": str(user)}}],
        "current-context": CONTEXT,
    }
    return yaml.safe_dump(config).encode()


def _write_private(path: Path, content: bytes) -> None:
    # Created with its final mode: a chmod afterwards would leave a moment in which others could open it.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
