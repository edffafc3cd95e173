"""The OCI SDK takes about a second and 80 MB: runs that do not need it do not pay for it."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "flows.install_cluster",
        "flows.install_fleet",
        "flows.check_prerequisites",
        "flows.create_prerequisites",
        "flows.discover_fleet",
    ],
)
def test_a_flow_does_not_import_the_oci_sdk(module: str) -> None:
    program = f"import sys, {module}; print('oci' in sys.modules)"

    finished = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert finished.stdout == "False\n"
