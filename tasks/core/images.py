"""Which images manifests make the nodes of a cluster pull (R5, R6)."""

from collections.abc import Iterable, Iterator
from typing import Any

from tasks.core.manifests import Manifest

_WITH_TEMPLATE = frozenset({"Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "Job"})
_RELATED = "RELATED_IMAGE_"
"""Operators are told by environment variables of such names which images they start later (operator-sdk)."""
_FLAG_END = "image"
"""OLM's programs get the images of their jobs as flags: -util-image, --opmImage, -configmapServerImage."""


def images_of(manifests: Iterable[Manifest]) -> tuple[str, ...]:
    """The images that the manifests name, each once, in their order.

    Looked at are the containers of workloads and of a ClusterServiceVersion's deployments, its relatedImages,
    the image of a CatalogSource, and what containers are told to start others from: flags whose name ends
    with image, and variables RELATED_IMAGE_…. An image that a program has compiled in stands in no manifest.
    """
    return tuple(dict.fromkeys(image for manifest in manifests for image in _of_object(manifest)))


def _of_object(manifest: Manifest) -> Iterator[str]:
    spec: dict[str, Any] = manifest.get("spec") or {}
    match manifest.get("kind"):
        case "Pod":
            yield from _of_pod(spec)
        case "CronJob":
            yield from _of_template(spec.get("jobTemplate", {}).get("spec") or {})
        case "CatalogSource":
            yield from filter(None, [spec.get("image")])
        case "ClusterServiceVersion":
            for deployment in (spec.get("install", {}).get("spec") or {}).get("deployments") or ():
                yield from _of_template(deployment["spec"])
            yield from (related["image"] for related in spec.get("relatedImages") or ())
        case kind if kind in _WITH_TEMPLATE:
            yield from _of_template(spec)
        case _:
            return


def _of_template(spec: dict[str, Any]) -> Iterator[str]:
    return _of_pod((spec.get("template") or {}).get("spec") or {})


def _of_pod(spec: dict[str, Any]) -> Iterator[str]:
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        yield container["image"]
        yield from _in_flags([*(container.get("command") or ()), *(container.get("args") or ())])
        for variable in container.get("env") or ():
            if variable["name"].startswith(_RELATED) and variable.get("value"):
                yield variable["value"]


def _in_flags(words: list[str]) -> Iterator[str]:
    for position, word in enumerate(words):
        name, separator, value = word.partition("=")
        if not word.startswith("-") or not name.lower().endswith(_FLAG_END):
            continue
        if separator:
            yield value
        elif position + 1 < len(words):
            yield words[position + 1]
