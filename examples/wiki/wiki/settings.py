"""What an operator may decide: in wiki.toml, or in the environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from breezeway.web import load_config

FILE = Path(__file__).parents[1] / "wiki.toml"


@dataclass(frozen=True)
class Settings:
    """Settings of the wiki."""

    name: str = "Wiki"
    data: Path = Path("data")
    """Directory of the database, the sessions and the uploads; it is made if it is not there."""
    upload_megabytes: int = 10
    log_ins_per_minute: int = 20
    """Attempts to log in or to sign up from one address."""

    @property
    def uploads(self) -> Path:
        """Directory of the uploads."""
        return self.data / "uploads"


def load_settings() -> Settings:
    """Read them.

    Raises:
        ConfigError: something is wrong with them; it says everything that is.
    """
    return load_config(Settings, FILE, env_prefix="WIKI_")
