"""The HTTP server: moto's, with our Lightsail among its services."""

from __future__ import annotations

import os
import re
import sys

# Ours is the only account; without these moto asks the real cloud's metadata, and takes a second.
os.environ.setdefault("AWS_ACCESS_KEY_ID", "testing")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "testing")
os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")

from ansible_collections.minato.fleet.tests.aws import lightsail
from moto import backend_index
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server


def register() -> None:
    """Make moto know our Lightsail: it imports services as moto.<name> and finds them by their URL."""
    if "moto.lightsail" in sys.modules:
        return
    sys.modules["moto.lightsail"] = lightsail
    backend_index.backend_url_patterns.append(("lightsail", re.compile(r"https?://lightsail\.(.+)\.amazonaws\.com")))


def serve(host: str, port: int) -> BaseWSGIServer:
    """Return a server that listens already; the caller lets it run (serve_forever)."""
    register()
    os.environ.setdefault("MOTO_PORT", str(port))
    application = DomainDispatcherApplication(create_backend_app)
    return make_server(host, port, application, threaded=True, request_handler=MotoRequestHandler)
