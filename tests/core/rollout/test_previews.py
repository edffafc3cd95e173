"""What a rollout would write, told per group of clusters."""

from tasks.core.comparison import Difference
from tasks.core.rollout.previews import (
    ClusterPreview,
    PlannedChange,
    PlannedProblem,
    field_lines,
    render_previews,
    summarize_previews,
)
from tasks.core.steps import InstallStep

CRD = "CustomResourceDefinition"
FRESH = (
    PlannedChange("CREATED", "Namespace", "olm"),
    PlannedChange("CREATED", CRD, "subscriptions.operators.coreos.com"),
    PlannedChange("CREATED", CRD, "catalogsources.operators.coreos.com"),
    PlannedChange("CREATED", "Subscription", "osok/osok", rehearsed=False),
    PlannedChange("INSTALLED", "ClusterServiceVersion", "osok/osok.v1"),
)
CHANGED = PlannedChange("UPDATED", "Deployment", "olm/olm-operator", ("/spec/replicas: expected 1, found 0",))
PROBLEM = PlannedProblem(InstallStep.TARGET, "Could not use the cluster: found another one.")


def test_clusters_with_the_same_changes_are_told_once() -> None:
    text = render_previews([ClusterPreview("fra-1", FRESH), ClusterPreview("fra-2", FRESH)])

    assert "### 2 clusters: 4 to create, 1 to be installed by OLM\n\nfra-1, fra-2\n" in text
    assert text.count("CREATED 1 Namespace: olm") == 1
    assert (
        "CREATED 2 CustomResourceDefinition: "
        "subscriptions.operators.coreos.com, catalogsources.operators.coreos.com" in text
    )


def test_what_the_api_server_cannot_rehearse_yet_says_so() -> None:
    text = render_previews([ClusterPreview("fra-1", FRESH)])

    assert "CREATED 1 Subscription: osok/osok (not rehearsed: kind or namespace come first)" in text


def test_a_changed_object_names_its_fields() -> None:
    text = render_previews([ClusterPreview("fra-1", (CHANGED,))])

    assert "- UPDATED Deployment olm/olm-operator<br>/spec/replicas: expected 1, found 0\n" in text


def test_problems_come_first_and_clusters_with_nothing_to_do_last() -> None:
    text = render_previews(
        [
            ClusterPreview("right"),
            ClusterPreview("changed", (CHANGED,)),
            ClusterPreview("refused", problems=(PROBLEM,)),
        ]
    )

    headings = [line for line in text.splitlines() if line.startswith("### ")]
    assert headings == [
        "### 1 cluster: 1 step would be refused",
        "### 1 cluster: 1 to change",
        "### 1 cluster: nothing to write",
    ]
    assert (
        f"{InstallStep.TARGET.title} would be refused: Could not use the cluster: found another one." in text
    )


def test_of_very_many_fields_the_first_are_told() -> None:
    lines = field_lines(Difference(f"/spec/{number}", 1, 2) for number in range(13))

    assert len(lines) == 11
    assert lines[0] == "/spec/0: expected 1, found 2"
    assert lines[-1] == "and 3 more fields"


def test_the_state_says_on_which_clusters_something_would_be_refused() -> None:
    fine, refused = ClusterPreview("fra-1"), ClusterPreview("fra-2", problems=(PROBLEM,))

    assert summarize_previews([fine]) == "1 cluster; nothing was written"
    assert summarize_previews([fine, refused]) == (
        "2 clusters; nothing was written; something would be refused on fra-2"
    )
