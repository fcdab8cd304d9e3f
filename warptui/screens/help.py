"""What the keys do here, what the glyphs mean: one window, made from the bindings."""

from __future__ import annotations

from textual.app import App
from textual.screen import Screen

from warptui.screens.command_list import mapped
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
            lines += [
                f"  {'  '.join(keys[name]):14} {text:52} {name}" for name, text in texts.items()
            ]
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
        "may watch it. On the right above: the ids by which [keys] of config.toml changes keys.",
    ]
    return "\n".join(lines).strip("\n")
