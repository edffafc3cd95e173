"""`python -m deployments.automations [--dry-run] [--notify TYPE/NAME]`: install the automations.

They go to the server of PREFECT_API_URL. Running it again changes nothing that is right, and makes no second
one.
Exit code 0: done, with what was left out and why. 2: something named does not exist, or the server refused.
"""

import argparse
import os
import sys
from datetime import timedelta
from pathlib import Path

import httpx
import isodate

from deployments.automations.files import SHIPPED, Choices, read_files
from deployments.automations.installing import Change, Installed, Mode, install
from tasks.connections.prefect_api import prefect_api
from tasks.core.errors import FleetError

DONE, REFUSED = 0, 2


def main(arguments: list[str] | None = None) -> int:
    """Create or update the automations of osok-fleet on the server of PREFECT_API_URL."""
    chosen = _parser().parse_args(arguments)
    if not os.environ.get("PREFECT_API_URL"):
        return _say("Set PREFECT_API_URL to your server, for example http://127.0.0.1:4200/api", REFUSED)
    choices = Choices(chosen.notify, chosen.gate_waits, chosen.silent_for)
    mode = Mode.DRY_RUN if chosen.dry_run else Mode.APPLY
    try:
        with prefect_api() as client:
            for each in install(client, read_files(chosen.folder), choices, mode):
                _say(_line(each, mode), DONE)
    except FleetError as error:
        return _say(str(error), REFUSED)
    except httpx.HTTPError as error:
        return _say(f"The Prefect server did not take it: {error}", REFUSED)
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deployments.automations", description=main.__doc__)
    default = Choices()
    parser.add_argument("--dry-run", action="store_true", help="say what would happen, and change nothing")
    parser.add_argument(
        "--notify",
        default=os.environ.get("OSOK_FLEET_NOTIFY", default.notify),
        help="notification block as type-slug/name, such as slack-webhook/ops; default: $OSOK_FLEET_NOTIFY",
    )
    parser.add_argument(
        "--gate-waits",
        type=_duration,
        default=default.gate_waits,
        help="tell people when a gate has waited this long; ISO 8601, default PT4H",
    )
    parser.add_argument(
        "--silent-for",
        type=_duration,
        default=default.silent_for,
        help="a run without a heartbeat for this long has crashed: three times the workers' "
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY or more; ISO 8601, default PT10M",
    )
    parser.add_argument("--folder", type=Path, default=SHIPPED, help="other automations than ours")
    return parser


def _duration(text: str) -> timedelta:
    """ISO 8601, as in the flows' parameters; a server waits ten seconds or more."""
    try:
        parsed = isodate.parse_duration(text)
    except isodate.ISO8601Error as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not isinstance(parsed, timedelta) or parsed < timedelta(seconds=10):
        raise argparse.ArgumentTypeError(f"{text} is no duration of ten seconds or more, such as PT4H")
    return parsed


def _line(installed: Installed, mode: Mode) -> str:
    would = "would be " if mode is Mode.DRY_RUN and installed.change is not Change.LEFT_OUT else ""
    reason = f": {installed.reason}" if installed.reason else ""
    return f"{would}{installed.change.value.lower().replace('_', ' ')}  {installed.name}{reason}"


def _say(text: str, code: int) -> int:
    sys.stdout.write(f"{text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
