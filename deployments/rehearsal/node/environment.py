"""The environment variables and the command of a container (Kubernetes API reference, EnvVar)."""

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tasks.core.manifests import Manifest, ObjectRef

ReadObject = Callable[[ObjectRef], Manifest | None]
"""Reads one object of the cluster; None when there is none."""

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# $(NAME) is replaced, $$(NAME) is the text $(NAME) (k8s.io/kubernetes third_party/forked/golang/expansion).
_REFERENCE = re.compile(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")


class ContainerConfigError(Exception):
    """The container cannot be created as it stands; the text is what a kubelet says about it."""


def resolve_environment(
    container: Mapping[str, Any], pod: Manifest, base: Mapping[str, str], read: ReadObject
) -> dict[str, str]:
    """All variables of a container: `base`, then envFrom, then env, which may refer to what came before.

    Raises:
        ContainerConfigError: A Secret, a ConfigMap or a key that is not optional is missing.
    """
    namespace = pod["metadata"]["namespace"]
    environment = dict(base)
    for source in container.get("envFrom") or []:
        environment.update(_all_keys(source, namespace, read))
    for variable in container.get("env") or []:
        if "value" in variable or "valueFrom" not in variable:
            environment[variable["name"]] = expand(variable.get("value") or "", environment)
            continue
        value = _value_from(variable["valueFrom"], pod, read)
        if value is not None:
            environment[variable["name"]] = value
    return environment


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace `$(NAME)`; a name that is not known stays as it stands."""

    def replacement(match: re.Match[str]) -> str:
        if match.group(1) is None:
            return "$"
        return environment.get(match.group(1), match.group(0))

    return _REFERENCE.sub(replacement, text)


def expand_all(texts: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Replace `$(NAME)` in a command or in arguments."""
    return tuple(expand(text, environment) for text in texts)


def field_value(pod: Manifest, path: str) -> str:
    """What the downward API says for a fieldPath.

    Raises:
        ContainerConfigError: It is not one that the rehearsal knows.
    """
    if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        values = pod["metadata"].get(match.group(1)) or {}
        return str(values.get(match.group(2), ""))
    current: Any = pod
    for part in path.split("."):
        current = current.get(part) if isinstance(current, dict) else None
    if current is None or isinstance(current, dict | list):
        raise ContainerConfigError(f"unsupported fieldPath: {path}")
    return str(current)


def object_data(manifest: Manifest) -> dict[str, bytes]:
    """The content of a Secret or a ConfigMap by key."""
    encoded = manifest.get("data") or {}
    if manifest["kind"] == "Secret":
        return {key: base64.b64decode(value) for key, value in encoded.items()}
    binary = {key: base64.b64decode(value) for key, value in (manifest.get("binaryData") or {}).items()}
    return {**{key: value.encode() for key, value in encoded.items()}, **binary}


def _value_from(source: Mapping[str, Any], pod: Manifest, read: ReadObject) -> str | None:
    if "fieldRef" in source:
        return field_value(pod, source["fieldRef"]["fieldPath"])
    for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
        if field in source:
            return _one_key(kind, source[field], pod["metadata"]["namespace"], read)
    raise ContainerConfigError(f"unsupported valueFrom: {', '.join(source)}")


def _one_key(kind: str, reference: Mapping[str, Any], namespace: str, read: ReadObject) -> str | None:
    found = read(ObjectRef("v1", kind, reference["name"], namespace))
    optional = bool(reference.get("optional"))
    if found is None:
        if optional:
            return None
        raise ContainerConfigError(_missing(kind, reference["name"]))
    value = object_data(found).get(reference["key"])
    if value is None and not optional:
        place = f"{kind} {namespace}/{reference['name']}"
        raise ContainerConfigError(f"couldn't find key {reference['key']} in {place}")
    return None if value is None else value.decode(errors="replace")


def _all_keys(source: Mapping[str, Any], namespace: str, read: ReadObject) -> Iterator[tuple[str, str]]:
    kind, reference = (
        ("Secret", source["secretRef"]) if "secretRef" in source else ("ConfigMap", source["configMapRef"])
    )
    found = read(ObjectRef("v1", kind, reference["name"], namespace))
    if found is None:
        if reference.get("optional"):
            return
        raise ContainerConfigError(_missing(kind, reference["name"]))
    for key, value in object_data(found).items():
        yield source.get("prefix", "") + key, value.decode(errors="replace")


def _missing(kind: str, name: str) -> str:
    return f'{kind.lower()} "{name}" not found'
