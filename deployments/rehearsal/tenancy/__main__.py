"""Runs a tenancy: `python -m deployments.rehearsal.tenancy --listen HOST:PORT --folder DIR`.

The folder gets `oci_config` with an API key that may do everything, and `tenancy.json` with the OCIDs.
`--dump URL` prints what a running one holds.
"""

import argparse
import json
import signal
import sys
import threading
import urllib.request
from dataclasses import asdict
from pathlib import Path

from deployments.rehearsal.tenancy.seeding import Seed, seed
from deployments.rehearsal.tenancy.server import STATE_PATH, Listen, TenancyServer
from deployments.rehearsal.tenancy.store import Store
from deployments.rehearsal.tenancy.world import SETTLE, add_tenancy


def main() -> None:
    """Serve until SIGTERM or SIGINT, or print the state of another one."""
    arguments = _parser().parse_args()
    if arguments.dump:
        sys.stdout.write(_read_state(arguments.dump))
        return
    end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    host, _, port = arguments.listen.rpartition(":")
    server = TenancyServer(Store(settle=SETTLE), arguments.region, Listen(host, int(port)))
    with server:
        _prepare(server, arguments)
        sys.stderr.write(f"serving the tenancy {arguments.name} on {server.url}\n")
        end.wait()


def _prepare(server: TenancyServer, arguments: argparse.Namespace) -> None:
    arguments.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = add_tenancy(server.store, arguments.name, [arguments.region])
    seeded = seed(server, place, Seed(leaf_validity=arguments.leaf_validity))
    config = place.signatory.write_config(arguments.folder, arguments.region)
    facts = {
        "url": server.url,
        "region": arguments.region,
        "config_file": str(config),
        "tenancy_id": place.tenancy.id,
        "compartment_id": place.compartment_id,
        **asdict(seeded),
    }
    # Written last and whole: who waits for this file finds everything ready.
    unfinished = arguments.folder / "tenancy.json.part"
    unfinished.write_text(json.dumps(facts, indent=2))
    unfinished.rename(arguments.folder / "tenancy.json")


def _read_state(url: str) -> str:
    if not url.startswith(("http://127.", "https://127.")):
        sys.exit("--dump wants the address of a rehearsal's tenancy, http://127.…")
    with urllib.request.urlopen(url.rstrip("/") + STATE_PATH) as answer:  # noqa: S310 - checked above
        text: str = json.loads(answer.read())
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="an OCI tenancy, for the rehearsal")
    parser.add_argument("--listen", default="127.0.0.1:0", help="HOST:PORT (HTTP)")
    parser.add_argument("--region", default="eu-frankfurt-1", help="the region that it speaks for")
    parser.add_argument("--name", default="rehearsal", help="the tenancy's name")
    parser.add_argument("--folder", type=Path, default=Path("tenancy"), help="where credentials are written")
    parser.add_argument("--leaf-validity", default="P90D", help="the authority's rule; P30D is too short")
    parser.add_argument("--dump", metavar="URL", help="print the state of a running one and end")
    return parser


if __name__ == "__main__":
    main()
