"""The rehearsal's tenancy as a program, and its registry's token endpoint."""

import json
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx
import oci
import pytest

from deployments.rehearsal.tenancy.seeding import client_for
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.store import Store
from deployments.rehearsal.tenancy.world import add_tenancy

PROGRAM = (sys.executable, "-m", "deployments.rehearsal.tenancy")


@pytest.fixture
def server() -> Iterator[TenancyServer]:
    with TenancyServer(Store(), "eu-frankfurt-1") as running:
        yield running


def token_status(server: TenancyServer, scope: str, login: str = "") -> int:
    headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"} if login else {}
    url = f"{server.url}/20180419/docker/token"
    return httpx.get(url, params={"scope": scope}, headers=headers).status_code


def test_the_program_writes_a_configuration_that_works_and_dumps_its_state(tmp_path: Path) -> None:
    arguments = (*PROGRAM, "--folder", str(tmp_path), "--leaf-validity", "P30D")
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            facts = json.loads((tmp_path / "tenancy.json").read_text())
            config = oci.config.from_file(facts["config_file"])
            client = oci.identity.IdentityClient(config, service_endpoint=facts["url"])
            name = client.get_tenancy(facts["tenancy_id"]).data.name
            state = subprocess.check_output((*PROGRAM, "--dump", facts["url"]), text=True)  # noqa: S603 - ours
        finally:
            process.terminate()

    assert re.fullmatch(r"serving the tenancy rehearsal on http://127\.0\.0\.1:\d+\n", line)
    assert name == "rehearsal"
    assert "leaf certificates: P30D" in state


def test_the_configuration_is_readable_by_its_owner_only(server: TenancyServer, tmp_path: Path) -> None:
    place = add_tenancy(server.store, "acme", ["eu-frankfurt-1"])

    place.signatory.write_config(tmp_path, "eu-frankfurt-1")

    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {"0o600"}


def test_anonymous_callers_get_a_token_for_public_repositories_only(server: TenancyServer) -> None:
    server.registry.public.add("oracle/public")

    assert token_status(server, "repository:oracle/public:pull") == 200
    assert token_status(server, "repository:oracle/private:pull") == 401


def test_a_login_gets_a_token_with_its_auth_token(server: TenancyServer) -> None:
    server.registry.passwords["acmens/anna"] = "right"

    assert token_status(server, "repository:a:pull", "acmens/anna:right") == 200
    assert token_status(server, "repository:a:pull", "acmens/anna:wrong") == 401
    assert token_status(server, "repository:a:pull", "nobody:right") == 401


def test_a_signed_request_gets_a_token(server: TenancyServer) -> None:
    place = add_tenancy(server.store, "acme", ["eu-frankfurt-1"])
    signer = client_for(oci.identity.IdentityClient, server, place.signatory).base_client.signer

    url = f"{server.url}/20180419/docker/token?scope=repository:a:pull"
    # Signers of the SDK are written for the HTTP library that it brings along.
    signed = oci._vendor.requests.Request("GET", url, auth=signer).prepare()  # noqa: SLF001 - see above
    answer = httpx.get(url, headers=dict(signed.headers))

    assert answer.status_code == 200
