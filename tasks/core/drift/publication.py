"""Where the results of verify-fleet go beside Prefect: metrics for Prometheus, a page for people."""

import re
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tasks.core.drift.items import DATA

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 63


class PublicationChoice(BaseModel):
    """Where results go beside the artifacts of the run. Everything is off by default."""

    # An address that is refused for its password is not shown again in the refusal.
    model_config = ConfigDict(**DATA, hide_input_in_errors=True)

    fleet: str = Field(
        default="",
        title="Name of the fleet",
        pattern=rf"^([A-Za-z0-9][A-Za-z0-9._-]{{0,{_LONGEST - 1}}})?$",
        description="Label `fleet` of the metrics, and part of the names of files. Empty: the name of the "
        "deployment. Two deployments need two names.",
    )
    pushgateway: str = Field(
        default="",
        title="Pushgateway",
        description="https address of a Prometheus Pushgateway; http is for a loopback address only. Empty: "
        "nothing is pushed.",
    )
    pushgateway_login: str = Field(
        default="",
        title="Login of the Pushgateway",
        description="Name of a Prefect Secret block with `user:password` or a bearer token. Empty: no login.",
    )
    textfile: str = Field(
        default="",
        title="Folder for metrics",
        description="Folder on the worker that node_exporter's textfile collector reads. Empty: no file.",
    )
    report: str = Field(
        default="",
        title="Report storage",
        description="block-type/name of the storage block, or a folder, for the report as one HTML page. "
        "Empty: no report.",
    )

    @field_validator("pushgateway")
    @classmethod
    def _has_no_credentials(cls, url: str) -> str:
        """Parameters are stored and shown in the clear."""
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("expected an address like https://pushgateway.example.com:9091")
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise ValueError(
                "expected an address without user, password and query; name a Secret block in "
                "pushgateway_login instead"
            )
        return url

    @field_validator("textfile")
    @classmethod
    def _is_absolute(cls, folder: str) -> str:
        if folder and not PurePosixPath(folder).is_absolute():
            raise ValueError("expected an absolute folder like /var/lib/node_exporter/textfile")
        return folder

    @property
    def wanted(self) -> bool:
        """Whether anything goes anywhere."""
        return bool(self.pushgateway or self.textfile or self.report)


def fleet_name(chosen: str, deployment: str) -> str:
    """What the fleet is called in metrics and names of files: as chosen, or after the deployment."""
    return chosen or _UNSAFE.sub("-", deployment).strip(".-")[:_LONGEST] or "fleet"
