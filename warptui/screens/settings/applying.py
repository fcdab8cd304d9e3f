"""Pure but for files: config.toml as it is, what differs from it, and applying changes to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warptui.engine.errors import SettingsError
from warptui.screens.link.feed import Engine
from warptui.screens.settings.form import Field, Values


@dataclass(frozen=True)
class OnDisk:
    """config.toml as it is now."""

    written: Values = field(default_factory=dict)
    meant: Values = field(default_factory=dict)  # with paths made absolute, as the engine says them
    problem: str = ""


def read_disk(project: Path) -> OnDisk:
    """config.toml as it is now."""
    from warptui.engine.config import file

    try:
        loaded = file.load(project)
    except SettingsError as problem:
        return OnDisk(problem=str(problem))
    return OnDisk(loaded.written, loaded.config.to_json())


def missing(entry: Field, path: Path) -> str:
    """What to know about a file or folder that a setting names."""
    if entry.key == "folder":
        return "" if path.is_dir() else f"the folder {path} is not there"
    return "" if path.is_file() else f"the file {path} is not there: nothing is processed without"


def apply(client: Engine, changes: Values, *, locked: bool) -> None:
    """Change the settings; while processing runs it is paused for that, and goes on in any case."""
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
    """Differences as text: what was before, what is now."""
    lines = []
    for entry, other in found:
        now = values.get(entry.section, {}).get(entry.key, entry.default)
        unit = f" {entry.unit}" if entry.unit else ""
        before = entry.show(other) or "none"
        lines.append(f"  {entry.name:32} {before} -> {entry.show(now) or 'none'}{unit}")
    return "\n".join([title, *(lines or ["  nothing"])])
