"""What `create-prerequisites` would do: steps in order, what is there already, and what stops it.

The plan never deletes, disables or replaces. Something of the wanted name that is on its way out, cannot be
used, or could not be read stops the whole plan, so that no twin is made.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

from tasks.core.errors import InputError
from tasks.core.iam.principals import Principal
from tasks.core.iam.requirements import Role
from tasks.core.prerequisites.assembling import TenancyReadings
from tasks.core.prerequisites.authorities import LEAF_VALIDITY
from tasks.core.prerequisites.findings import Status
from tasks.core.prerequisites.objects import ARRIVING, LEAVING
from tasks.core.prerequisites.periods import shortest_length
from tasks.core.prerequisites.readings import (
    AuthorityFacts,
    CertificateFacts,
    KeyFacts,
    NotSeen,
    Unread,
    VaultFacts,
)
from tasks.core.prerequisites.rights import plan_rights
from tasks.core.prerequisites.settings import OciGatewayCertificate, PrerequisiteNeeds
from tasks.core.prerequisites.steps import (
    CreateAuthority,
    CreateCertificate,
    CreateKey,
    CreatePolicy,
    CreateVault,
    RaiseLeafRule,
    Step,
)
from tasks.core.prerequisites.vaults import check_key
from tasks.core.prerequisites.wishes import CreationWishes, IamChanges

Facts = VaultFacts | KeyFacts | AuthorityFacts | CertificateFacts


@dataclass(frozen=True)
class CreationPlan:
    """What will be made, in order.

    Attributes:
        place: Tenancy, region and compartment, in words.
        steps: The steps; each may need the ones before it.
        existing: What is there already and will be used.
        blockers: What stops the plan; with any of these nothing is made.
        left: Policy statements that are missing and that somebody else has to add.
    """

    place: str
    steps: tuple[Step, ...]
    existing: tuple[str, ...]
    blockers: tuple[str, ...]
    left: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 over all of it: a decision about one plan is no decision about another."""
        content = {
            "place": self.place,
            "steps": [{"kind": type(step).__name__, **asdict(step)} for step in self.steps],
            "existing": self.existing,
            "blockers": self.blockers,
            "left": self.left,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass
class _Draft:
    steps: list[Step]
    existing: list[str]
    blockers: list[str]


def plan_creation(
    place: str,
    readings: TenancyReadings,
    needs: PrerequisiteNeeds,
    principals: dict[Role, Principal],
    wishes: CreationWishes,
) -> CreationPlan:
    """Compare what was read with what is needed.

    Rights come first: an authority whose right to use the key is missing ends as FAILED.
    """
    rights = plan_rights(readings.policies, principals)
    create_rights = wishes.iam is IamChanges.CREATE
    draft = _Draft([], [], [])
    if create_rights:
        draft.steps += rights.steps
        draft.blockers += rights.blockers
    new_vault = _plan_vault(draft, readings, needs, wishes)
    new_key = _plan_key(draft, readings, needs, wishes, new_vault=new_vault)
    _plan_authority(draft, readings, needs, wishes, new_key=new_key)
    if isinstance(needs.gateway, OciGatewayCertificate):
        _plan_certificate(draft, readings, needs.gateway, wishes)
    left = () if create_rights else rights.statements
    return CreationPlan(place, tuple(draft.steps), tuple(draft.existing), tuple(draft.blockers), left)


def is_arriving(reading: Facts | NotSeen | Unread | None) -> bool:
    """Whether something that was read becomes usable by itself, as after a run that was killed."""
    return isinstance(reading, Facts) and reading.lifecycle_state in ARRIVING


def render_plan(plan: CreationPlan) -> str:
    """The plan for the person who decides."""
    rows = [
        f"| {number} | {_cell(step.description)} | {step.cost} | {step.undo} |"
        for number, step in enumerate(plan.steps, start=1)
    ]
    head = "| | will be made | cost | undone by |\n|---|---|---|---|"
    parts = [
        f"# Prerequisites to create in {plan.place}",
        f"Plan `{plan.digest[:16]}`. Nothing is deleted, disabled or replaced.",
        f"{head}\n" + "\n".join(rows) if rows else "Nothing has to be made.",
    ]
    parts += [
        _statements(f"Statements of the policy {step.name}", step.statements)
        for step in plan.steps
        if isinstance(step, CreatePolicy)
    ]
    parts += (
        [_statements("Left to somebody else: statements that are missing", plan.left)] if plan.left else []
    )
    parts += [_list("Already there, will be used", plan.existing)] if plan.existing else []
    parts += [_list("**Stops the plan**", plan.blockers)] if plan.blockers else []
    return "\n\n".join(parts) + "\n"


def _plan_vault(
    draft: _Draft, readings: TenancyReadings, needs: PrerequisiteNeeds, wishes: CreationWishes
) -> bool:
    if not _is_to_be_made("vault", needs.vault, readings.vault, "ACTIVE", draft):
        return False
    draft.steps.append(CreateVault(needs.vault, wishes.vault_kind))
    return True


def _plan_key(
    draft: _Draft,
    readings: TenancyReadings,
    needs: PrerequisiteNeeds,
    wishes: CreationWishes,
    *,
    new_vault: bool,
) -> bool:
    reading = NotSeen(f"the key {needs.key}", "the new vault", 0) if new_vault else readings.key
    if isinstance(reading, KeyFacts):
        unfit = [finding for finding in check_key(reading) if finding.status is Status.FAIL]
        draft.blockers += [f"key {reading.name}: {finding.reason}. {finding.fix}" for finding in unfit]
    if not _is_to_be_made("key", needs.key, reading, "ENABLED", draft):
        return False
    draft.steps.append(CreateKey(needs.key, wishes.key_bits))
    return True


def _plan_authority(
    draft: _Draft,
    readings: TenancyReadings,
    needs: PrerequisiteNeeds,
    wishes: CreationWishes,
    *,
    new_key: bool,
) -> None:
    reading = readings.authority
    name = needs.certificate_authority
    if _is_to_be_made("certificate authority", name, reading, "ACTIVE", draft):
        draft.steps.append(
            CreateAuthority(name, wishes.authority_common_name, wishes.authority_days, wishes.leaf_days)
        )
    if not isinstance(reading, AuthorityFacts):
        return
    if new_key or (isinstance(readings.key, KeyFacts) and reading.key_id != readings.key.id):
        draft.blockers.append(
            f"certificate authority {reading.name} uses another key ({reading.key_id}): name that key, "
            "or another authority"
        )
    if _leaf_rule_is_short(reading):
        draft.steps.append(RaiseLeafRule(reading.id, reading.name, wishes.leaf_days))


def _plan_certificate(
    draft: _Draft, readings: TenancyReadings, gateway: OciGatewayCertificate, wishes: CreationWishes
) -> None:
    reading = readings.certificate or Unread(
        f"the certificate {gateway.certificate}", "it was not looked for"
    )
    if _is_to_be_made("certificate", gateway.certificate, reading, "ACTIVE", draft):
        draft.steps.append(
            CreateCertificate(gateway.certificate, tuple(gateway.hosts), wishes.certificate_days)
        )


def _is_to_be_made(
    kind: str, wanted: str, reading: Facts | NotSeen | Unread, good: str, draft: _Draft
) -> bool:
    """Whether an object is certainly absent; otherwise it is noted as existing or as a blocker."""
    if isinstance(reading, Unread):
        draft.blockers.append(f"{reading.what} could not be read: {reading.reason}")
        return False
    if isinstance(reading, NotSeen):
        if wanted.startswith("ocid1."):
            draft.blockers.append(f"{reading.what} is not there, and OCIDs cannot be chosen: give a name")
            return False
        if reading.visible is None:
            draft.blockers.append(f"{reading.what} may exist without being visible: a twin would be made")
            return False
        return True
    state = reading.lifecycle_state
    if state in LEAVING:
        draft.blockers.append(
            f"{kind} {reading.name} ({reading.id}) is in {state}: cancel its deletion, or choose another name"
        )
    elif state not in (good, "UPDATING"):
        draft.blockers.append(f"{kind} {reading.name} ({reading.id}) is in {state}")
    else:
        draft.existing.append(f"{kind} {reading.name} ({reading.id})")
    return False


def _leaf_rule_is_short(authority: AuthorityFacts) -> bool:
    if authority.leaf_validity is None:
        return False
    try:
        return shortest_length(authority.leaf_validity) < LEAF_VALIDITY
    except InputError:
        return False


def _list(title: str, lines: tuple[str, ...]) -> str:
    return f"{title}:\n\n" + "\n".join(f"* {_cell(line)}" for line in lines)


def _statements(title: str, statements: tuple[str, ...]) -> str:
    lines = "\n".join(statements)
    return f"{title}:\n\n```text\n{lines}\n```"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
