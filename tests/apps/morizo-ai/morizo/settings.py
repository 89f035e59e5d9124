"""What the app is told by its environment and by the file .env beside main.py; the environment counts more."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CATEGORIES = ("main", "sub", "soup")
# The real app calls these services; here they only have to be there.
REQUIRED = (
    *("SUPABASE_URL", "SUPABASE_KEY", "OPENAI_API_KEY", "OPENAI_MODEL", "OPENAI_EMBEDDING_MODEL"),
    *("PERPLEXITY_API_KEY", "GOOGLE_SEARCH_API_KEY", "GOOGLE_SEARCH_ENGINE_ID"),
)


class SettingsError(Exception):
    """The settings are wrong; names everything that is."""


@dataclass(frozen=True)
class Settings:
    """The settings as the app uses them."""

    stores: Mapping[str, Path]
    log_level: str
    log_file: Path | None
    environment: str
    test: bool


def settings_of(environment: Mapping[str, str], root: Path = ROOT) -> Settings:
    """Read the settings; relative paths count from the app's directory. Raises SettingsError."""
    wrong = [f"{name} is not set" for name in REQUIRED if not environment.get(name)]
    level = environment.get("LOG_LEVEL", "INFO").upper()
    if not isinstance(logging.getLevelName(level), int):
        wrong.append(f"LOG_LEVEL {level} is none: write DEBUG, INFO, WARNING or ERROR")
    if wrong:
        raise SettingsError("; ".join(wrong))
    names = {category: f"CHROMA_PERSIST_DIRECTORY_{category.upper()}" for category in CATEGORIES}
    log_file = environment.get("LOG_FILE")
    return Settings(
        stores={
            category: root / (environment.get(name) or f"recipe_vector_db_{category}")
            for category, name in names.items()
        },
        log_level=level,
        log_file=root / log_file if log_file else None,
        environment=environment.get("ENVIRONMENT", "development"),
        test=environment.get("TEST", "").lower() in ("1", "true", "yes"),
    )


def read_settings() -> Settings:
    """Read the settings of this process."""
    from dotenv import dotenv_values

    return settings_of({**{key: value or "" for key, value in dotenv_values(ROOT / ".env").items()}, **os.environ})
