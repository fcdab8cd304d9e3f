"""A user's preferences in all projects: theme and glyphs.

Kept in ``$XDG_CONFIG_HOME/warptui/app.toml`` (``~/.config``), because config.toml belongs to the
session and to everybody who watches it.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path


class PreferencesError(ValueError):
    """The file cannot be used; the message says why."""


@dataclass(frozen=True)
class Preferences:
    """The preferences; an empty one means: what suits the terminal."""

    theme: str = ""
    glyphs: str = ""
    glyphs_few_colours: str = ""  # for terminals with 16 colours or without colours


def path() -> Path:
    """The file that holds them."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "warptui" / "app.toml"


def read() -> Preferences:
    """Read this user's preferences; defaults where the file does not exist.

    Raises
    ------
    PreferencesError
        When the file cannot be read.
    """
    file = path()
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Preferences()
    except (OSError, ValueError) as problem:
        raise PreferencesError(f"{file}: {problem}") from problem
    known = {key: value for key, value in values.items() if key in Preferences.__annotations__}
    if wrong := [key for key, value in known.items() if not isinstance(value, str)]:
        raise PreferencesError(f"{file}: {', '.join(wrong)}: expected a text in quotes")
    return Preferences(**known)


def write(preferences: Preferences) -> None:
    """Save the preferences for the next start.

    Raises
    ------
    PreferencesError
        When the file cannot be written.
    """
    file = path()
    lines = [f'{key} = "{value}"' for key, value in asdict(preferences).items() if value]
    beside = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text("\n".join(lines) + "\n", encoding="utf-8")
        beside.replace(file)
    except OSError as problem:
        raise PreferencesError(f"{file}: {problem}") from problem
