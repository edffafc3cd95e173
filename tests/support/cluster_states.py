"""What a cluster holds, without what differs between two clusters that went through the same.

Kept are all objects of all kinds but those that only tell what happened (events, leases) or follow from
another kind (pods from Deployments, endpoints from Services), with every field that a person or a program
decided on. Replaced are names that the API server made up, identities, times, addresses and certificates.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tasks.clients.cluster import ClusterClient
from tasks.core.manifests import Manifest

State = Mapping[str, Any]
"""Scrubbed objects by kind and name; several with the same made-up name are numbered."""

_TELLING = frozenset({"Event", "Lease", "Node", "CSINode", "PackageManifest", "ComponentStatus"})
_FOLLOWING = frozenset({"Pod", "ReplicaSet", "Endpoints", "EndpointSlice", "IPAddress"})
_DROPPED_FIELDS = frozenset(
    {
        "uid",
        "resourceVersion",
        "generation",
        "observedGeneration",
        "creationTimestamp",
        "managedFields",
        # Diaries: their last entry is repeated in the status beside them.
        "conditions",
        # Hashes over certificates, which are different everywhere.
        "olmcahash",
        "olm.deployment-spec-hash",
    }
)
_ORDERLESS_FIELDS = frozenset({"rules", "clusterRoleSelectors"})
"""Lists that OLM 0.20 and the aggregation of cluster roles write in the order of a Go map."""
_SCRUBBED = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<uid>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]+"), "<pem>"),
    (re.compile(r"-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\n?"), "<pem>"),
    (re.compile(r"\b(127|10)\.\d+\.\d+\.\d+(:\d+)?"), "<address>"),
)


def state_of(client: ClusterClient) -> State:
    """Read and scrub everything that a cluster holds."""
    return scrubbed(read_everything(client))


def read_everything(client: ClusterClient) -> Iterator[Manifest]:
    """Every object of every kind that can be listed and is compared."""
    for version, path in _served_versions(client):
        for resource in (client.read_path(path) or {})["resources"]:
            kind = resource["kind"]
            if (
                "list" in resource["verbs"]
                and "/" not in resource["name"]
                and kind not in _TELLING | _FOLLOWING
            ):
                yield from client.list_objects(version, kind)


def scrubbed(objects: Iterable[Manifest]) -> State:
    """The objects by kind and name, without what is different in every cluster."""
    # The API server's own Service names the port that this one happens to listen on.
    known = [each for each in objects if each["metadata"]["name"] != "kubernetes"]
    made_up = {
        each["metadata"]["name"]: f"{each['metadata']['generateName']}<made-up>"
        for each in known
        if each["metadata"].get("generateName")
    }
    scrub = _Scrubber(made_up)
    counted: Counter[str] = Counter()
    state = {}
    for each in sorted(known, key=lambda item: scrub.text(str(item["metadata"]["name"]))):
        metadata = each["metadata"]
        name = f"{each['kind']} {metadata.get('namespace', '')}/{scrub.text(metadata['name'])}"
        counted[name] += 1
        state[f"{name} #{counted[name]}"] = scrub.value(each)
    return state


def differences_between(one: State, other: State) -> list[str]:
    """Object and field of everything that is not the same in two states, for people to read."""
    lines = []
    for name in sorted({*one, *other}):
        lines += [f"{name}: {path}" for path in _paths(one.get(name), other.get(name), "")]
    return lines


class _Scrubber:
    def __init__(self, made_up: Mapping[str, str]) -> None:
        self._made_up = made_up
        # The longest name first: a pod's name begins with that of its ReplicaSet.
        names = sorted(map(re.escape, made_up), key=len, reverse=True)
        self._names = re.compile("|".join(names)) if names else None

    def text(self, text: str) -> str:
        if self._names is not None:
            text = self._names.sub(lambda found: self._made_up[found[0]], text)
        for pattern, replacement in _SCRUBBED:
            text = pattern.sub(replacement, text)
        return text

    def value(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        match value:
            case dict():
                kept = {key: self.value(each) for key, each in value.items() if key not in _DROPPED_FIELDS}
                orderless = {
                    key: sorted(kept[key] or [], key=repr) for key in _ORDERLESS_FIELDS & kept.keys()
                }
                return {self.text(key): each for key, each in {**kept, **orderless}.items()}
            case list():
                return [self.value(inner) for inner in value]
            case str():
                return self.text(value)
            case _:
                return value


def _served_versions(client: ClusterClient) -> Iterator[tuple[str, str]]:
    yield "v1", "/api/v1"
    for group in (client.read_path("/apis") or {})["groups"]:
        version = group["preferredVersion"]["groupVersion"]
        yield version, f"/apis/{version}"


def _paths(one: Any, other: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - JSON
    match one, other:
        case dict(), dict():
            for key in sorted({*one, *other}):
                yield from _paths(one.get(key), other.get(key), f"{path}.{key}")
        case list(), list() if len(one) == len(other):
            for index, (left, right) in enumerate(zip(one, other, strict=True)):
                yield from _paths(left, right, f"{path}[{index}]")
        case _ if one != other:
            yield f"{path}: {_short(one)} | {_short(other)}"


def _short(value: Any) -> str:  # noqa: ANN401 - JSON
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:120]}…"
