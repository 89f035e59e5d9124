"""What is set from outside: by the fleet file, and by a test while the cloud runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass
class Settings:
    """One for the whole process, as moto's state is."""

    # Seconds that a slow operation takes: an instance that is created is pending for so long.
    delay: float = 0.0
    # How far the cloud is ahead of the time, in seconds: what takes its time is over without waiting.
    ahead: float = 0.0
    # Items on a page of every list of Lightsail; 0 for as many as AWS puts there.
    page_size: int = 0
    # Seconds before each answer, by region; "default" for the others.
    latency: dict[str, float] = field(default_factory=dict)

    def change(self, values: dict[str, Any]) -> None:
        """Take over some of them."""
        for name, value in values.items():
            setattr(self, name, value)

    def reset(self) -> None:
        """Return to what they are at the start."""
        self.change(asdict(Settings()))

    def shown(self) -> dict[str, Any]:
        """Return them as data."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


SETTINGS = Settings()
