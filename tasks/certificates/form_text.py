"""What stands above the fields of the form at the gate (R14).

Prefect's form gives its text what height the fields leave, shows tables not at all in a window of usual
height, and cuts long words. So the form says in a few lines what it is about, and the artifact has the rest.
"""

from collections.abc import Sequence

from tasks.core.certificate_orders import PendingRequest

_SHORT = 16


def form_text(requests: Sequence[PendingRequest], digest: str, complaint: str = "") -> str:
    """Markdown without headings and tables.

    Args:
        requests: What is asked about.
        digest: What the decision is bound to.
        complaint: Why the last answer was not accepted; empty for the first question.
    """
    parts = [f"**The last answer was not accepted.** {complaint}"] if complaint else []
    parts.append(
        "Everything that will be signed is in this run's artifact **certificate-requests**. The decision is "
        f"bound to `{digest[:_SHORT]}…`"
    )
    parts.append("\n".join(_line(request) for request in requests))
    return "\n\n".join(parts) + "\n"


def _line(request: PendingRequest) -> str:
    denied = ", **denied in the cluster**" if request.denial else ""
    names = f"{len(request.dns_names)} names" if len(request.dns_names) > 1 else request.dns_names[0]
    return (
        f"- **{request.cluster}**: {request.subject}, {names}, key `{request.spki_sha256[:_SHORT]}…`, "
        f"{request.validity.days} days{denied}"
    )
