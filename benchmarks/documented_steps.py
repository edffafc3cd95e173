"""The documented procedure, runbook R12–R20, with the page's own programs: cfssl, cfssljson and kubectl.

Everything is as the page says. Where a step is refused, the refusal is kept; the one thing that is changed so
that the rest of the page can be tried at all is the signer's name. `jq` and `base64` of the page are Python
here, and the patch of the Secret is handed over as a file, so that its key is on no command line.
"""

import base64
import json
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.rehearsal.programs import Programs
from tasks.core.errors import StalledError
from tasks.core.profiles import OperatorProfile

DOCUMENTED_SIGNER = "oci.com"
"""R13, as the page has it."""
WORKING_SIGNER = "oci.com/osok"
_USAGES = ["digital signature", "key encipherment", "server auth"]
_CSR_API = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


@dataclass(frozen=True)
class PageStep:
    """A step that was carried out.

    Attributes:
        runbook: Such as R13.
        command: What was run, without the documents that were piped into it.
        succeeded: Whether the program said so.
        answer: What it answered, in one line.
    """

    runbook: str
    command: str
    succeeded: bool
    answer: str


class DocumentedProcedure:
    """Carries the page out on one cluster as its administrator.

    Args:
        folder: For the page's files, keys among them; only we may read it.
        kubeconfig: The administrator's.
    """

    def __init__(self, programs: Programs, folder: Path, kubeconfig: Path, profile: OperatorProfile) -> None:
        self._programs = programs
        self._folder = folder
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        self._profile = profile
        self.request = f"{profile.deployment.removesuffix('-manager')}.{profile.namespace}"
        self.steps: list[PageStep] = []

    def issue(self) -> None:
        """R12–R19: from the key to server.crt.

        Raises:
            StalledError: A step failed that was measured to work.
        """
        self._make_key()
        self._create_request()
        self._run("R14", ["kubectl", "describe", "csr", self.request])
        self._run("R15", ["kubectl", "certificate", "approve", self.request])
        self._make_authority()
        self._sign()
        self._upload()

    def publish(self) -> None:
        """R20: one merge patch of the Secret, and nothing else.

        Raises:
            StalledError: kubectl refused it.
        """
        files = {"olmCAKey": "ca.pem", "tls.key": "server-key.pem", "tls.crt": "server.crt"}
        data = {key: base64.b64encode(self._read(name)).decode() for key, name in files.items()}
        patch = self._write("patch.json", {"data": data})
        secret, namespace = self._profile.certificate_secret, self._profile.namespace
        command = ["kubectl", "patch", "secret", secret, "-n", namespace, "--type", "merge"]
        self._run("R20", [*command, "--patch-file", str(patch)])
        patch.unlink()

    @property
    def signer_refusal(self) -> str:
        """What the API server answered to the documented signer; empty when it took it."""
        return next((one.answer for one in self.steps if one.runbook == "R13" and not one.succeeded), "")

    def conditions(self) -> str:
        """The request's conditions as `kubectl get csr` shows them: `Approved,Issued`."""
        found = json.loads(self._kubectl_get())
        conditions = [one["type"] for one in found["status"].get("conditions", [])]
        return ",".join([*conditions, *(["Issued"] if found["status"].get("certificate") else [])])

    def _make_key(self) -> None:
        namespace = self._profile.namespace
        request = {
            "CN": "kube.operator.cert",
            "hosts": [
                f"oci-service-operator-webhook-service.{namespace}.svc.cluster.local",
                f"oci-service-operator-controller-manager-service.{namespace}.svc.cluster.local",
            ],
            "key": {"algo": "ecdsa", "size": 256},
        }
        made = self._run("R12", ["cfssl", "genkey", "-"], json.dumps(request).encode())
        self._run("R12", ["cfssljson", "-bare", "server"], made)

    def _create_request(self) -> None:
        command = ["kubectl", "create", "-f", "-"]
        try:
            self._run("R13", command, self._request(DOCUMENTED_SIGNER))
        except StalledError:
            self._run("R13", command, self._request(WORKING_SIGNER))

    def _request(self, signer: str) -> bytes:
        manifest = {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": self.request},
            "spec": {
                "request": base64.b64encode(self._read("server.csr")).decode(),
                "signerName": signer,
                "usages": _USAGES,
            },
        }
        return json.dumps(manifest).encode()

    def _make_authority(self) -> None:
        authority = {"CN": "My Example Signer", "key": {"algo": "rsa", "size": 2048}}
        made = self._run("R16", ["cfssl", "gencert", "-initca", "-"], json.dumps(authority).encode())
        self._run("R16", ["cfssljson", "-bare", "ca"], made)

    def _sign(self) -> None:
        constraint = {"is_ca": False}
        default = {"usages": _USAGES, "expiry": "876000h", "ca_constraint": constraint}
        self._write("server-signing-config.json", {"signing": {"default": default}})
        request = base64.b64decode(json.loads(self._kubectl_get())["spec"]["request"])
        files = ["-ca", "ca.pem", "-ca-key", "ca-key.pem", "-config", "server-signing-config.json"]
        signed = self._run("R17", ["cfssl", "sign", *files, "-"], request)
        self._run("R17", ["cfssljson", "-bare", "ca-signed-server"], signed)

    def _upload(self) -> None:
        manifest = json.loads(self._kubectl_get())
        manifest["status"]["certificate"] = base64.b64encode(self._read("ca-signed-server.pem")).decode()
        path = f"{_CSR_API}/{self.request}/status"
        self._run("R18", ["kubectl", "replace", "--raw", path, "-f", "-"], json.dumps(manifest).encode())
        issued = json.loads(self._kubectl_get())["status"]["certificate"]
        (self._folder / "server.crt").write_bytes(base64.b64decode(issued))
        self._note("R19", "kubectl get csr > server.crt", succeeded=True, answer=self.conditions())

    def _kubectl_get(self) -> bytes:
        return self._carry_out(["kubectl", "get", "csr", self.request, "-o", "json"], b"").stdout

    def _run(self, runbook: str, command: Sequence[str], stdin: bytes = b"") -> bytes:
        done = self._carry_out(command, stdin)
        answer = _one_line(done.stderr or (b"" if command[0] == "cfssl" else done.stdout))
        self._note(runbook, " ".join(command), succeeded=done.returncode == 0, answer=answer)
        if done.returncode:
            raise StalledError("carry the page out", " ".join(command), "exit code 0", answer)
        return done.stdout

    def _carry_out(self, command: Sequence[str], stdin: bytes) -> "subprocess.CompletedProcess[bytes]":
        program = str(self._programs.path(command[0]))
        return subprocess.run(  # noqa: S603 - a program of the rehearsal
            [program, *command[1:]],
            input=stdin,
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            check=False,
        )

    def _note(self, runbook: str, command: str, *, succeeded: bool, answer: str) -> None:
        self.steps.append(PageStep(runbook, command.replace(f"{self._folder}/", ""), succeeded, answer))

    def _read(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()

    def _write(self, name: str, content: dict[str, Any]) -> Path:
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_text(json.dumps(content))
        return path


def _one_line(output: bytes) -> str:
    """What a program said, in one line: the status that it shows, or its last words without the time."""
    lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
    status = [line for line in lines if line.startswith("Status:")]
    text = (status or lines or [""])[-1]
    if text.startswith("{"):
        return f"the {json.loads(text)['kind']}"
    return " ".join(re.sub(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", "", text).split())
