"""An app to put nginx in front of: answers with what it was asked, and echoes over WebSocket. Standard library only."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    """Describe each request in JSON; upgrade those that ask for it.

    /slow takes its time; /drop/PORT is where the app on that port breaks down, and no other.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a request, or turn it into a WebSocket."""
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.echo()
            return
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/slow"):
            time.sleep(2)
        if f"/drop/{self.server.server_address[1]}" in self.path:
            self.close_connection = True
            return
        seen = {
            "port": self.server.server_address[1],
            "path": self.path,
            "method": self.command,
            "protocol": self.request_version,
            "headers": {name.lower(): value for name, value in self.headers.items()},
        }
        body = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.path.startswith("/own-headers"):
            self.send_header("X-Frame-Options", "DENY")
            self.send_header("Strict-Transport-Security", "max-age=1")
            self.send_header("X-Powered-By", "Echo")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Answer as to any other request."""
        self.do_GET()

    def echo(self) -> None:
        """Shake hands and send every short text frame back with the path it came in on (RFC 6455)."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        while (head := self.rfile.read(2)) and head[0] & 0x0F == 1:
            mask = self.rfile.read(4)
            text = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self.rfile.read(head[1] & 0x7F)))
            answer = self.path.encode() + b" " + text
            self.wfile.write(bytes([0x81, len(answer)]) + answer)
        self.wfile.write(bytes([0x88, 0]))

    def log_message(self, *_args: object) -> None:
        """Stay quiet."""


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
