"""The app's look for this user: theme and glyphs, chosen once and remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from textual.app import App
from textual.filter import LineFilter
from textual.theme import Theme

from warptui.screens.look import preferences
from warptui.screens.look.ascii_filter import AsciiFilter
from warptui.screens.look.glyphs import Drawing, suggested_drawing
from warptui.screens.look.preferences import Preferences, PreferencesError
from warptui.screens.look.themes import DARK, THEMES

# per kind of terminal; an ASCII-only terminal gets ASCII at every start
_KEPT_AS = {Drawing.QUADRANT: "glyphs", Drawing.BRAILLE: "glyphs_few_colours"}
_ARROWS = {"←": "left", "→": "right", "↑": "up", "↓": "down"}


class Appearance:
    """Our themes instead of Textual's, and the user's choice among them.

    An app makes one at the end of its ``__init__``, calls `mounted` when it is mounted, and passes
    its line filters and the keys that it displays through here.
    """

    def __init__(self, app: App, drawing: Drawing | None = None) -> None:
        self._app = app
        for name in [name for name in app.available_themes if name != app.theme]:
            app.unregister_theme(name)
        for theme in THEMES:
            app.register_theme(theme)
        builtin, app.theme = app.theme, DARK.name
        app.unregister_theme(builtin)
        self._problem = ""  # with the file of preferences
        try:
            self._preferred = preferences.read()
        except PreferencesError as problem:
            self._preferred = Preferences()
            self._problem = str(problem)
        if self._preferred.theme in app.available_themes:
            app.theme = self._preferred.theme
        self._ascii = AsciiFilter()
        self.drawing = drawing or self._suitable_drawing()
        app.set_class(self.drawing is Drawing.ASCII, "-ascii")

    def mounted(self) -> None:
        """Called when the app runs: remember changes of the theme, and show problems so far."""
        self._app.theme_changed_signal.subscribe(self._app, self._keep_theme)
        if self._problem:
            self._app.notify(self._problem, severity="warning", markup=False)

    def line_filters(self, given: Sequence[LineFilter]) -> Sequence[LineFilter]:
        """Textual's line filters, and one that leaves only ASCII where that is wanted."""
        return [*given, self._ascii] if self.drawing is Drawing.ASCII else given

    def key_display(self, shown: str) -> str:
        """A key as it is displayed; arrows as words in ASCII."""
        if self.drawing is Drawing.ASCII:
            for arrow, name in _ARROWS.items():
                shown = shown.replace(arrow, name)
        return shown

    def next_drawing(self) -> Drawing:
        """Switch to the next way of drawing, and remember it for this kind of terminal."""
        ways = list(Drawing)
        self._draw_as(ways[(ways.index(self.drawing) + 1) % len(ways)])
        return self.drawing

    def _draw_as(self, drawing: Drawing) -> None:
        self.drawing = drawing
        self._app.set_class(drawing is Drawing.ASCII, "-ascii")
        self._app.refresh()
        if key := _KEPT_AS.get(self._suggested()):
            self._keep(replace(self._preferred, **{key: str(drawing)}))

    def _suitable_drawing(self) -> Drawing:
        """The user's choice for terminals that show as much as this one, else the suggested one."""
        suggested = self._suggested()
        wanted = {
            "glyphs": self._preferred.glyphs,
            "glyphs_few_colours": self._preferred.glyphs_few_colours,
        }.get(_KEPT_AS.get(suggested, ""), "")
        return Drawing(wanted) if wanted in list(Drawing) else suggested

    def _suggested(self) -> Drawing:
        return suggested_drawing(self._app.console.color_system, self._app.no_color)

    def _keep_theme(self, theme: Theme) -> None:
        if theme.name != (self._preferred.theme or DARK.name):
            self._keep(replace(self._preferred, theme=theme.name))

    def _keep(self, preferred: Preferences) -> None:
        self._preferred = preferred
        try:
            preferences.write(preferred)
        except PreferencesError as problem:
            text = f"not kept for the next start: {problem}"
            self._app.notify(text, severity="warning", markup=False)
