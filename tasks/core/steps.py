"""The steps of an installation, in their order, with the runbook steps that each one carries out."""

from enum import Enum


class InstallStep(Enum):
    """One step on one cluster: its title in reports and its runbook ids."""

    PREREQUISITES = ("OCI prerequisites", ("R23", "R24", "R25", "R26", "R27", "R28"))
    FLOW_RUN = ("Cluster worked on in a flow run of its own", ())
    SOURCES = ("Manifests and bundle fetched", ("R2", "R5", "R6"))
    PLAN = ("The same as the rollout's plan", ())
    BLOCK = ("Cluster block loaded", ())
    LOCK = ("Cluster held by this run alone", ())
    TARGET = ("Cluster reachable, pinned, permissions", ("R1",))
    OLM_CRDS = ("OLM: custom resource definitions", ("R2",))
    OLM_OBJECTS = ("OLM: namespaces, roles, programs", ("R2",))
    OLM_HEALTH = ("OLM: every object healthy", ("R3",))
    NAMESPACE = ("Operator: namespace", ("R4",))
    CATALOG = ("Operator: catalog published", ("R5", "R6"))
    CATALOG_READY = ("Operator: catalog connected", ("R7",))
    OPERATOR_GROUP = ("Operator: OperatorGroup", ("R7",))
    SUBSCRIPTION = ("Operator: Subscription", ("R6", "R7"))
    INSTALL_PLAN = ("Operator: InstallPlan approved", ("R7",))
    CSV = ("Operator: ClusterServiceVersion succeeded", ("R7",))
    CERTIFICATE_REQUEST = ("Certificate: requested", ("R12", "R13", "R14"))
    CERTIFICATE = ("Certificate: signed and published", ("R15", "R16", "R17", "R18", "R19", "R20"))
    CERTIFICATE_REPAIR = ("Certificate: put back", ("R22",))
    REINSTALL = ("Operator: installed anew by OLM", ("R7",))
    METRICS_SERVER = ("Metrics server", ("R11",))
    PROOF = ("Certificate proven through the API server", ("R21",))
    VERIFICATION = ("CRDs and webhooks verified and called", ("R8", "R9", "R10"))

    def __init__(self, title: str, runbook: tuple[str, ...]) -> None:
        self.title = title
        self.runbook = runbook
