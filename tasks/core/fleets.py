"""Which clusters of a tenancy become members of a fleet, under which names and with which labels."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from tasks.core.label_selectors import LabelSelector
from tasks.core.markdown import bullets, counted, escaped, table

ACTIVE = "ACTIVE"
REGION_LABEL = "region"
COMPARTMENT_LABEL = "compartment"
TENANCY_LABEL = "tenancy"
_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9_.-]+")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_EDGES = "-_."
_LABEL_LIMIT = 63
_NAME_LIMIT = 60


@dataclass(frozen=True)
class Branch:
    """A compartment and its way down from where a search began, as policies write it (`platform:mesh`)."""

    id: str
    path: str


@dataclass(frozen=True)
class FoundCluster:
    """A cluster as Container Engine lists it.

    Attributes:
        tenancy: Name of the OciTenancy block that it was found with.
        compartment: The path of its compartment.
        public_endpoint: `host:port`; empty where the API has no public address.
        private_endpoint: `host:port` inside its network; empty where there is none.
        tags: Its free-form tags.
        defined_tags: Its defined tags by namespace.
    """

    id: str
    name: str
    state: str
    tenancy: str
    region: str
    compartment: str
    kubernetes_version: str = ""
    public_endpoint: str = ""
    private_endpoint: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    defined_tags: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def labels(self) -> dict[str, str]:
        """Tags as labels (`Operations.CostCenter` for defined ones), and where the cluster is."""
        defined = {
            f"{namespace}.{key}": str(value)
            for namespace, tags in self.defined_tags.items()
            for key, value in tags.items()
        }
        place = {
            TENANCY_LABEL: self.tenancy,
            REGION_LABEL: self.region,
            COMPARTMENT_LABEL: self.compartment.rpartition(":")[2],
        }
        raw = {**defined, **self.tags, **place}
        return {key: _label(value) for name, value in raw.items() if (key := _label(name))}


@dataclass(frozen=True)
class Wanted:
    """Which clusters are looked for: a name with `*` and `?`, and labels."""

    name_pattern: str
    selector: LabelSelector

    def includes(self, cluster: FoundCluster) -> bool:
        """Whether a cluster is meant."""
        return fnmatchcase(cluster.name, self.name_pattern) and self.selector.matches(cluster.labels)


@dataclass(frozen=True)
class Member:
    """A cluster under the name that its block and every report give it."""

    name: str
    cluster: FoundCluster


@dataclass(frozen=True)
class Discovery:
    """What was found.

    Attributes:
        members: The active clusters that were looked for.
        set_aside: Those that are not active.
        others: How many active clusters were not looked for.
        unread: What could not be read, in words; then members may be missing.
    """

    members: tuple[Member, ...]
    set_aside: tuple[FoundCluster, ...]
    others: int
    unread: tuple[str, ...]


def choose_members(
    found: Iterable[FoundCluster], wanted: Wanted, names: Mapping[str, str], unread: Iterable[str] = ()
) -> Discovery:
    """Choose members and name them.

    Args:
        found: All clusters; one that was found twice counts once.
        wanted: Which ones are meant.
        names: Names by OCID that clusters have already; they keep them, and nobody else gets them.
        unread: What could not be read.
    """
    distinct = list({cluster.id: cluster for cluster in found}.values())
    meant = [cluster for cluster in distinct if wanted.includes(cluster)]
    active = sorted((cluster for cluster in meant if cluster.state == ACTIVE), key=_order)
    chosen = _named(active, names)
    return Discovery(
        members=tuple(Member(chosen[cluster.id], cluster) for cluster in active),
        set_aside=tuple(sorted((cluster for cluster in meant if cluster.state != ACTIVE), key=_order)),
        others=len(distinct) - len(meant),
        unread=tuple(unread),
    )


def render_discovery(fleet: str, discovery: Discovery, saved: str) -> str:
    """The artifact: members, clusters set aside, and what could not be read."""
    parts = [
        f"# Fleet {escaped(fleet)}: {counted(len(discovery.members), 'cluster')}\n",
        f"{escaped(saved)}\n",
    ]
    if discovery.unread:
        parts += ["**Not read, so that clusters may be missing:**\n", bullets(discovery.unread)]
    headers = ("Name", "Region", "Compartment", "Kubernetes", "Endpoints", "Labels", "OCID")
    parts.append(table(headers, map(_member_row, discovery.members)))
    if discovery.set_aside:
        rows = [(each.name, each.region, each.state, each.id) for each in discovery.set_aside]
        parts += ["## Not active, left out\n", table(("Name", "Region", "State", "OCID"), rows)]
    parts.append(f"{discovery.others} other clusters were not looked for.\n")
    return "\n".join(parts)


def _member_row(member: Member) -> tuple[str, ...]:
    cluster = member.cluster
    endpoints = ("public" * bool(cluster.public_endpoint), "private" * bool(cluster.private_endpoint))
    labels = ", ".join(f"{key}={value}" for key, value in sorted(cluster.labels.items()))
    return (
        member.name,
        cluster.region,
        cluster.compartment,
        cluster.kubernetes_version,
        ", ".join(filter(None, endpoints)) or "none",
        labels,
        cluster.id,
    )


def _named(clusters: list[FoundCluster], names: Mapping[str, str]) -> dict[str, str]:
    """Names by OCID: the cluster's own; where others have it too, with region, then with the OCID's end."""
    chosen = {cluster.id: names[cluster.id] for cluster in clusters if cluster.id in names}
    waiting = [cluster for cluster in clusters if cluster.id not in chosen]
    taken = set(names.values())
    for parts in (1, 2, 3):
        candidates = {cluster.id: _block_name(cluster, parts) for cluster in waiting}
        counted = Counter(candidates.values())
        for cluster in waiting:
            candidate = candidates[cluster.id]
            if counted[candidate] == 1 and candidate not in taken:
                chosen[cluster.id] = candidate
        taken |= set(candidates.values())
        waiting = [cluster for cluster in waiting if cluster.id not in chosen]
    # The end of an OCID is unique in practice; the whole of it is by definition.
    return {**chosen, **{cluster.id: _NOT_IN_NAMES.sub("-", cluster.id.lower()) for cluster in waiting}}


def _block_name(cluster: FoundCluster, parts: int) -> str:
    """A name that Prefect allows for a block: lower-case letters, digits and dashes."""
    words = (cluster.name, cluster.region, cluster.id[-6:])[:parts]
    return _NOT_IN_NAMES.sub("-", "-".join(words).lower())[-_NAME_LIMIT:].strip("-") or "cluster"


def _label(text: str) -> str:
    """Text as a label's key or value: other characters become dashes."""
    return _NOT_IN_LABELS.sub("-", text).strip(_EDGES)[:_LABEL_LIMIT].strip(_EDGES)


def _order(cluster: FoundCluster) -> tuple[str, str, str]:
    return cluster.region, cluster.name, cluster.id
