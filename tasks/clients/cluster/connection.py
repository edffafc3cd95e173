"""Builds the official client's transport from checked connection settings, without temporary files."""

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client as sdk
from kubernetes import config as sdk_config
from kubernetes.config.exec_provider import ExecProvider

from tasks.clients.cluster.client import ClusterClient
from tasks.core.errors import InputError
from tasks.core.kubeconfigs import ConnectionSettings, ExecPlugin

_POOL_SIZE = 16


@dataclass(frozen=True)
class Transport:
    """What another protocol needs to reach a client's API server with the same credentials.

    Attributes:
        name: The cluster's name in messages.
        server: The API server's URL without a trailing slash.
        context: Its TLS settings; not used for http://.
        server_name: The name that its certificate has to have; empty for the URL's host.
        proxy_url: The proxy to go through; empty for none.
        authorization: The Authorization header's value as of now; empty for client certificates.
    """

    name: str
    server: str
    context: ssl.SSLContext
    server_name: str = ""
    proxy_url: str = field(default="", repr=False)
    authorization: str = field(default="", repr=False)

    def headers(self) -> dict[str, str]:
        """The headers that prove who asks."""
        return {"Authorization": self.authorization} if self.authorization else {}


def transport_of(client: ClusterClient) -> Transport:
    """Find out how a client reaches its API server. Renews a token that has to be renewed."""
    api = client._api  # noqa: SLF001 - connections are made in this module and nowhere else
    configuration = api.configuration
    pool: dict[str, Any] = api.rest_client.pool_manager.connection_pool_kw
    return Transport(
        name=client.name,
        server=configuration.host.rstrip("/"),
        # The SDK's own pool, in a cluster, has a CA file instead of a context.
        context=pool.get("ssl_context") or ssl.create_default_context(cafile=configuration.ssl_ca_cert),
        server_name=pool.get("server_hostname") or "",
        proxy_url=configuration.proxy or "",
        authorization=configuration.get_api_key_with_prefix("authorization") or "",
    )


def connect(
    name: str,
    settings: ConnectionSettings,
    request_timeout: timedelta,
    token: Callable[[], str] | None = None,
) -> ClusterClient:
    """Make a client for one cluster. Nothing is sent yet.

    Args:
        name: The cluster's name in messages.
        settings: Where it is, whom to trust there, and who we are.
        request_timeout: How long one request may take.
        token: Gives the bearer token before every request, so that it may change; instead of the settings'.

    Raises:
        InputError: A file that the settings name cannot be read, or holds no usable PEM.
    """
    configuration = sdk.Configuration()
    configuration.host = settings.server
    configuration.retries = False
    configuration.proxy = settings.proxy_url or None
    if token is not None:
        _refresh_with(configuration, lambda config: _bearer(config, token()))
    else:
        _set_token(configuration, settings)
    api = sdk.ApiClient(configuration)
    _replace_pool(api, settings)
    if settings.out_of_reach:
        return ClusterClient(name, api, request_timeout, settings.out_of_reach)
    return ClusterClient(name, api, request_timeout)


def connect_in_cluster(name: str, request_timeout: timedelta) -> ClusterClient:
    """Make a client from the pod's own service account (token re-read as the kubelet renews it).

    Raises:
        InputError: This process does not run in a pod with a mounted service account.
    """
    configuration = sdk.Configuration()
    try:
        sdk_config.load_incluster_config(client_configuration=configuration)
    except sdk_config.ConfigException as error:
        raise InputError(
            "use the pod's service account", name, "to run inside a cluster", str(error)
        ) from error
    configuration.retries = False
    return ClusterClient(name, sdk.ApiClient(configuration), request_timeout)


def _set_token(configuration: sdk.Configuration, settings: ConnectionSettings) -> None:
    if settings.exec_plugin is not None:
        _set_exec_token(configuration, settings.exec_plugin)
    elif settings.token_file:
        path = Path(settings.token_file)
        _refresh_with(configuration, lambda config: _bearer(config, _read(path, "tokenFile").decode()))
    elif settings.token:
        _bearer(configuration, settings.token)


def _set_exec_token(configuration: sdk.Configuration, plugin: ExecPlugin) -> None:
    def refresh(config: sdk.Configuration) -> None:
        status: dict[str, Any] = ExecProvider(dict(plugin.config), cwd=None).run()
        _bearer(config, str(status.get("token", "")))

    _refresh_with(configuration, refresh)


def _refresh_with(configuration: sdk.Configuration, hook: Callable[[sdk.Configuration], None]) -> None:
    configuration.refresh_api_key_hook = hook  # type: ignore[assignment]  # annotated as None upstream
    hook(configuration)


def _bearer(configuration: sdk.Configuration, token: str) -> None:
    configuration.api_key["authorization"] = f"Bearer {token.strip()}"


def _read(path: Path, field_name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            "use the kubeconfig", field_name, f"a readable file {path}", type(error).__name__
        ) from error


def _replace_pool(api: sdk.ApiClient, settings: ConnectionSettings) -> None:
    # The SDK's own pool takes certificates as files only; a context keeps the client key out of temp files.
    arguments: dict[str, Any] = {
        "ssl_context": _tls_context(settings),
        "maxsize": _POOL_SIZE,
        "retries": False,
        "server_hostname": settings.tls_server_name or None,
    }
    if settings.tls_server_name:
        arguments["assert_hostname"] = settings.tls_server_name
    if settings.proxy_url:
        api.rest_client.pool_manager = urllib3.ProxyManager(settings.proxy_url, **arguments)
    else:
        api.rest_client.pool_manager = urllib3.PoolManager(**arguments)


def _tls_context(settings: ConnectionSettings) -> ssl.SSLContext:
    context = _trusting_context(settings)
    if not settings.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    _load_client_certificate(context, settings)
    return context


def _trusting_context(settings: ConnectionSettings) -> ssl.SSLContext:
    """With the settings' CA, or else with the system's; reading those takes 40 ms of CPU time."""
    if not settings.ca_pem and not settings.ca_file:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    pem = settings.ca_pem or _read(Path(settings.ca_file), "certificate-authority")
    try:
        context.load_verify_locations(cadata=pem.decode())
    except (ssl.SSLError, ValueError) as error:
        raise InputError(
            "use the kubeconfig", "certificate-authority", "PEM certificates", "no usable certificate"
        ) from error
    return context


def _load_client_certificate(context: ssl.SSLContext, settings: ConnectionSettings) -> None:
    certificate = settings.client_certificate_pem
    key = settings.client_key_pem
    if not certificate and settings.client_certificate_file:
        certificate = _read(Path(settings.client_certificate_file), "client-certificate")
    if not key and settings.client_key_file:
        key = _read(Path(settings.client_key_file), "client-key")
    if not certificate and not key:
        return
    # load_cert_chain wants a path: an anonymous file in memory has one and never touches a disk.
    descriptor = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, certificate + b"\n" + key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    except ssl.SSLError:
        raise InputError(
            "use the kubeconfig", "client-certificate and client-key", "a matching PEM pair", "no usable pair"
        ) from None
    finally:
        os.close(descriptor)
