"""The tenancies' state as text, for a person who wants to see what the flows did."""

from deployments.rehearsal.tenancy.store import Entry, Store

_NAME_FIELDS = ("name", "display_name", "region_name")


def dump_text(store: Store) -> str:
    """One line per object: kind, state, name, OCID; then what is special about it."""
    with store.lock:
        lines = []
        for tenancy in store.tenancies.values():
            lines.append(f"tenancy {tenancy.name} ({tenancy.id}), home region {tenancy.home_region}")
            lines += [f"  {_line(entry)}" for entry in tenancy.objects.values()]
    return "\n".join(lines) + "\n"


def _line(entry: Entry) -> str:
    model = entry.model
    name = next((getattr(model, field) for field in _NAME_FIELDS if getattr(model, field, None)), "-")
    state = getattr(model, "lifecycle_state", None) or getattr(model, "status", None) or "-"
    return f"{entry.kind:<22} {state:<18} {name:<28} {model.id}{_details(entry)}"


def _details(entry: Entry) -> str:
    model = entry.model
    match entry.kind:
        case "Policy":
            return "".join(f"\n      {statement}" for statement in model.statements)
        case "DynamicGroup":
            return f"\n      {model.matching_rule}"
        case "CertificateAuthority":
            rules = [
                rule.leaf_certificate_max_validity_duration for rule in model.certificate_authority_rules
            ]
            return f"\n      leaf certificates: {', '.join(filter(None, rules)) or 'no rule'}"
        case _:
            return ""
