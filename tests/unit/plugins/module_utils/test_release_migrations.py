"""Which migrations a release has, as its manifest says it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.minato.fleet.plugins.module_utils._release_migrations import (
    Migrations,
    MigrationsError,
    facts,
    listed,
    look,
)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    made = tmp_path / "release" / "db" / "migrations"
    (made / "20260101_first").mkdir(parents=True)
    (made / "__pycache__").mkdir()
    for name in ("0002_names.sql", "0001_start.sql", ".keep"):
        (made / name).touch()
    return tmp_path / "release"


def test_whatever_lies_in_the_directory_is_a_migration(release: Path) -> None:
    assert look(str(release), "db/migrations/") == (["0001_start.sql", "0002_names.sql", "20260101_first"], [])


def test_the_list_says_which_are_safe(release: Path) -> None:
    (release / "db/migrations/rollback-safe").write_text("0002_names.sql\n0003_gone.sql  # of last year\n")
    found = look(str(release), "db/migrations")
    assert found.safe == ["0002_names.sql", "0003_gone.sql"]
    assert found.unknown == ["0003_gone.sql"]
    assert "rollback-safe" not in found.names
    assert facts(found, "npm run migrate") == {
        "migrates": True,
        "migrations": ["0001_start.sql", "0002_names.sql", "20260101_first"],
        "rollback_safe": ["0002_names.sql", "0003_gone.sql"],
    }


def test_a_list_has_a_name_a_line() -> None:
    assert listed("# all of them\n\n  b.sql \na.sql # adds a column\nb.sql\n") == ["a.sql", "b.sql"]


@pytest.mark.parametrize("name", ["", "migrations"])
def test_no_directory_need_be_there(release: Path, name: str) -> None:
    assert look(str(release), name) == Migrations([], [])
    assert facts(look(str(release), name), " ")["migrates"] is False


def test_a_directory_that_was_named_must_be_there(release: Path) -> None:
    with pytest.raises(MigrationsError, match=r"^migrations is sql, which the release lacks: name another directory"):
        look(str(release), "sql")


def test_nothing_outside_the_release_is_read(release: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("private\n")
    (release / "migrations").symlink_to(tmp_path / "secret")
    with pytest.raises(MigrationsError, match=r"^migrations is migrations, which leads out of the release"):
        look(str(release), "migrations")
    (release / "db/migrations/rollback-safe").symlink_to(tmp_path / "secret" / "key")
    assert look(str(release), "db/migrations").safe == []
