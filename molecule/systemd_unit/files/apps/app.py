"""Answers with what only the running process knows: its release, its pid, its environment. Files make it misbehave."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SHARED = "/opt/morizo-aiv2/shared"
PORT = int(sys.argv[sys.argv.index("--port") + 1])
with open("RELEASE") as stream:
    RELEASE = stream.read().strip()
SECRET = os.environ.get("OPENAI_API_KEY", "")
EATEN = []


def has(name):
    return os.path.exists(f"{SHARED}/{name}")


def can_write(path):
    try:
        with open(path, "w"):
            pass
    except OSError as error:
        return error.strerror
    os.unlink(path)
    return "yes"


if has("down") or has(f"down-{PORT}"):
    print("no database today")
    sys.exit(7)
if has("greedy"):
    EATEN.append(b"x" * (400 << 20))


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_arguments):
        pass

    def do_GET(self):
        if self.path == "/crash":
            os._exit(3)
        if self.path == "/eat":
            EATEN.append(b"x" * (400 << 20))
        ill = self.path == "/health" and has("ill")
        said = {
            "release": RELEASE,
            "pid": os.getpid(),
            "uid": os.getuid(),
            "args": sys.argv[1:],
            "greeting": os.environ.get("GREETING"),
            "secret_bytes": len(SECRET),
            "writes": {path: can_write(f"{path}/probe") for path in (SHARED, "/tmp", "/opt/morizo-aiv2", "/etc")},
        }
        body = b"the stove is cold" if ill else json.dumps(said).encode()
        self.send_response(503 if ill else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("0.0.0.0", PORT), Handler).serve_forever()
