"""The help window: what each key does here and what the glyphs mean, made from the bindings."""

from __future__ import annotations

import textwrap

from textual.app import App
from textual.screen import Screen

from warptui.screens.keys.command_list import mapped
from warptui.screens.keys.names import key_name
from warptui.screens.look.glyphs import TRAINING_MARKS, Drawing, glyphs

_MEANINGS = {
    "done": "processed with the current settings",
    "running": "being processed now",
    "queued": "complete, waits for its turn",
    "waiting": "still being written",
    "outdated": "processed with other settings than the current ones",
    "failed": "could not be processed; its row shows the reason",
    "missing": "the raw file is gone; results stay",
}
_TRAINING = (
    (TRAINING_MARKS["examples"], "example", "its picks are learned"),
    (TRAINING_MARKS["held-out"], "held out", "a trained network is measured on it"),
)
_LAST = (
    "The engine is a program of its own: {detach} leaves it running, and any number of viewers "
    "may watch it. On the right above: the ids by which [keys] of config.toml changes keys."
)
KEYS_WIDTH = 16


def help_text(app: App, screen: Screen, drawing: Drawing, width: int = 100) -> str:
    """Keys of the focused pane, of the screen and of the app; then the glyphs."""
    focused = screen.focused
    lines: list[str] = []
    groups = [("This screen", screen), ("Everywhere", app)]
    if focused is not None:
        name = str(focused.border_title or "").strip()
        groups.insert(0, (f"This pane: {name}" if name else "This pane", focused))
    for title, node in groups:
        keys: dict[str, list[str]] = {}
        texts: dict[str, str] = {}
        for bindings in node._bindings.key_to_bindings.values():
            for binding in bindings:
                if binding.id and binding.description:
                    texts[binding.id] = binding.tooltip or binding.description
                    shown = app.get_key_display(mapped(app, binding))
                    if shown not in keys.setdefault(binding.id, []):
                        keys[binding.id].append(shown)
        if keys:
            lines += ["", title]
            for name, text in texts.items():
                lines += _entry("  ".join(keys[name]), text, name, width)
    characters = glyphs(drawing)
    choices = (
        (characters.filtered, "filtered", "left out by the filters"),
        (characters.excluded, "excluded", "left out by hand"),
        (characters.included, "included", "taken by hand, whatever the filters say"),
    )
    states = ((characters.states[state], state, _MEANINGS[state]) for state in characters.states)
    for title, meanings in (
        ("First glyph of a row: its state", states),
        ("Second glyph: whether it is selected (blank: it is)", choices),
        ("Third glyph: its part in the training of BoxNet (blank: none)", _TRAINING),
    ):
        lines += ["", *textwrap.wrap(title, width)]
        for glyph, name, text in meanings:
            line = f"  {glyph}  {name:10} {text}"
            lines += textwrap.wrap(line, width, subsequent_indent=" " * 16)
    detach = key_name(app._keymap, "detach")
    lines += ["", *textwrap.wrap(_LAST.format(detach=detach), width)]
    return "\n".join(lines).strip("\n")


def _entry(keys: str, text: str, name: str, width: int) -> list[str]:
    """A key and what it does, with its id at the right end where the line is long enough."""
    head = f"  {keys} ".ljust(KEYS_WIDTH + 1)
    lines = textwrap.wrap(
        text,
        max(KEYS_WIDTH + 20, width),
        initial_indent=" " * len(head),
        subsequent_indent=" " * (KEYS_WIDTH + 1),
    ) or [""]
    lines[0] = head + lines[0].lstrip()
    if len(lines[-1]) + 2 + len(name) > width:
        lines.append("")
    lines[-1] += name.rjust(width - len(lines[-1]))
    return lines
