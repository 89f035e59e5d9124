"""A small HTTP server: it hands calls on to the emulated cloud and keeps the answers, or gives kept answers again."""

from __future__ import annotations

import pickle
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

Key = tuple[str, str, str, bytes]
Kept = tuple[int, str, bytes]
HEAD = "HTTP/1.1 {status} OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nx-amzn-RequestId: replayed\r\n\r\n"


class Replay:
    """Answers by what was asked: service, region, operation and body."""

    def __init__(self, file: Path, upstream: str = "", latency: float = 0.0) -> None:
        self.file = file
        self.upstream = upstream
        self.latency = latency
        self.kept: dict[Key, Kept] = pickle.loads(file.read_bytes()) if file.exists() else {}
        self.calls = 0

    def listen(self) -> int:
        """Listen on a free port, and return it."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return int(listener.getsockname()[1])

    def _accept(self, listener: socket.socket) -> None:
        while True:
            connection, _address = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while line := stream.readline():
                path = line.split()[1].decode()
                headers = {}
                while (header := stream.readline()) not in (b"\r\n", b""):
                    name, _colon, value = header.decode("latin-1").partition(":")
                    headers[name.lower()] = value.strip()
                if headers.get("expect"):
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = stream.read(int(headers.get("content-length", 0)))
                status, kind, answer = self._answer(path, headers, body)
                if self.latency:
                    time.sleep(self.latency)
                head = HEAD.format(status=status, kind=kind, length=len(answer))
                connection.sendall(head.encode() + answer)

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> Kept:
        if path == "/_calls":
            return 200, "text/plain", str(self.calls).encode()
        _key, _day, region, service, _end = headers["authorization"].split("Credential=")[1].split(",")[0].split("/")
        key = (service, region, headers.get("x-amz-target", path), body)
        self.calls += 1
        if key not in self.kept:
            if not self.upstream:
                print(f"This was not recorded: {key}", file=sys.stderr, flush=True)
                return 500, "text/plain", b"not recorded"
            self.kept[key] = self._upstream(path, headers, body)
        return self.kept[key]

    def _upstream(self, path: str, headers: dict[str, str], body: bytes) -> Kept:
        if b"Action=DescribeInstances&" in body and b"MaxResults" not in body:
            # AWS puts a thousand on a page where nobody says how many; the emulated cloud a hundred.
            body += b"&MaxResults=1000"
        sent = {name: value for name, value in headers.items() if name not in ("host", "content-length", "expect")}
        try:
            with urllib.request.urlopen(urllib.request.Request(self.upstream + path, body, sent), timeout=600) as got:
                return got.status, got.headers.get("Content-Type", "text/xml"), got.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers.get("Content-Type", "text/xml"), error.read()

    def save(self) -> None:
        """Keep what was recorded."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_bytes(pickle.dumps(self.kept))


if __name__ == "__main__":
    # A process of its own: what it keeps in memory would count as that of the processes that are measured.
    print(Replay(Path(sys.argv[1]), latency=float(sys.argv[2])).listen(), flush=True)
    threading.Event().wait()
