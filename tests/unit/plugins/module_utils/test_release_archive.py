"""What an archive may hold, and that nothing of it lands outside the release."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._release_archive import ArchiveError, check_sum, unpack

MOMENT = 1743465600


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode, made.mtime = kind, link, mode, MOMENT
    made.size = 4 if kind == tarfile.REGTYPE else 0
    return made


def archive(path: Path, *members: tarfile.TarInfo) -> str:
    with tarfile.open(path, "w:gz") as tar:
        for each in members:
            tar.addfile(each, io.BytesIO(b"text") if each.isreg() else None)
    return str(path)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    (tmp_path / "releases").mkdir()
    made = tmp_path / "releases" / "0001"
    made.mkdir()
    return made


def test_files_directories_and_links_come_out(tmp_path: Path, release: Path) -> None:
    packed = archive(
        tmp_path / "good.tar.gz",
        member(".", tarfile.DIRTYPE),
        member("./bin/", tarfile.DIRTYPE, mode=0o777),
        member("./bin/run", mode=0o4777),
        member("deep/er/text", mode=0o600),
        member("deep/same", tarfile.LNKTYPE, "deep/er/text"),
        member("deep/link", tarfile.SYMTYPE, "../bin/run"),
    )
    unpack(packed, str(release))
    assert (release / "deep/er/text").read_text() == (release / "deep/same").read_text() == "text"
    assert (release / "deep/same").stat().st_nlink == 1
    assert os.readlink(release / "deep/link") == "../bin/run"
    modes = [(release / name).stat().st_mode & 0o7777 for name in ("bin/run", "deep/er/text")]
    assert modes == [0o750, 0o640]
    assert (release / "bin/run").stat().st_mtime == MOMENT


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([member("../evil")], r"has \.\./evil, which leads out of the release"),
        ([member("a/../../evil")], r"has a/\.\./\.\./evil, which leads out of the release"),
        ([member("/tmp/evil")], "has /tmp/evil, which leads out of the release"),
        ([member("..", tarfile.DIRTYPE)], r"has \.\., which leads out of the release"),
        ([member("out", tarfile.SYMTYPE, ".."), member("out/evil")], "has out/evil, which leads out of the release"),
        ([member("in", tarfile.SYMTYPE, "."), member("in/evil")], "has in/evil, which leads out of the release"),
        ([member("out", tarfile.SYMTYPE, "/etc")], "has out, a link that leads out of the release"),
        ([member("out", tarfile.SYMTYPE, "../..")], "has out, a link that leads out of the release"),
        (
            [member("a/up", tarfile.SYMTYPE, ".."), member("out", tarfile.SYMTYPE, "a/up/../x")],
            "has out, a link that leads out of the release",
        ),
        ([member("out", tarfile.LNKTYPE, "../evil")], "cannot be read: .*evil"),
        ([member("null", tarfile.CHRTYPE)], "has null, which is neither a file, a directory nor a link"),
        ([member("disk", tarfile.BLKTYPE)], "has disk, which is neither a file, a directory nor a link"),
        ([member("pipe", tarfile.FIFOTYPE)], "has pipe, which is neither a file, a directory nor a link"),
        ([member("one"), member("./one")], r"has \./one twice"),
        ([member("one", tarfile.SYMTYPE, "two"), member("one", tarfile.DIRTYPE)], "has one twice"),
    ],
)
def test_what_does_not_belong_in_a_release_is_refused(
    tmp_path: Path, release: Path, members: list[tarfile.TarInfo], message: str
) -> None:
    packed = archive(tmp_path / "bad.tar.gz", *members)
    before = sorted(tmp_path.glob("*")) + sorted(tmp_path.glob("releases/*"))
    with pytest.raises(ArchiveError, match=f"^the archive {message}"):
        unpack(packed, str(release))
    assert sorted(tmp_path.glob("*")) + sorted(tmp_path.glob("releases/*")) == before
    assert not Path("/tmp/evil").exists()


@pytest.mark.parametrize("cut", [0, 10, 60])
def test_what_is_no_archive_is_told(tmp_path: Path, release: Path, cut: int) -> None:
    packed = Path(archive(tmp_path / "cut.tar.gz", member("one"), member("two")))
    packed.write_bytes(packed.read_bytes()[:cut])
    with pytest.raises(ArchiveError, match="cannot be read"):
        unpack(str(packed), str(release))


def test_another_archive_is_told_by_its_checksum(tmp_path: Path) -> None:
    packed = Path(archive(tmp_path / "one.tar.gz", member("one")))
    right = hashlib.sha256(packed.read_bytes()).hexdigest()
    check_sum(str(packed), right)
    packed.write_bytes(packed.read_bytes() + b"x")
    wrong = hashlib.sha256(packed.read_bytes()).hexdigest()
    with pytest.raises(ArchiveError, match=f"^the archive that came has the SHA-256 {wrong}, and not {right}"):
        check_sum(str(packed), right)
