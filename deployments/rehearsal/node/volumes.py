"""The volumes of a pod as folders of the machine, filled from the cluster and kept up to date."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from deployments.rehearsal.node.environment import ReadObject, field_value, object_data
from deployments.rehearsal.node.launching import Bind
from deployments.rehearsal.node.mounting import write_together
from tasks.core.manifests import Manifest, ObjectRef

MakeToken = Callable[[Manifest, Mapping[str, Any]], str]
"""Makes a token for a pod by a `serviceAccountToken` source of a projected volume. The result is secret."""


class MountError(Exception):
    """A volume cannot be mounted yet; the text is what a kubelet says about it."""


class PodVolumes:
    """All volumes of one pod.

    Secret, ConfigMap, downwardAPI and projected volumes hold what the cluster has. An emptyDir is a folder
    of the pod's own. So is a hostPath (an empty one): a pod of the rehearsal sees nothing of the machine it
    runs on. Other kinds are refused.

    Args:
        pod: The pod.
        folder: The pod's folder.
        read: Reads objects of the cluster.
        make_token: Makes the tokens of ServiceAccounts.
    """

    def __init__(self, pod: Manifest, folder: Path, read: ReadObject, make_token: MakeToken) -> None:
        self._pod = pod
        self._folder = folder
        self._read = read
        self._make_token = make_token
        self._token_files: dict[str, bytes] = {}

    def references(self) -> set[ObjectRef]:
        """The Secrets and ConfigMaps that they are filled from."""
        return {
            ref
            for volume in self._volumes()
            for source in _sources(volume)
            if (ref := self._reference(source)) is not None
        }

    def write(self) -> None:
        """Bring all of them up to date.

        Raises:
            MountError: An object or a key is missing that is not optional.
            ClusterError: The API server gives no usable answer.
        """
        for volume in self._volumes():
            self._write_one(volume)

    def binds(self, container: Mapping[str, Any]) -> tuple[Bind, ...]:
        """What a container's volumeMounts make visible, outer folders first."""
        kinds = {volume["name"]: volume for volume in self._volumes()}
        mounts = sorted(container.get("volumeMounts") or [], key=lambda each: str(each["mountPath"]))
        return tuple(self._bind(mount, kinds[mount["name"]]) for mount in mounts)

    def _volumes(self) -> list[Mapping[str, Any]]:
        """The volumes that some container mounts; the others are ignored, as a kubelet does."""
        spec = self._pod["spec"]
        containers = [*spec["containers"], *(spec.get("initContainers") or [])]
        used = {mount["name"] for each in containers for mount in each.get("volumeMounts") or []}
        return [volume for volume in spec.get("volumes") or [] if volume["name"] in used]

    def _write_one(self, volume: Mapping[str, Any]) -> None:
        name = volume["name"]
        folder = self._folder / name
        if "emptyDir" in volume or "hostPath" in volume:
            folder.mkdir(parents=True, exist_ok=True)
            return
        files: dict[str, bytes] = {}
        for source in _sources(volume):
            try:
                files.update(self._files(name, source))
            except MountError as error:
                raise MountError(f'MountVolume.SetUp failed for volume "{name}" : {error}') from None
        write_together(folder, files)

    def _files(self, volume: str, source: Mapping[str, Any]) -> dict[str, bytes]:
        if "serviceAccountToken" in source:
            return self._token_file(volume, source["serviceAccountToken"])
        if "downwardAPI" in source:
            items = source["downwardAPI"].get("items") or []
            return {
                item["path"]: field_value(self._pod, item["fieldRef"]["fieldPath"]).encode() for item in items
            }
        reference = self._reference(source)
        if reference is None:
            raise MountError(f"the rehearsal has no volumes of the kind {', '.join(source)}")
        (details,) = source.values()
        return dict(self._keys(reference, details))

    def _keys(self, reference: ObjectRef, details: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
        optional = bool(details.get("optional"))
        found = self._read(reference)
        if found is None:
            if optional:
                return
            raise MountError(f'{reference.kind.lower()} "{reference.name}" not found')
        data = object_data(found)
        if not details.get("items"):
            yield from data.items()
            return
        for item in details["items"]:
            if item["key"] in data:
                yield item["path"], data[item["key"]]
            elif not optional:
                raise MountError(f"references non-existent {reference.kind.lower()} key: {item['key']}")

    def _token_file(self, volume: str, source: Mapping[str, Any]) -> dict[str, bytes]:
        # Made once: the API server extends these tokens to a year, and every request would make another one.
        key = f"{volume}/{source['path']}"
        if key not in self._token_files:
            self._token_files[key] = self._make_token(self._pod, source).encode()
        return {source["path"]: self._token_files[key]}

    def _reference(self, source: Mapping[str, Any]) -> ObjectRef | None:
        namespace = self._pod["metadata"]["namespace"]
        if "secret" in source:
            secret = source["secret"]
            return ObjectRef("v1", "Secret", secret.get("secretName") or secret["name"], namespace)
        if "configMap" in source:
            return ObjectRef("v1", "ConfigMap", source["configMap"]["name"], namespace)
        return None

    def _bind(self, mount: Mapping[str, Any], volume: Mapping[str, Any]) -> Bind:
        source = self._folder / mount["name"]
        if mount.get("subPath"):
            # Resolved once, as a kubelet does: a subPath mount never follows a change.
            source = (source / mount["subPath"]).resolve()
            if not source.exists():
                source.mkdir(parents=True)
        writable = ("emptyDir" in volume or "hostPath" in volume) and not mount.get("readOnly")
        return Bind(str(source), mount["mountPath"], writable)


def _sources(volume: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "projected" in volume:
        yield from volume["projected"].get("sources") or []
        return
    yield {kind: value for kind, value in volume.items() if kind != "name"}
