"""Reads single objects of the API server with the pod's own account.

Only the standard library: the process has to be up in the time that a small Go program takes.
"""

import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

SERVICE_ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its account: `token` and `ca.crt`."""

FOLDER_VARIABLE = "REHEARSAL_SERVICE_ACCOUNT"
"""Names another folder with the same two files, for a process outside a pod."""

_TIMEOUT_SECONDS = 5


class ApiUnavailableError(Exception):
    """The API server gave no usable answer; the text has no credentials in it."""


@dataclass(frozen=True)
class ApiReader:
    """Where the API server is and who asks.

    Attributes:
        server: `https://host:port`.
        token_file: Read anew for every request, because tokens are rotated in place.
        ca_file: What the server's certificate has to chain to.
    """

    server: str
    token_file: Path
    ca_file: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self | None:
        """The API server of the pod's cluster; None outside a pod (no address or no token)."""
        host, port = (environment.get(f"KUBERNETES_SERVICE_{part}", "") for part in ("HOST", "PORT"))
        folder = Path(environment.get(FOLDER_VARIABLE) or SERVICE_ACCOUNT_FOLDER)
        if not host or not port or not (folder / "token").exists():
            return None
        return cls(f"https://{host}:{port}", folder / "token", folder / "ca.crt")

    def read(self, path: str) -> Mapping[str, Any] | None:
        """GET one path; None when there is no such object.

        Raises:
            ApiUnavailableError: Anything but the object or a 404.
        """
        token = self.token_file.read_text().strip()
        request = urllib.request.Request(  # noqa: S310 - the address is always https
            self.server + path, headers={"Authorization": f"Bearer {token}", "Accept": "application/json"}
        )
        handler = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(self.ca_file)))
        # An empty ProxyHandler: a proxy of the environment must not see the token.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), handler)
        try:
            with opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
                found: Mapping[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:  # noqa: PLR2004 - HTTP
                return None
            raise ApiUnavailableError(f"GET {path}: HTTP {error.code}") from None
        except (OSError, ValueError) as error:
            raise ApiUnavailableError(f"GET {path}: {type(error).__name__}") from None
        return found
