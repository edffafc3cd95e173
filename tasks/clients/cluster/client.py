"""Reads and writes objects of one cluster as plain manifests."""

import json
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import orjson
import urllib3
from kubernetes import client as sdk

from tasks.clients.cluster.errors import error_from_response
from tasks.core.errors import ClusterError, ClusterUnavailableError
from tasks.core.manifests import RESOURCE_TYPES, Manifest, ObjectRef, ResourceType, ref_of

FIELD_MANAGER = "osok-fleet"
"""The name under which managedFields record what this product owns (server-side apply)."""
_CONNECT_SECONDS = 10.0
_JSON, _CONTENT_TYPE = "application/json", "Content-Type"
_IN_JSON: Mapping[str, str] = MappingProxyType({"Accept": _JSON, _CONTENT_TYPE: _JSON})
_METADATA = f"{_JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""Kubernetes API concepts, "Metadata-only fetches"."""


class ApplyMode(StrEnum):
    """Whether a write is carried out or only rehearsed by the API server, admission included."""

    APPLY = "APPLY"
    SERVER_DRY_RUN = "SERVER_DRY_RUN"


class Conflicts(StrEnum):
    """What a server-side apply does about a field that another manager owns (KEP-555)."""

    REFUSE = "REFUSE"
    """It is a `ClusterConflictError`."""
    TAKE_OVER = "TAKE_OVER"
    """It is written, and the other manager owns it no more (`force=true`)."""


class PatchType(StrEnum):
    """The media types of a PATCH (RFC 7386, RFC 6902, Kubernetes server-side apply)."""

    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"
    APPLY = "application/apply-patch+yaml"


class ClusterClient:
    """One cluster's API, under the name its block has.

    Args:
        name: The cluster's name in every message.
        api: The official client's transport: address, TLS and credentials.
        request_timeout: How long one request may take.
        out_of_reach: What to do when nothing answers.

    Every method raises a `ClusterError`: `ClusterUnavailableError` (retryable) where no usable answer came,
    `ClusterForbiddenError`, `ClusterConflictError` or `ClusterRejectedError` for what the API server said.
    """

    def __init__(
        self,
        name: str,
        api: sdk.ApiClient,
        request_timeout: timedelta = timedelta(seconds=30),
        out_of_reach: str = "Check that the API server is up and reachable from the worker.",
    ) -> None:
        self.name = name
        self._out_of_reach = out_of_reach
        self._api = api
        seconds = request_timeout.total_seconds()
        # The handshake counts as connecting (urllib3): who does not even do that will not answer either.
        self._timeout = (min(_CONNECT_SECONDS, seconds), seconds)
        self._discovered: dict[tuple[str, str], ResourceType] = {}

    def get(self, ref: ObjectRef) -> Manifest | None:
        """Read one object; None when it, its kind or its namespace does not exist."""
        resource = self._find_resource_type(ref.api_version, ref.kind)
        if resource is None:
            return None
        return self._find(resource.path(ref.namespace, ref.name), {}, f"read {ref}")

    def list_objects(
        self, api_version: str, kind: str, namespace: str = "", label_selector: str = ""
    ) -> list[Manifest]:
        """Read all objects of a kind, everywhere or in one namespace; empty when the kind is not served."""
        resource = self._find_resource_type(api_version, kind)
        if resource is None:
            return []
        query = {"labelSelector": label_selector} if label_selector else {}
        found = self._find(resource.path(namespace), query, f"list {resource.plural}")
        return _items(found, api_version, kind)

    def list_metadata(self, api_version: str, kind: str, namespace: str = "") -> list[Manifest]:
        """Like `list_objects`, but of each object its metadata alone: what it costs to see a change."""
        resource = self._find_resource_type(api_version, kind)
        if resource is None:
            return []
        attempted = f"list the metadata of {resource.plural}"
        return _items(self._find(resource.path(namespace), {}, attempted, _METADATA), api_version, kind)

    def create(self, manifest: Manifest, mode: ApplyMode = ApplyMode.APPLY) -> Manifest:
        """POST an object; `ClusterConflictError` when the name is taken."""
        ref_type = self.resource_type(manifest["apiVersion"], manifest["kind"])
        namespace = manifest.get("metadata", {}).get("namespace", "")
        name = manifest.get("metadata", {}).get("name", "")
        attempted = f"create {manifest['kind']} {name}".rstrip()
        return self._send("POST", ref_type.path(namespace), manifest, _write_query(mode), attempted)

    def create_subresource(self, ref: ObjectRef, subresource: str, body: Manifest) -> Manifest:
        """POST to a subresource, such as a service account's `token`."""
        path = self.resource_type(ref.api_version, ref.kind).path(ref.namespace, ref.name)
        return self._send("POST", f"{path}/{subresource}", body, {}, f"create {ref}/{subresource}")

    def apply(
        self,
        manifest: Manifest,
        mode: ApplyMode = ApplyMode.APPLY,
        conflicts: Conflicts = Conflicts.REFUSE,
    ) -> Manifest:
        """Server-side apply: a field that somebody else owns is a `ClusterConflictError`, or taken over."""
        ref = ref_of(manifest)
        resource = self.resource_type(ref.api_version, ref.kind)
        path = resource.path(ref.namespace, ref.name)
        force = {"force": "true"} if conflicts is Conflicts.TAKE_OVER else {}
        return self._patch(path, PatchType.APPLY, manifest, {**_write_query(mode), **force}, f"apply {ref}")

    def patch(
        self,
        ref: ObjectRef,
        patch: Manifest | list[Manifest],
        patch_type: PatchType = PatchType.MERGE,
        subresource: str = "",
        mode: ApplyMode = ApplyMode.APPLY,
    ) -> Manifest:
        """PATCH an object or one of its subresources."""
        path = self.resource_type(ref.api_version, ref.kind).path(ref.namespace, ref.name)
        suffix = f"/{subresource}" if subresource else ""
        query = _write_query(mode)
        return self._patch(path + suffix, patch_type, patch, query, f"patch {ref}{suffix}")

    def replace(self, manifest: Manifest, subresource: str = "") -> Manifest:
        """PUT an object or one of its subresources; its resourceVersion is the precondition."""
        ref = ref_of(manifest)
        path = self.resource_type(ref.api_version, ref.kind).path(ref.namespace, ref.name)
        suffix = f"/{subresource}" if subresource else ""
        query = _write_query(ApplyMode.APPLY)
        return self._send("PUT", path + suffix, manifest, query, f"replace {ref}{suffix}")

    def delete(self, ref: ObjectRef, uid: str = "") -> None:
        """Delete an object in the background; with `uid` only that very object. Absent is fine."""
        resource = self._find_resource_type(ref.api_version, ref.kind)
        if resource is None:
            return
        preconditions = {"preconditions": {"uid": uid}} if uid else {}
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        body = {**options, **preconditions}
        status, answer = self._request("DELETE", resource.path(ref.namespace, ref.name), {}, body)
        if status not in (200, 202, 404):
            raise error_from_response(status, answer, f"delete {ref}", self.name)

    def read_path(self, path: str, query: Mapping[str, str] | None = None) -> Manifest | None:
        """GET any JSON path of the API server (`/version`, `/readyz?verbose` is not JSON); None when 404."""
        return self._find(path, query or {}, f"read {path}")

    def read_text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """GET a text path of the API server, such as a pod's log."""
        status, body = self._request("GET", path, query or {}, None)
        if status != 200:  # noqa: PLR2004 - HTTP
            raise error_from_response(status, body, f"read {path}", self.name)
        return body.decode(errors="replace")

    def resource_type(self, api_version: str, kind: str) -> ResourceType:
        """The REST resource of a kind; unknown kinds are looked up in the API server's discovery once.

        Raises:
            ClusterError: The cluster does not serve that kind.
        """
        resource = self._find_resource_type(api_version, kind)
        if resource is None:
            raise ClusterError(
                f"find the kind {kind}", self.name, f"{api_version} served by the cluster", "no such kind"
            )
        return resource

    def _find_resource_type(self, api_version: str, kind: str) -> ResourceType | None:
        known = RESOURCE_TYPES.get((api_version, kind)) or self._discovered.get((api_version, kind))
        if known is not None:
            return known
        root = "/api/v1" if api_version == "v1" else f"/apis/{api_version}"
        found = self._find(root, {}, f"discover {api_version}") or {}
        for entry in found.get("resources", []):
            if "/" not in entry["name"]:
                resource = ResourceType(api_version, entry["kind"], entry["name"], entry["namespaced"])
                self._discovered[api_version, entry["kind"]] = resource
        return self._discovered.get((api_version, kind))

    def _find(
        self, path: str, query: Mapping[str, str], attempted: str, accept: str = _JSON
    ) -> Manifest | None:
        status, body = self._request("GET", path, query, None, {"Accept": accept})
        if status == 404:  # noqa: PLR2004 - HTTP
            return None
        if status != 200:  # noqa: PLR2004 - HTTP
            raise error_from_response(status, body, attempted, self.name)
        return self._decode(body, attempted)

    def _patch(
        self,
        path: str,
        patch_type: PatchType,
        body: Manifest | list[Manifest],
        query: Mapping[str, str],
        attempted: str,
    ) -> Manifest:
        status, answer = self._request("PATCH", path, query, body, {_CONTENT_TYPE: patch_type.value})
        return self._written(status, answer, attempted)

    def _send(
        self, method: str, path: str, body: Manifest, query: Mapping[str, str], attempted: str
    ) -> Manifest:
        status, answer = self._request(method, path, query, body)
        return self._written(status, answer, attempted)

    def _written(self, status: int, answer: bytes, attempted: str) -> Manifest:
        if status not in (200, 201):
            raise error_from_response(status, answer, attempted, self.name)
        return self._decode(answer, attempted)

    def _decode(self, body: bytes, attempted: str) -> Manifest:
        try:
            # Decoding is a sixth of the processor time of a verification; this one needs about half of it.
            decoded: Manifest = orjson.loads(body)
        except ValueError as error:
            raise ClusterUnavailableError(attempted, self.name, "a JSON answer", "something else") from error
        return decoded

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Manifest | list[Manifest] | None,
        media_types: Mapping[str, str] = _IN_JSON,
    ) -> tuple[int, bytes]:
        configuration = self._api.configuration
        headers = {**_IN_JSON, **media_types, "User-Agent": FIELD_MANAGER}
        # Answers above 128 KiB come compressed (k8s.io/apiserver, pkg/endpoints/handlers/responsewriters).
        headers["Accept-Encoding"] = "gzip"
        token = configuration.get_api_key_with_prefix("authorization")
        if token:
            headers["Authorization"] = token
        url = f"{configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        # The transport writes every */*+json itself; JSON is YAML, and bytes it passes on as they are.
        payload: Any = body
        if headers[_CONTENT_TYPE] == PatchType.APPLY.value:
            payload = json.dumps(body).encode()
        try:
            response = self._api.rest_client.request(
                method, url, headers=headers, body=payload, _request_timeout=self._timeout
            )
            return response.status, response.read() or b""
        except (sdk.ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            # The transport raises an ApiException for TLS failures only; answers come back with their status.
            raise ClusterUnavailableError(
                f"{method} {path}",
                self.name,
                f"an answer from {configuration.host}",
                _reason(error),
                self._out_of_reach,
            ) from None


def _items(found: Manifest | None, api_version: str, kind: str) -> list[Manifest]:
    items: list[Manifest] = [] if found is None else found.get("items") or []
    # Items of a list do not say what they are, or that they are metadata; here they do.
    return [{**item, "apiVersion": api_version, "kind": kind} for item in items]


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return f"{type(reason).__name__}: {reason}"[:300]


def _write_query(mode: ApplyMode) -> dict[str, str]:
    query = {"fieldManager": FIELD_MANAGER}
    return {**query, "dryRun": "All"} if mode is ApplyMode.SERVER_DRY_RUN else query
