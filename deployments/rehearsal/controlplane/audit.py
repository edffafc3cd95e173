"""The audit log of a control plane: every request that the API server answered, for tests that count them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
"""
"""Who did what to which object and how it ended, never a body: bodies hold Secrets."""

_WRITE_VERBS = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True)
class AuditedRequest:
    """One answered request (audit.k8s.io/v1 Event, stage ResponseComplete).

    Attributes:
        verb: The Kubernetes verb (`get`, `list`, `create`, …).
        path: The request's URI with its query.
        user: The user name; the control plane's own users are in `credentials.User`.
        user_agent: What the client calls itself.
        resource: The plural of the resource; empty for paths such as `/version`.
        subresource: Such as `status`; empty for none.
        namespace: Empty for what has none.
        name: Empty for lists and for what is not an object.
        status: The HTTP status of the answer.
        at: When the API server received it.
    """

    verb: str
    path: str
    user: str
    user_agent: str
    resource: str
    subresource: str
    namespace: str
    name: str
    status: int
    at: datetime

    @property
    def changes_something(self) -> bool:
        """Whether it was a write that the API server carried out (no dry run, no review, no refusal)."""
        # Reviews are POSTs that are stored nowhere: subjectaccessreviews, selfsubjectreviews, tokenreviews.
        review = self.resource.endswith("reviews")
        dry_run = "dryRun=All" in self.path
        return self.verb in _WRITE_VERBS and not review and not dry_run and self.status < 400  # noqa: PLR2004 - HTTP


def read_audit_log(log: Path, offset: int = 0) -> Iterator[AuditedRequest]:
    """The completed requests in a log file, oldest first.

    Args:
        log: The file that the API server writes.
        offset: Where to begin, in bytes: `log.stat().st_size` before a step gives only the step's requests.
    """
    with log.open("rb") as lines:
        lines.seek(offset)
        for line in lines:
            # The API server may be in the middle of writing the last line.
            if line.endswith(b"\n"):
                event = json.loads(line)
                if event["stage"] == "ResponseComplete":
                    yield _request(event)


def _request(event: dict[str, object]) -> AuditedRequest:
    target = _mapping(event, "objectRef")
    code = _mapping(event, "responseStatus").get("code", 0)
    return AuditedRequest(
        verb=str(event.get("verb", "")),
        path=str(event.get("requestURI", "")),
        user=str(_mapping(event, "user").get("username", "")),
        user_agent=str(event.get("userAgent", "")),
        resource=str(target.get("resource", "")),
        subresource=str(target.get("subresource", "")),
        namespace=str(target.get("namespace", "")),
        name=str(target.get("name", "")),
        status=code if isinstance(code, int) else 0,
        at=datetime.fromisoformat(str(event["requestReceivedTimestamp"])),
    )


def _mapping(event: dict[str, object], key: str) -> dict[str, object]:
    value = event.get(key)
    return value if isinstance(value, dict) else {}
