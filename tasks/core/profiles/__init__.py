"""What an operator consists of, as data: package, Services, CRDs, webhooks, and how to prove them."""

from tasks.core.profiles.loading import BUILT_IN_PROFILES, built_in_profile, load_profile
from tasks.core.profiles.model import InstallMode, OperatorProfile, ReleaseSource, RequiredObject
from tasks.core.profiles.resources import CrdRole, ExpectedCrd, ExpectedService, ObjectOrigin
from tasks.core.profiles.webhooks import (
    BindingRequirement,
    ExpectedWebhook,
    FailurePolicy,
    InjectorProof,
    Operation,
    SideEffects,
    ValidatorProof,
    WebhookRole,
    WebhookRule,
    WebhookType,
)

__all__ = [
    "BUILT_IN_PROFILES",
    "BindingRequirement",
    "CrdRole",
    "ExpectedCrd",
    "ExpectedService",
    "ExpectedWebhook",
    "FailurePolicy",
    "InjectorProof",
    "InstallMode",
    "ObjectOrigin",
    "Operation",
    "OperatorProfile",
    "ReleaseSource",
    "RequiredObject",
    "SideEffects",
    "ValidatorProof",
    "WebhookRole",
    "WebhookRule",
    "WebhookType",
    "built_in_profile",
    "load_profile",
]
