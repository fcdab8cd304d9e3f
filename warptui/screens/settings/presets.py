"""Presets: settings kept for other sessions, as files in the form of config.toml.

No Textual here. A bare name lies in the user's own folder, anything else is a path.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import tomli

from warptui.engine.errors import SettingsError
from warptui.screens.settings.form import Values

HEADER = "# Settings for warptui: O in the settings screen loads them.\n"
OWN = {"input": ("folder",), "export": ("beam_shift_folder",)}  # settings of one session alone


def folder() -> Path:
    """The folder for presets given by a bare name."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "warptui" / "presets"


def names() -> list[str]:
    """Names of the presets in it."""
    try:
        return sorted(path.stem for path in folder().glob("*.toml"))
    except OSError:
        return []  # an unreadable folder holds no presets


def locate(text: str) -> Path:
    """The file of a preset, given by name or path."""
    path = Path(text).expanduser()
    if len(path.parts) == 1 and not text.startswith("."):
        path = folder() / path
    return path if path.suffix == ".toml" else path.with_name(f"{path.name}.toml")


def write(path: Path, values: Values, project: Path) -> None:
    """Write a preset; its paths become absolute, since other projects will use it.

    Raises
    ------
    SettingsError
        If the file cannot be written.
    """
    from warptui.engine.config import file
    from warptui.engine.config.checks import as_toml

    lines = [HEADER]
    for section, entries in _portable(values, project).items():
        lines += [f"[{section}]", *(f"{k} = {as_toml(v)}" for k, v in entries.items()), ""]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path, "\n".join(lines))
    except OSError as problem:
        raise SettingsError(f"{path}: {problem.strerror or problem}") from problem


def read(path: Path) -> Values:
    """Read the values of a preset, or of another session's config.toml.

    Raises
    ------
    SettingsError
        If the file cannot be read or is no TOML.
    """
    try:
        document = tomli.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as problem:
        raise SettingsError(f"{path} cannot be read: {problem}") from problem
    except tomli.TOMLDecodeError as problem:
        raise SettingsError(f"{path}: not valid TOML: {problem}") from problem
    document.pop("keys", None)
    return _portable(document, path.parent)


def _portable(values: dict[str, Any], base: Path) -> Values:
    """The values without those of one session, with paths made absolute."""
    from warptui.engine.config.checks import SECTIONS, is_path

    found = {
        section: dict(entries) if isinstance(entries, dict) else entries
        for section, entries in values.items()
    }
    for section, keys in OWN.items():
        if isinstance(own := found.get(section), dict):
            for key in keys:
                own.pop(key, None)
    for section, model in SECTIONS.items():
        entries = found.get(section)
        if not isinstance(entries, dict):
            continue
        for key, info in model.model_fields.items():
            if is_path(info) and isinstance(entries.get(key), str) and entries[key]:
                path = base / Path(entries[key]).expanduser()
                entries[key] = os.path.normpath(path.absolute())
    return found
