"""Volumes as folders: complete, swapped at once, refreshed."""

import base64
from pathlib import Path
from typing import Any

import pytest

from deployments.rehearsal.node.launching import Bind
from deployments.rehearsal.node.mounting import write_together
from deployments.rehearsal.node.volumes import MountError, PodVolumes
from tasks.core.manifests import Manifest, ObjectRef

Objects = dict[ObjectRef, Manifest]
TLS = ObjectRef("v1", "Secret", "tls", "shop")


def _secret(**data: str) -> Manifest:
    encoded = {
        key.replace("_", "."): base64.b64encode(value.encode()).decode() for key, value in data.items()
    }
    return {"kind": "Secret", "data": encoded}


@pytest.fixture
def objects() -> Objects:
    return {TLS: _secret(tls_crt="cert-1", tls_key="key-1")}


def _volumes(objects: Objects, folder: Path, *volumes: Manifest, **mount: Any) -> PodVolumes:  # noqa: ANN401 - any JSON
    mounts = [{"name": each["name"], "mountPath": f"/{each['name']}", **mount} for each in volumes]
    container = {"name": "c", "volumeMounts": mounts}
    pod = {
        "metadata": {"name": "p", "namespace": "shop"},
        "spec": {"containers": [container], "volumes": list(volumes)},
    }
    return PodVolumes(pod, folder, objects.get, lambda _pod, source: f"token for {source['audience']}")


def _read(folder: Path) -> dict[str, str]:
    return {
        path.name: path.read_text() for path in sorted(folder.iterdir()) if not path.name.startswith("..")
    }


def test_a_secret_becomes_files(objects: Objects, tmp_path: Path) -> None:
    _volumes(objects, tmp_path, {"name": "v", "secret": {"secretName": "tls"}}).write()

    assert _read(tmp_path / "v") == {"tls.crt": "cert-1", "tls.key": "key-1"}


def test_items_choose_keys_and_names(objects: Objects, tmp_path: Path) -> None:
    items = [{"key": "tls.crt", "path": "apiserver.crt"}]

    _volumes(objects, tmp_path, {"name": "v", "secret": {"secretName": "tls", "items": items}}).write()

    assert _read(tmp_path / "v") == {"apiserver.crt": "cert-1"}


def test_a_change_reaches_the_files(objects: Objects, tmp_path: Path) -> None:
    volumes = _volumes(objects, tmp_path, {"name": "v", "secret": {"secretName": "tls"}})
    volumes.write()
    objects[TLS] = _secret(tls_crt="cert-2")

    volumes.write()

    assert _read(tmp_path / "v") == {"tls.crt": "cert-2"}


def test_a_projected_volume_joins_its_sources(objects: Objects, tmp_path: Path) -> None:
    sources = [
        {"serviceAccountToken": {"path": "token", "audience": "api"}},
        {"secret": {"name": "tls", "items": [{"key": "tls.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]

    _volumes(objects, tmp_path, {"name": "v", "projected": {"sources": sources}}).write()

    assert _read(tmp_path / "v") == {"token": "token for api", "ca.crt": "cert-1", "namespace": "shop"}


def test_a_missing_secret_is_said_as_a_kubelet_says_it(objects: Objects, tmp_path: Path) -> None:
    volumes = _volumes(objects, tmp_path, {"name": "cert", "secret": {"secretName": "gone"}})

    with pytest.raises(MountError) as caught:
        volumes.write()

    assert str(caught.value) == 'MountVolume.SetUp failed for volume "cert" : secret "gone" not found'


def test_a_missing_key_is_an_error_unless_optional(objects: Objects, tmp_path: Path) -> None:
    items = [{"key": "gone", "path": "x"}]
    source = {"secretName": "tls", "items": items}

    with pytest.raises(MountError, match="references non-existent secret key: gone"):
        _volumes(objects, tmp_path, {"name": "v", "secret": source}).write()
    _volumes(objects, tmp_path, {"name": "w", "secret": {**source, "optional": True}}).write()
    assert _read(tmp_path / "w") == {}


def test_volumes_that_nobody_mounts_are_ignored(objects: Objects, tmp_path: Path) -> None:
    """The bundle of OSOK has one whose Secret never exists; OLM mounts another in its place."""
    volumes = PodVolumes(
        {
            "metadata": {"name": "p", "namespace": "shop"},
            "spec": {
                "containers": [{"name": "c"}],
                "volumes": [{"name": "v", "secret": {"secretName": "gone"}}],
            },
        },
        tmp_path,
        objects.get,
        lambda _pod, _source: "",
    )

    volumes.write()

    assert volumes.references() == set()


def test_a_folder_of_the_machine_is_not_shown(objects: Objects, tmp_path: Path) -> None:
    volumes = _volumes(objects, tmp_path, {"name": "pki", "hostPath": {"path": "/etc"}})
    volumes.write()

    assert list((tmp_path / "pki").iterdir()) == []


def test_mounts_are_binds_and_a_sub_path_is_one_file(objects: Objects, tmp_path: Path) -> None:
    whole = {"name": "v", "secret": {"secretName": "tls"}}
    volumes = _volumes(objects, tmp_path, whole)
    one_file = {"name": "v", "mountPath": "/c.pem", "subPath": "tls.crt"}
    volumes.write()

    (everything,) = volumes.binds({"volumeMounts": [{"name": "v", "mountPath": "/certs"}]})
    (single,) = volumes.binds({"volumeMounts": [one_file]})

    assert everything == Bind(str(tmp_path / "v"), "/certs", writable=False)
    assert Path(single.source).read_text() == "cert-1"


def test_only_the_pods_own_folders_are_writable(objects: Objects, tmp_path: Path) -> None:
    volumes = _volumes(objects, tmp_path, {"name": "tmp", "emptyDir": {}})
    volumes.write()

    mounts = [
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a mount path
        {"name": "tmp", "mountPath": "/x", "readOnly": True},
    ]
    binds = volumes.binds({"volumeMounts": mounts})

    assert [each.writable for each in binds] == [True, False]


def test_references_name_what_they_are_filled_from(objects: Objects, tmp_path: Path) -> None:
    sources = [{"configMap": {"name": "root"}}, {"secret": {"name": "tls"}}]

    volumes = _volumes(objects, tmp_path, {"name": "v", "projected": {"sources": sources}})

    assert volumes.references() == {TLS, ObjectRef("v1", "ConfigMap", "root", "shop")}


def test_files_change_together(tmp_path: Path) -> None:
    folder = tmp_path / "v"
    write_together(folder, {"a": b"1", "b/c": b"1"})
    before = (folder / "..data").resolve()

    changed = write_together(folder, {"a": b"2", "d": b"2"})

    assert changed
    assert not before.exists()
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith("..")) == ["a", "d"]
    assert (folder / "a").resolve().parent == (folder / "d").resolve().parent


def test_equal_content_is_not_written_again(tmp_path: Path) -> None:
    write_together(tmp_path, {"a": b"1"})
    before = (tmp_path / "..data").resolve()

    assert not write_together(tmp_path, {"a": b"1"})
    assert (tmp_path / "..data").resolve() == before
