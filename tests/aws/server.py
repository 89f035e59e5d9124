"""The HTTP server: moto's, with our Lightsail among its services."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Ours is the only account; without these moto asks the real cloud's metadata, and takes a second.
os.environ.setdefault("AWS_ACCESS_KEY_ID", "testing")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "testing")
os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")

from ansible_collections.minato.fleet.tests.aws import fleet as fleets
from ansible_collections.minato.fleet.tests.aws import lightsail
from ansible_collections.minato.fleet.tests.aws.control import Control
from ansible_collections.minato.fleet.tests.aws.faults import Gate
from moto import backend_index
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server


def register() -> None:
    """Make moto know our Lightsail: it imports services as moto.<name> and finds them by their URL."""
    if "moto.lightsail" in sys.modules:
        return
    sys.modules["moto.lightsail"] = lightsail
    backend_index.backend_url_patterns.append(("lightsail", re.compile(r"https?://lightsail\.(.+)\.amazonaws\.com")))


class Handler(MotoRequestHandler):
    """Moto's, over connections that are kept: a client that asks a hundred times connects once."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave out what went well: a fleet is thousands of calls."""
        if not str(code).startswith("2"):
            super().log_request(code, size)


def serve(host: str, port: int, fleet: Path | None = None) -> BaseWSGIServer:
    """Return a server that listens already, with a fleet; the caller lets it run (serve_forever)."""
    register()
    os.environ.setdefault("MOTO_PORT", str(port))
    cloud = DomainDispatcherApplication(create_backend_app)
    if fleet:
        fleets.load_file(fleet, cloud)
    return make_server(host, port, Control(Gate(cloud), cloud), threaded=True, request_handler=Handler)


@contextmanager
def running() -> Iterator[str]:
    """A cloud in this process, on a port that was free, until the block ends. Yields its URL."""
    server = serve("127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
