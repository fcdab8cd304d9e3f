"""Reads config.toml, compares settings with it, and applies changes. Files only, no Textual."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warptui.engine.errors import SettingsError
from warptui.screens.link.feed import Engine
from warptui.screens.settings.form import Field, Values


@dataclass(frozen=True)
class OnDisk:
    """The present content of config.toml."""

    written: Values = field(default_factory=dict)
    meant: Values = field(default_factory=dict)  # paths made absolute, as in the engine's settings
    problem: str = ""


def read_disk(project: Path) -> OnDisk:
    """Read config.toml."""
    from warptui.engine.config import file

    try:
        loaded = file.load(project)
    except SettingsError as problem:
        return OnDisk(problem=str(problem))
    return OnDisk(loaded.written, loaded.config.to_json())


def missing(entry: Field, path: Path) -> str:
    """A warning about the file or folder that a setting names; empty if it exists."""
    if entry.key == "folder":
        return "" if path.is_dir() else f"the folder {path} is not there"
    return "" if path.is_file() else f"the file {path} is not there: nothing is processed without"


def apply(client: Engine, changes: Values, *, locked: bool) -> None:
    """Apply changed settings; pauses processing for that, and continues in any case."""
    if locked:
        client.pause()
    try:
        if changes:
            client.change(changes)
        else:
            client.reload()  # only the file was edited
    finally:
        if locked:
            client.start()


def listing(title: str, values: Values, found: list[tuple[Field, Any]]) -> str:
    """Differences as text: each value before and now."""
    lines = []
    for entry, other in found:
        now = values.get(entry.section, {}).get(entry.key, entry.default)
        unit = f" {entry.unit}" if entry.unit else ""
        before = entry.show(other) or "none"
        lines.append(f"  {entry.name:32} {before} -> {entry.show(now) or 'none'}{unit}")
    return "\n".join([title, *(lines or ["  nothing"])])
