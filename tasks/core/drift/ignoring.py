"""What a person decided not to be told about: by object and JSON pointer, with a reason, until a date."""

from collections.abc import Iterable
from datetime import date
from fnmatch import fnmatchcase

from pydantic import BaseModel, Field

from tasks.core.drift.items import DATA, DriftItem
from tasks.core.drift.owners import segments


class IgnoreRule(BaseModel):
    """One rule. It ends by itself, so that nothing is ignored for ever because of one hurried day."""

    model_config = DATA

    cluster: str = Field(
        default="*",
        title="Cluster",
        description="Name of the cluster; * and ? as in file names.",
        min_length=1,
    )
    object: str = Field(
        title="Object",
        description="Kind and name as in reports, such as 'Deployment olm/olm-operator'; * and ? work.",
        min_length=1,
    )
    pointer: str = Field(
        default="",
        title="JSON pointer",
        pattern=r"^(/.*)?$",
        description="The field and everything below it, such as /spec/replicas; a segment may be *. Empty: "
        "the whole object.",
    )
    reason: str = Field(title="Reason", description="Why it is ignored; reports show it.", min_length=3)
    until: date = Field(title="Until", description="The last day on which it is ignored (UTC).")

    def covers(self, cluster: str, item: DriftItem, today: date) -> bool:
        """Whether an item is to be left out today."""
        return (
            today <= self.until
            and fnmatchcase(cluster, self.cluster)
            and fnmatchcase(str(item.ref), self.object)
            and _below(segments(self.pointer), segments(item.field))
        )


class IgnoredItem(BaseModel):
    """An item that a rule leaves out, and the rule."""

    model_config = DATA

    item: DriftItem = Field(description="What was found")
    rule: IgnoreRule = Field(description="Why it is not reported")


def ignore(
    cluster: str, items: Iterable[DriftItem], rules: Iterable[IgnoreRule], today: date
) -> tuple[tuple[DriftItem, ...], tuple[IgnoredItem, ...]]:
    """Split items into those that are reported and those that a rule leaves out."""
    listed, reported, ignored = list(rules), [], []
    for item in items:
        rule = next((one for one in listed if one.covers(cluster, item, today)), None)
        if rule is None:
            reported.append(item)
        else:
            ignored.append(IgnoredItem(item=item, rule=rule))
    return tuple(reported), tuple(ignored)


def _below(rule: tuple[str, ...], pointer: tuple[str, ...]) -> bool:
    if len(rule) > len(pointer):
        return False
    return all(wanted in ("*", found) for wanted, found in zip(rule, pointer, strict=False))
