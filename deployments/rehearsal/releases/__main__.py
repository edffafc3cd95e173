"""`python -m deployments.rehearsal.releases`: serve until interrupted, and say what is where."""

import argparse
import signal
import sys

from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.releases import ReleaseServer, RepositoryName
from tasks.core.errors import FleetError


def main() -> None:
    """Serve the outside world of the rehearsal on loopback."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    port: int = parser.parse_args().port
    # Blocked before the server's threads start, so that they inherit it and only sigwait sees the signals.
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        server = ReleaseServer()
    except FleetError as error:
        sys.exit(str(error))
    server.start(port)
    sys.stdout.write("\n".join(_description(server)) + "\n")
    sys.stdout.flush()
    signal.sigwait(signals)
    server.stop()


def _description(server: ReleaseServer) -> list[str]:
    lines = [f"release server   {server.url}"]
    for version in OlmVersion:
        for name in ("crds.yaml", "olm.yaml"):
            file = server.olm_file(version, name)
            lines.append(f"OLM {version.value:<8} {file.url}  sha256 {file.sha256}")
    metrics_server = server.metrics_server_file()
    lines.append(f"metrics server   {metrics_server.url}  sha256 {metrics_server.sha256}")
    lines += [f"bundle           {server.image(repository)}" for repository in RepositoryName]
    login = server.login
    # Made up for this process and good for nothing else.
    lines.append(f"private          user {login.username}, password {login.password}")
    return lines


if __name__ == "__main__":
    main()
