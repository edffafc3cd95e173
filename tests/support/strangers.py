"""Somebody who changes objects under a name of their own, as people and tools do, and puts them back."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kubernetes import client as sdk

from tasks.clients.cluster import ClusterClient
from tasks.clients.polling import deadline_after, wait_for
from tasks.core.drift.owners import segments
from tasks.core.manifests import Manifest, ObjectRef, ref_of

STRANGER = "mallory"
"""The field manager of every change."""
_PATIENCE = timedelta(minutes=2)
_MADE_BY_SERVER = ("uid", "resourceVersion", "managedFields", "creationTimestamp", "generation", "selfLink")


@dataclass(frozen=True)
class Stranger:
    """Writes as somebody else.

    Attributes:
        client: An administrator's, which reads and puts back.
        api: The official client of the same administrator, which lets a writer choose its name.
    """

    client: ClusterClient
    api: sdk.ApiClient

    @contextmanager
    def patched(self, ref: ObjectRef, *changes: tuple[str, Any], status: bool = False) -> Iterator[None]:
        """Set fields by JSON pointer while the block runs; None removes one."""
        before = self._read(ref)
        self._patch(ref, [_operation(before, pointer, value) for pointer, value in changes], status=status)
        try:
            yield
        finally:
            back = [(pointer, _at(before, pointer)) for pointer, _ in reversed(changes)]
            operations = [_operation(self._read(ref), pointer, value) for pointer, value in back]
            self._patch(ref, operations, status=status)

    def changes(self, ref: ObjectRef, *changes: tuple[str, Any]) -> None:
        """Set fields by JSON pointer, and leave it so; None removes one."""
        before = self._read(ref)
        self._patch(ref, [_operation(before, pointer, value) for pointer, value in changes], status=False)

    @contextmanager
    def deleted(self, ref: ObjectRef) -> Iterator[None]:
        """Delete an object while the block runs."""
        before = self._read(ref)
        self.client.delete(ref)
        self._wait_until_gone(ref)
        try:
            yield
        finally:
            made = self.client.create(_as_written(before))
            if ref.api_version.startswith("operators.coreos.com/") and "status" in before:
                # OLM, which would write it, is stopped.
                self.client.replace({**made, "status": before["status"]}, subresource="status")

    @contextmanager
    def made(self, manifest: Manifest) -> Iterator[None]:
        """Create an object while the block runs."""
        resource = self.client.resource_type(manifest["apiVersion"], manifest["kind"])
        self._send("POST", resource.path(manifest["metadata"].get("namespace", "")), manifest)
        try:
            yield
        finally:
            self.client.delete(ref_of(manifest))
            self._wait_until_gone(ref_of(manifest))

    def _read(self, ref: ObjectRef) -> Manifest:
        found = self.client.get(ref)
        assert found is not None, f"no {ref}"
        return found

    def _patch(self, ref: ObjectRef, operations: list[Mapping[str, Any]], *, status: bool) -> None:
        path = self.client.resource_type(ref.api_version, ref.kind).path(ref.namespace, ref.name)
        self._send("PATCH", f"{path}/status" if status else path, operations)

    def _send(self, method: str, path: str, body: Any) -> None:  # noqa: ANN401 - JSON
        kind = "application/json-patch+json" if method == "PATCH" else "application/json"
        configuration = self.api.configuration
        headers = {"Content-Type": kind, "Accept": "application/json"}
        for name in ("authorization", "BearerToken"):
            token = configuration.get_api_key_with_prefix(name)
            if token:
                headers["Authorization"] = token
        url = f"{configuration.host}{path}?fieldManager={STRANGER}"
        answer = self.api.rest_client.request(method, url, headers=headers, body=body)
        assert answer.status in (200, 201), f"{method} {path}: {answer.read()!r}"

    def _wait_until_gone(self, ref: ObjectRef) -> None:
        left = wait_for(lambda: self.client.get(ref), lambda live: live is None, deadline_after(_PATIENCE))
        assert left is None


def copy_of(live: Manifest, **metadata: str) -> Manifest:
    """A manifest that makes a second object like one that is there."""
    written = _as_written(live)
    kept = {key: value for key, value in written["metadata"].items() if key != "generateName"}
    return {**written, "metadata": {**kept, **metadata}}


def _as_written(live: Manifest) -> Manifest:
    metadata = {key: value for key, value in live["metadata"].items() if key not in _MADE_BY_SERVER}
    written = {key: value for key, value in live.items() if key != "status"}
    return json.loads(json.dumps({**written, "metadata": metadata}))  # type: ignore[no-any-return]  # JSON


def _operation(live: Manifest, pointer: str, value: Any) -> Mapping[str, Any]:  # noqa: ANN401 - JSON
    if value is None:
        return {"op": "remove", "path": pointer}
    present = _at(live, pointer) is not None
    return {"op": "replace" if present else "add", "path": pointer, "value": value}


def _at(live: Manifest, pointer: str) -> Any:  # noqa: ANN401 - JSON
    value: Any = live
    for segment in segments(pointer):
        if isinstance(value, list):
            value = value[int(segment)] if segment.isdigit() and int(segment) < len(value) else None
        else:
            value = (value or {}).get(segment)
    return value
