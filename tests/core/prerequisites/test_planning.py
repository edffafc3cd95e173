"""R24-R28: what create-prerequisites would make, and what stops it."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from tasks.core.iam.compartments import Compartment, Lineage
from tasks.core.iam.evaluation import PolicyWorld
from tasks.core.iam.principals import Directory, DynamicGroup, Principal
from tasks.core.iam.requirements import Role
from tasks.core.prerequisites.assembling import TenancyReadings, principals_of
from tasks.core.prerequisites.control_plane import ControlPlaneProbe, Reach
from tasks.core.prerequisites.findings import Check, CheckGroup
from tasks.core.prerequisites.planning import CreationPlan, is_arriving, plan_creation, render_plan
from tasks.core.prerequisites.readings import (
    AuthorityFacts,
    CertificateFacts,
    KeyFacts,
    NotSeen,
    Unread,
    VaultFacts,
)
from tasks.core.prerequisites.settings import (
    NoGateway,
    OciGatewayCertificate,
    OperatorUser,
    PrerequisiteNeeds,
)
from tasks.core.prerequisites.steps import (
    CreateAuthority,
    CreateCertificate,
    CreateDynamicGroup,
    CreateKey,
    CreatePolicy,
    CreateVault,
    RaiseLeafRule,
)
from tasks.core.prerequisites.wishes import CreationWishes, IamChanges, VaultKind
from tests.core.prerequisites.facts import AUTHORITY, CERTIFICATE, KEY, VAULT

HOST = "shop.example.com"
NEEDS = PrerequisiteNeeds(
    vault="mesh",
    key="mesh",
    certificate_authority="mesh",
    gateway=OciGatewayCertificate(certificate="gateway", hosts=[HOST]),
)
WISHES = CreationWishes()
WITH_RIGHTS = CreationWishes(iam=IamChanges.CREATE)
PRINCIPALS = principals_of(NEEDS.operator, "m")
LINEAGE = Lineage((Compartment("t", "acme"), Compartment("m", "mesh")))
NO_RIGHTS = PolicyWorld(LINEAGE, (), Directory())


def absent(what: str, visible: int | None = 0) -> NotSeen:
    return NotSeen(what, "the compartment m", visible)


COMPLETE = TenancyReadings(
    access=Check(CheckGroup.ACCESS, "R23", "sign in", "").passed(),
    policies=NO_RIGHTS,
    vault=VAULT,
    key=KEY,
    authority=AUTHORITY,
    certificate=CERTIFICATE,
    control_plane=ControlPlaneProbe("servicemesh", Reach.NO_SUCH_NAME),
)
EMPTY = replace(
    COMPLETE,
    vault=absent("the vault mesh"),
    key=Unread("the key mesh", "its vault was not read"),
    authority=absent("the certificate authority mesh"),
    certificate=absent("the certificate gateway"),
)


def plan(
    readings: TenancyReadings,
    wishes: CreationWishes = WISHES,
    needs: PrerequisiteNeeds = NEEDS,
    principals: dict[Role, Principal] = PRINCIPALS,
) -> CreationPlan:
    return plan_creation("acme in eu-frankfurt-1, m", readings, needs, principals, wishes)


def test_a_complete_tenancy_needs_nothing() -> None:
    made = plan(COMPLETE)

    assert (made.steps, made.blockers) == ((), ())
    assert made.existing == (
        f"vault mesh ({VAULT.id})",
        f"key mesh ({KEY.id})",
        f"certificate authority mesh ({AUTHORITY.id})",
        f"certificate gateway ({CERTIFICATE.id})",
    )


def test_an_empty_compartment_gets_everything_in_order() -> None:
    made = plan(EMPTY)

    assert made.blockers == ()
    assert made.steps == (
        CreateVault("mesh", VaultKind.DEFAULT),
        CreateKey("mesh", 2048),
        CreateAuthority("mesh", "Service Mesh Root CA", 3650, 90),
        CreateCertificate("gateway", (HOST,), 90),
    )


def test_rights_come_before_the_authority_that_needs_them() -> None:
    made = plan(EMPTY, WITH_RIGHTS)

    assert [type(step) for step in made.steps][:3] == [CreateDynamicGroup, CreatePolicy, CreateVault]
    group, policy = made.steps[:2]
    assert group == CreateDynamicGroup("osok-nodes", "ANY {instance.compartment.id = 'm'}")
    assert isinstance(policy, CreatePolicy)
    assert (
        "Allow dynamic-group osok-nodes to manage service-mesh-family in compartment mesh"
        in policy.statements
    )


def test_a_dynamic_group_that_fits_is_used() -> None:
    group = DynamicGroup("dg", "nodes", "instance.compartment.id = 'm'")
    readings = replace(EMPTY, policies=replace(NO_RIGHTS, directory=Directory(dynamic_groups=(group,))))

    policy = plan(readings, WITH_RIGHTS).steps[0]

    assert isinstance(policy, CreatePolicy)
    assert (
        policy.statements[0] == "Allow dynamic-group nodes to manage service-mesh-family in compartment mesh"
    )


def test_rights_are_left_alone_unless_wished() -> None:
    made = plan(EMPTY)

    assert not any(isinstance(step, CreatePolicy | CreateDynamicGroup) for step in made.steps)
    assert made.left[0] == "Allow dynamic-group osok-nodes to manage service-mesh-family in compartment mesh"
    assert plan(EMPTY, WITH_RIGHTS).left == ()


def test_a_dynamic_group_of_the_name_with_another_rule_stops_the_plan() -> None:
    group = DynamicGroup("dg", "osok-nodes", "instance.compartment.id = 'other'")
    readings = replace(EMPTY, policies=replace(NO_RIGHTS, directory=Directory(dynamic_groups=(group,))))

    (blocker,) = plan(readings, WITH_RIGHTS).blockers

    assert blocker.startswith("dynamic group osok-nodes (dg) does not surely match the nodes: instance.")
    assert plan(readings).blockers == ()


def test_policies_that_may_not_be_read_stop_rights_from_being_granted() -> None:
    readings = replace(EMPTY, policies=replace(NO_RIGHTS, unread=("the policies of the compartment mesh",)))

    assert plan(readings, WITH_RIGHTS).blockers == (
        "the policies of the compartment mesh may not be read, so nobody knows which rights are missing",
    )
    assert plan(readings).blockers == ()


def test_a_users_groups_are_not_changed() -> None:
    user = OperatorUser(user_id="ocid1.user.oc1..u")

    made = plan(EMPTY, WITH_RIGHTS, principals=principals_of(user, "m"))

    (blocker,) = made.blockers
    assert blocker.startswith("rights need a group osok-operators with the user ocid1.user.oc1..u: ")


def test_an_authority_at_30_days_gets_a_longer_rule() -> None:
    made = plan(replace(COMPLETE, authority=replace(AUTHORITY, leaf_validity="P30D")))

    assert made.steps == (RaiseLeafRule(AUTHORITY.id, "mesh", 90),)


def test_a_gateway_without_a_certificate_of_oci_gets_none() -> None:
    needs = NEEDS.model_copy(update={"gateway": NoGateway()})

    assert not any(isinstance(step, CreateCertificate) for step in plan(EMPTY, needs=needs).steps)


def test_a_private_vault_only_when_configured() -> None:
    private = plan(EMPTY, CreationWishes(vault_kind=VaultKind.VIRTUAL_PRIVATE))

    assert private.steps[0] == CreateVault("mesh", VaultKind.VIRTUAL_PRIVATE)


@pytest.mark.parametrize(
    ("readings", "word"),
    [
        (replace(COMPLETE, vault=replace(VAULT, lifecycle_state="PENDING_DELETION")), "cancel its deletion"),
        (replace(COMPLETE, vault=replace(VAULT, lifecycle_state="DELETED")), "is in DELETED"),
        (replace(COMPLETE, vault=absent("the vault mesh", None)), "a twin would be made"),
        (replace(COMPLETE, vault=Unread("the vault mesh", "HTTP 500")), "could not be read: HTTP 500"),
        (replace(COMPLETE, key=replace(KEY, lifecycle_state="DISABLED")), "is in DISABLED"),
        (replace(COMPLETE, key=replace(KEY, protection_mode="SOFTWARE")), "cannot be changed"),
        (replace(COMPLETE, authority=replace(AUTHORITY, key_id="other")), "uses another key"),
        (replace(COMPLETE, authority=replace(AUTHORITY, lifecycle_state="FAILED")), "is in FAILED"),
        (replace(EMPTY, authority=AUTHORITY), "uses another key"),
        (replace(COMPLETE, certificate=None), "it was not looked for"),
    ],
)
def test_what_is_there_but_not_usable_stops_the_plan(readings: TenancyReadings, word: str) -> None:
    assert any(word in blocker for blocker in plan(readings).blockers)


@pytest.mark.parametrize(
    ("reading", "arriving"),
    [
        (replace(VAULT, lifecycle_state="CREATING"), True),
        (replace(KEY, lifecycle_state="ENABLING"), True),
        (replace(AUTHORITY, lifecycle_state="CANCELLING_DELETION"), True),
        (CERTIFICATE, False),
        (replace(VAULT, lifecycle_state="PENDING_DELETION"), False),
        (absent("the vault mesh"), False),
        (Unread("the vault mesh", "HTTP 500"), False),
        (None, False),
    ],
)
def test_what_becomes_usable_by_itself_can_be_waited_for(
    reading: VaultFacts | KeyFacts | AuthorityFacts | CertificateFacts | NotSeen | Unread | None,
    arriving: bool,  # noqa: FBT001 - a row of the table
) -> None:
    assert is_arriving(reading) is arriving


def test_an_ocid_cannot_be_made() -> None:
    needs = NEEDS.model_copy(update={"vault": "ocid1.vault.oc1..x"})

    assert "OCIDs cannot be chosen" in plan(EMPTY, needs=needs).blockers[0]


def test_policies_that_could_not_be_read_stop_the_plan_when_rights_are_wished() -> None:
    readings = replace(EMPTY, policies=Unread("the policies", "HTTP 500"))

    assert plan(readings, WITH_RIGHTS).blockers == ("the policies could not be read: HTTP 500",)
    assert plan(readings).blockers == ()


def test_the_digest_stands_for_everything_that_was_shown() -> None:
    digests = {
        plan(EMPTY).digest,
        plan(EMPTY, CreationWishes(key_bits=4096)).digest,
        plan(EMPTY, WITH_RIGHTS).digest,
        plan(COMPLETE).digest,
        replace(plan(EMPTY), place="elsewhere").digest,
        replace(plan(EMPTY), blockers=("x",)).digest,
        replace(plan(EMPTY), left=()).digest,
    }

    assert len(digests) == 7
    assert plan(EMPTY).digest == plan(EMPTY).digest


def test_the_person_sees_steps_cost_and_how_to_undo_them() -> None:
    text = render_plan(plan(EMPTY, WITH_RIGHTS))

    assert "| 3 | vault mesh of the kind DEFAULT | counts against the limit of vaults" in text
    assert "only by schedule, 7 to 30 days; all its keys die with it |" in text
    assert "it grants rights in the tenancy" in text
    assert "\nAllow dynamic-group osok-nodes to manage service-mesh-family in compartment mesh\n" in text


def test_the_person_sees_the_statements_that_are_left_to_others() -> None:
    text = render_plan(plan(EMPTY))

    assert "Left to somebody else: statements that are missing:" in text
    assert "\nAllow dynamic-group osok-nodes to manage service-mesh-family in compartment mesh\n" in text


def test_the_person_sees_what_stops_the_plan() -> None:
    text = render_plan(plan(replace(COMPLETE, vault=absent("the vault mesh", None))))

    assert "**Stops the plan**" in text
    assert "Already there, will be used" in text


def test_a_certificate_may_not_outlive_the_rule() -> None:
    with pytest.raises(ValidationError, match="no more than leaf_days"):
        CreationWishes(leaf_days=60, certificate_days=61)
