"""What the keys do here, what the glyphs mean: one window, made from the bindings."""

from __future__ import annotations

from textual.app import App
from textual.binding import Binding
from textual.screen import Screen

from warptui.screens.widgets.glyphs import Drawing, glyphs

_MEANINGS = {
    "done": "processed with the current settings",
    "running": "being processed now",
    "queued": "complete, waits for its turn",
    "waiting": "still being written",
    "outdated": "processed with other settings than the current ones",
    "failed": "could not be processed; the reason stands in its row",
    "missing": "the raw file is gone; results stay",
}


def help_text(app: App, screen: Screen, drawing: Drawing) -> str:
    """Keys of the focused pane, of the screen and of the app; then the glyphs."""
    focused = screen.focused
    lines: list[str] = []
    groups = [("This screen", screen), ("Everywhere", app)]
    if focused is not None:
        groups.insert(0, ("This pane", focused))
    for title, node in groups:
        seen: dict[str, list[str]] = {}
        for bindings in node._bindings.key_to_bindings.values():
            for binding in bindings:
                if binding.description and not binding.system:
                    shown = seen.setdefault(binding.description, [])
                    shown.append(app.get_key_display(_mapped(app, binding)))
        if seen:
            lines += ["", title]
            lines += [f"  {'  '.join(dict.fromkeys(k)):16} {text}" for text, k in seen.items()]
    characters = glyphs(drawing)
    lines += ["", "First glyph of a row: its state"]
    lines += [
        f"  {characters.states[state]}  {state:10} {_MEANINGS[state]}"
        for state in characters.states
    ]
    lines += ["", "Second glyph: whether it is selected (blank: it is)"]
    lines += [
        f"  {characters.filtered}  filtered   left out by the filters",
        f"  {characters.excluded}  excluded   left out by hand",
        f"  {characters.included}  included   taken by hand, whatever the filters say",
    ]
    lines += [
        "",
        "The engine is a program of its own: q leaves it running, and any number of viewers",
        "may watch it. Keys can be changed in [keys] of config.toml by their ids:",
        "",
    ]
    ids = sorted(
        {
            b.id
            for _, node in groups
            for bs in node._bindings.key_to_bindings.values()
            for b in bs
            if b.id
        }
    )
    lines += [f"  {name}" for name in ids]
    return "\n".join(lines).strip("\n")


def _mapped(app: App, binding: Binding) -> Binding:
    """The binding with the key that the user's key map gives it."""
    key = app._keymap.get(binding.id or "")
    return binding if key is None else binding.with_key(key.split(",")[0])
