"""Start the cloud: python -m ansible_collections.minato.fleet.tests.aws --port 5000."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from ansible_collections.minato.fleet.tests.aws.fleet_items import FleetError
from ansible_collections.minato.fleet.tests.aws.server import serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.aws", description="An emulated cloud over HTTP.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=5000, help="port, 0 for a free one (default %(default)s)")
    parser.add_argument("--fleet", type=Path, metavar="FILE", help="begin with this fleet (docs/cloud.md)")
    parser.add_argument("--dns", metavar="ADDRESS:PORT", help="answer DNS queries for its zones there (UDP)")
    parser.add_argument("--background", type=Path, metavar="PIDFILE", help="go on in the background; log beside it")
    parser.add_argument("--stop", type=Path, metavar="PIDFILE", help="stop the one that went to the background")
    arguments = parser.parse_args()
    if arguments.stop:
        stop(arguments.stop)
        return
    if arguments.background and running(arguments.background):
        print("cloud runs already")
        return
    try:
        server = serve(arguments.host, arguments.port, arguments.fleet)
    except (FleetError, OSError) as error:
        sys.exit(str(error))
    if arguments.dns:
        from ansible_collections.minato.fleet.tests.aws import dns  # here: it needs moto's Route 53 and time

        listener = dns.listen(*arguments.dns.rsplit(":", 1))
    print(f"cloud ready: http://{arguments.host}:{server.server_port}", flush=True)
    if arguments.background:
        detach(arguments.background)
    if arguments.dns:
        dns.serve(listener)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)


def running(pid_file: Path) -> bool:
    """Whether the cloud that wrote this file still runs."""
    try:
        command = Path("/proc", pid_file.read_text(encoding="utf-8").strip(), "cmdline").read_bytes()
    except OSError:
        return False
    return b"minato.fleet.tests.aws" in command


def stop(pid_file: Path) -> None:
    """End the cloud that wrote this file, if it still runs, and take its files away."""
    if running(pid_file):
        os.kill(int(pid_file.read_text(encoding="utf-8")), signal.SIGTERM)
    for path in (pid_file, pid_file.with_suffix(".log")):
        path.unlink(missing_ok=True)


def detach(pid_file: Path) -> None:
    """Go on as a process of its own that the caller need not wait for: it listens already."""
    child = os.fork()
    if child:
        pid_file.write_text(f"{child}\n", encoding="utf-8")
        os._exit(0)
    os.setsid()
    log = os.open(pid_file.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream, number in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
        os.dup2(stream, number)


if __name__ == "__main__":
    main()
