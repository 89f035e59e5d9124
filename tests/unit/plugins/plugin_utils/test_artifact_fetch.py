"""An artifact that was built elsewhere: got once, from a real server, and only if it is the one that is meant."""

from __future__ import annotations

import base64
import http.server
import io
import tarfile
import threading
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._release_archive import sha256, unpack
from ansible_collections.minato.fleet.plugins.plugin_utils.artifact_fetch import FetchError, fetch, find, shown
from ansible_collections.minato.fleet.plugins.plugin_utils.artifact_store import Store

WRONG = "0" * 64


class Server:
    """What a server on this machine gives, by path, and what it was asked with."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.claimed = 0  # bytes that it promises beyond what it sends
        self.pause = 0.0  # seconds before each half of the answer
        self.elsewhere = ""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers["Authorization"]))
                if self.path.startswith("/moved"):
                    self.send_response(302)
                    self.send_header("Location", outer.elsewhere)
                    self.end_headers()
                    return
                body = outer.files.get(self.path.partition("?")[0])
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body) + outer.claimed))
                self.end_headers()
                half = len(body) // 2
                for part in (body[:half], body[half:]):
                    time.sleep(outer.pause)
                    self.wfile.write(part)

            def log_message(self, *_arguments: t.Any) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.http.shutdown()
    thread.join()
    made.http.server_close()


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    path = tmp_path / "api-1.4.2.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("server.js")
        member.size = 5000
        tar.addfile(member, io.BytesIO(b"x" * 5000))
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "cache"), "medical-api")


def app(url: str = "", path: str = "", digest: str = WRONG) -> dict[str, t.Any]:
    return {"name": "medical-api", "keep": 2, "artifact": {"url": url, "path": path, "sha256": digest}}


def kept(store: Store) -> list[str]:
    root = Path(store.root)
    return sorted(each.name for each in root.iterdir() if each.suffix != ".lock") if root.exists() else []


def test_a_url_is_asked_once(server: Server, packed: Path, store: Store, tmp_path: Path) -> None:
    server.files["/api.tar.gz"] = packed.read_bytes()
    wanted = app(f"{server.url}/api.tar.gz", digest=sha256(str(packed)))
    assert find(wanted, store) is None
    artifact, now = fetch(wanted, store, 60)
    again, not_now = fetch(wanted, store, 60)
    assert (now, not_now) == (True, False)
    assert artifact == again == find(wanted, store)
    assert len(server.asked) == 1
    assert artifact["size"] == packed.stat().st_size + 8192
    assert artifact["manifest"]["artifact"] == f"{server.url}/api.tar.gz"
    assert artifact["manifest"]["built_on"] == "elsewhere"
    (tmp_path / "out").mkdir()
    unpack(artifact["path"], str(tmp_path / "out"))
    assert (tmp_path / "out/server.js").read_text() == "x" * 5000


def test_another_file_is_refused_and_nothing_of_it_is_kept(server: Server, packed: Path, store: Store) -> None:
    server.files["/api.tar.gz"] = packed.read_bytes()
    with pytest.raises(FetchError) as refused:
        fetch(app(f"{server.url}/api.tar.gz"), store, 60)
    assert str(refused.value) == (
        f"medical-api: artifact: {server.url}/api.tar.gz has the SHA-256 {sha256(str(packed))}, and not {WRONG}."
        " Nothing of it was kept: write the checksum that its maker tells, or the place of the right file"
    )
    assert kept(store) == []


def test_what_was_spoilt_here_is_got_again(server: Server, packed: Path, store: Store) -> None:
    server.files["/api.tar.gz"] = packed.read_bytes()
    wanted = app(f"{server.url}/api.tar.gz", digest=sha256(str(packed)))
    artifact = fetch(wanted, store, 60)[0]
    Path(artifact["path"]).write_bytes(b"spoilt")
    assert find(wanted, store) is None
    assert fetch(wanted, store, 60) == (artifact, True)
    assert sha256(artifact["path"]) == sha256(str(packed))


def test_a_file_of_the_controller_stays_where_it_is(packed: Path, store: Store) -> None:
    wanted = app(path=str(packed), digest=sha256(str(packed)))
    artifact, now = fetch(wanted, store, 60)
    assert artifact == find(wanted, store)
    assert (artifact["path"], artifact["size"], now) == (str(packed), packed.stat().st_size + 8192, False)
    assert kept(store) == []
    with pytest.raises(FetchError, match=rf"{packed} has the SHA-256 \w+, and not {WRONG}\. Nothing of it was sent"):
        fetch(app(path=str(packed)), store, 60)
    with pytest.raises(FetchError, match=r"^medical-api: artifact: /nowhere is not on the controller: put it there"):
        fetch(app(path="/nowhere"), store, 60)


def test_a_password_goes_to_its_server_alone_and_is_not_shown(server: Server, packed: Path, store: Store) -> None:
    server.files["/api.tar.gz"] = packed.read_bytes()
    server.elsewhere = f"http://localhost:{server.http.server_port}/api.tar.gz?Signature=sekret"
    url = f"{server.url}/moved?token=sekret".replace("//", "//bot:p%40ss@")
    artifact = fetch(app(url, digest=sha256(str(packed))), store, 60)[0]
    login = "Basic " + base64.b64encode(b"bot:p@ss").decode()
    assert server.asked == [("/moved?token=sekret", login), ("/api.tar.gz?Signature=sekret", None)]
    assert artifact["manifest"]["artifact"] == f"{server.url}/moved"
    written = "".join(path.read_text() for path in Path(store.root).glob("*.json"))
    with pytest.raises(FetchError) as refused:
        fetch(app(url), store, 60)
    for secret in ("sekret", "p%40ss", "p@ss"):
        assert secret not in written + str(refused.value)


@pytest.mark.parametrize(
    ("change", "seconds", "message"),
    [
        ({"files": {}}, 60, r"api\.tar\.gz answered 404 Not Found"),
        ({"claimed": 10}, 60, r"api\.tar\.gz broke off after \d+ of \d+ bytes"),
        ({"pause": 0.7}, 1, r"api\.tar\.gz (took longer than|broke off|could not be asked)"),
    ],
)
def test_why_nothing_came_is_told(
    server: Server, packed: Path, store: Store, change: dict[str, t.Any], seconds: int, message: str
) -> None:
    server.files["/api.tar.gz"] = packed.read_bytes()
    for key, value in change.items():
        setattr(server, key, value)
    with pytest.raises(FetchError, match=message):
        fetch(app(f"{server.url}/api.tar.gz", digest=sha256(str(packed))), store, seconds)
    assert kept(store) == []


def test_a_server_that_is_not_there_is_told(store: Store) -> None:
    with pytest.raises(FetchError, match=r"api\.tar\.gz could not be asked: .*[Rr]efused"):
        fetch(app("http://127.0.0.1:9/api.tar.gz"), store, 5)


def test_what_is_no_archive_is_told(server: Server, tmp_path: Path, store: Store) -> None:
    page = tmp_path / "page"
    page.write_bytes(b"<html>Log in first</html>")
    server.files["/api.tar.gz"] = page.read_bytes()
    with pytest.raises(FetchError, match=r"api\.tar\.gz cannot be read as a tar archive"):
        fetch(app(f"{server.url}/api.tar.gz", digest=sha256(str(page))), store, 60)
    assert kept(store) == []


def test_a_url_is_shown_without_what_may_be_secret() -> None:
    assert shown("https://bot:p@files.test:8443/a/b.tar.gz?sig=x#y") == "https://files.test:8443/a/b.tar.gz"
