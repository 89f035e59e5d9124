# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The parts of the FastAPI app that need no package; what serves HTTP is driven by the scenarios."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

APP = Path(__file__).parents[2] / "apps/morizo-ai"


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a part of the app by its name."""
    monkeypatch.syspath_prepend(str(APP))

    def get(name: str) -> ModuleType:
        return importlib.import_module(f"morizo.{name}")

    return get


def example() -> dict[str, str]:
    """What .env.example says, with every key given a value."""
    lines = (APP / ".env.example").read_text(encoding="utf-8").splitlines()
    return {key: value or "given" for key, _is, value in (line.partition("=") for line in lines)}


def test_what_is_kept_is_there_for_the_next_process_and_found_by_likeness(part: Any, tmp_path: Path) -> None:
    store = part("store").Store(tmp_path / "recipe_vector_db_main")
    store.add("Chicken curry", ["chicken", "onion", "curry powder"])
    store.add("Grilled mackerel", ["mackerel", "salt"])
    again = part("store").Store(tmp_path / "recipe_vector_db_main")
    assert again.count() == 2
    found = again.search("curry with chicken", 2)
    assert [each["title"] for each in found] == ["Chicken curry", "Grilled mackerel"]
    assert found[0]["score"] > found[1]["score"]
    assert found[0]["ingredients"] == ["chicken", "onion", "curry powder"]


def test_a_title_is_kept_once(part: Any, tmp_path: Path) -> None:
    store = part("store").Store(tmp_path)
    first = store.add("Miso soup", ["miso"])
    assert store.add("Miso soup", ["miso", "tofu"]) == first
    assert store.search("miso", 5)[0]["ingredients"] == ["miso", "tofu"]
    assert store.count() == 1


def test_the_example_names_every_setting_and_works(part: Any) -> None:
    settings = part("settings").settings_of(example(), Path("/opt/morizo"))
    assert settings.stores == {
        "main": Path("/opt/morizo/recipe_vector_db_main"),
        "sub": Path("/opt/morizo/recipe_vector_db_sub"),
        "soup": Path("/opt/morizo/recipe_vector_db_soup"),
    }
    assert settings.log_file == Path("/opt/morizo/morizo_ai.log")
    assert not settings.test


def test_everything_that_is_missing_is_named_at_once(part: Any) -> None:
    settings = part("settings")
    with pytest.raises(settings.SettingsError) as caught:
        settings.settings_of({**example(), "OPENAI_API_KEY": "", "SUPABASE_KEY": "", "LOG_LEVEL": "loud"})
    assert str(caught.value) == (
        "SUPABASE_KEY is not set; OPENAI_API_KEY is not set;"
        " LOG_LEVEL LOUD is none: write DEBUG, INFO, WARNING or ERROR"
    )


def test_a_log_that_was_moved_away_is_opened_anew(part: Any, tmp_path: Path) -> None:
    file = tmp_path / "morizo_ai.log"
    log = part("log").configure("INFO", file)
    log.info("before")
    file.rename(tmp_path / "morizo_ai.log.1")
    log.info("after")
    assert file.read_text(encoding="utf-8").endswith("INFO after\n")
    part("log").configure("INFO", None)


def test_the_release_is_what_the_deploy_wrote(part: Any, tmp_path: Path) -> None:
    assert part("release").read_release(tmp_path) == {"release": None, "commit": None}
    (tmp_path / "RELEASE.json").write_text(json.dumps({"id": "0007-3f2a9c01b7de", "commit": "3f2a"}), encoding="utf-8")
    assert part("release").read_release(tmp_path) == {"release": "0007-3f2a9c01b7de", "commit": "3f2a"}


def test_every_requirement_is_pinned_by_version_and_hash() -> None:
    lines = re.sub(r"\\\n", " ", (APP / "requirements.txt").read_text(encoding="utf-8")).splitlines()
    pins = [line for line in lines if line and not line.lstrip().startswith("#")]
    asked = (APP / "requirements.in").read_text(encoding="utf-8").splitlines()
    names = {re.split(r"==", pin)[0] for pin in pins}
    assert {line for line in asked if not line.startswith("#")} <= names
    assert all("==" in pin and "--hash=sha256:" in pin for pin in pins), pins
