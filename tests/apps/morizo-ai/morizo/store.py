"""A folder of recipes that finds what is alike: sqlite, and a vector of letter groups for each recipe."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from array import array
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

DIMENSIONS = 256


def embed(text: str) -> array[float]:
    """A vector of length 1: how often groups of three letters occur. Texts that share words point the same way."""
    vector = array("f", bytes(4 * DIMENSIONS))
    for word in text.lower().split():
        padded = f" {word} "
        for start in range(max(1, len(padded) - 2)):
            digest = hashlib.blake2b(padded[start : start + 3].encode(), digest_size=2).digest()
            vector[int.from_bytes(digest, "big") % DIMENSIONS] += 1
    length = math.sqrt(sum(each * each for each in vector)) or 1
    return array("f", (each / length for each in vector))


def likeness(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of two vectors of length 1."""
    return sum(left * right for left, right in zip(one, other, strict=True))


class Store:
    """The recipes of one category, in one folder."""

    def __init__(self, directory: Path) -> None:
        """Open the folder; it is made where it is missing."""
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        with self._transaction() as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS recipes"
                " (id INTEGER PRIMARY KEY, title TEXT NOT NULL UNIQUE, ingredients TEXT NOT NULL, vector BLOB NOT NULL)"
            )

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.directory / "recipes.sqlite3", timeout=10)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own, committed at the end; an error leaves nothing of it."""
        with closing(self._connect()) as database:
            yield database
            database.commit()

    def add(self, title: str, ingredients: Sequence[str]) -> int:
        """Keep a recipe, in place of one with the same title; it is on disk when this returns. Return its number."""
        vector = embed(" ".join([title, *ingredients])).tobytes()
        with self._transaction() as database:
            row = database.execute(
                "INSERT INTO recipes (title, ingredients, vector) VALUES (?, ?, ?)"
                " ON CONFLICT (title) DO UPDATE SET ingredients = excluded.ingredients, vector = excluded.vector"
                " RETURNING id",
                (title, json.dumps(list(ingredients)), vector),
            ).fetchone()
        return int(row[0])

    def count(self) -> int:
        """How many recipes there are."""
        with closing(self._connect()) as database:
            return int(database.execute("SELECT count(*) FROM recipes").fetchone()[0])

    def search(self, text: str, limit: int) -> list[dict[str, Any]]:
        """The recipes most like a text, the best first."""
        wanted = embed(text)
        with closing(self._connect()) as database:
            rows = database.execute("SELECT id, title, ingredients, vector FROM recipes").fetchall()
        found = [
            {
                "id": number,
                "title": title,
                "ingredients": json.loads(ingredients),
                "score": round(likeness(wanted, array("f", vector)), 4),
            }
            for number, title, ingredients, vector in rows
        ]
        return sorted(found, key=lambda each: (-each["score"], each["id"]))[:limit]
