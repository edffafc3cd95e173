"""What the accounts have to be allowed before a repair writes, and that the shipped roles allow it."""

import pytest

from tasks.core.drift.choice import VerificationChoice
from tasks.core.drift.items import DriftItem, DriftKind
from tasks.core.drift.repair_choice import RepairChoice
from tasks.core.drift.repairs import RepairEntry, RepairVerdict
from tasks.core.manifests import ObjectRef
from tasks.core.permissions import BootstrapUse
from tasks.core.settings import VersionChange
from tasks.core.steps import InstallStep
from tasks.drift.repairing import RepairOrder
from tasks.sources import Sources
from tests.support.expectations import expectation
from tests.support.shipped_roles import shipped_rules, ungranted

EXPECTED = expectation()
ORDER = RepairOrder(
    Sources(
        EXPECTED.profile,
        EXPECTED.bundle,
        EXPECTED.installation,
        "catalog.example.com:50051",
        EXPECTED.olm,
        VersionChange.REFUSE,
        None,
    ),
    EXPECTED,
    VerificationChoice(),
    RepairChoice(),
)
PACKAGESERVER = ObjectRef("operators.coreos.com/v1alpha1", "ClusterServiceVersion", "packageserver", "olm")
OLM, OPERATOR = (
    [InstallStep.OLM_CRDS, InstallStep.OLM_OBJECTS],
    [InstallStep.CATALOG, InstallStep.SUBSCRIPTION],
)
CERTIFICATE, REINSTALL = [InstallStep.CERTIFICATE_REPAIR], [InstallStep.REINSTALL]


def due(steps: list[InstallStep]) -> dict[InstallStep, tuple[RepairEntry, ...]]:
    item = DriftItem(kind=DriftKind.CHANGED, ref=PACKAGESERVER)
    return {
        step: (RepairEntry(item=item, verdict=RepairVerdict.DUE, step=step.name, unit=PACKAGESERVER),)
        for step in steps
    }


@pytest.mark.parametrize("steps", [OLM, OPERATOR, CERTIFICATE, REINSTALL], ids=lambda steps: steps[0].name)
def test_the_shipped_roles_allow_every_repair(steps: list[InstallStep]) -> None:
    needs = ORDER.needs(due(steps))

    assert ungranted(shipped_rules("fleet.yaml"), needs.fleet) == []
    assert ungranted(shipped_rules("bootstrap.yaml"), needs.bootstrap) == []
    assert (*needs.fleet, *needs.bootstrap) != ()


def test_objects_of_olm_need_the_account_that_installs_it_although_olm_is_there() -> None:
    needs = ORDER.needs(due(OLM))

    assert needs.bootstrap_use is BootstrapUse.ALWAYS
    assert needs.fleet == ()


def test_everything_else_is_the_everyday_accounts_own() -> None:
    assert [ORDER.needs(due(steps)).bootstrap for steps in (OPERATOR, CERTIFICATE, REINSTALL)] == [(), (), ()]


def test_a_reinstall_is_asked_for_where_its_operator_runs() -> None:
    (request,) = ORDER.needs(due(REINSTALL)).fleet

    assert (request.rule_resource, request.verb, request.namespace) == (
        "clusterserviceversions/status",
        "patch",
        "olm",
    )
