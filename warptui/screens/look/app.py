"""How the app looks to this person: theme and glyphs, chosen once and remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from textual.binding import Binding
from textual.filter import LineFilter
from textual.theme import Theme

from warptui.screens.keys.order import KeyOrderApp
from warptui.screens.look import preferences
from warptui.screens.look.ascii_filter import AsciiFilter
from warptui.screens.look.glyphs import Drawing, suggested_drawing
from warptui.screens.look.palette import VARIABLES
from warptui.screens.look.preferences import Preferences, PreferencesError
from warptui.screens.look.themes import DARK, THEMES

# by what suits a terminal; one that shows nothing but ASCII gets that at every start
_KEPT_AS = {Drawing.QUADRANT: "glyphs", Drawing.BRAILLE: "glyphs_few_colours"}
_ARROWS = {"←": "left", "→": "right", "↑": "up", "↓": "down"}


class LookApp(KeyOrderApp):
    """An app with our themes, and with the user's preferences among them."""

    def __init__(self, drawing: Drawing | None = None) -> None:
        super().__init__()
        for name in [name for name in self.available_themes if name != self.theme]:
            self.unregister_theme(name)
        for theme in THEMES:
            self.register_theme(theme)
        builtin, self.theme = self.theme, DARK.name
        self.unregister_theme(builtin)
        self._complaint = ""
        try:
            self._preferred = preferences.read()
        except PreferencesError as problem:
            self._preferred = Preferences()
            self._complaint = str(problem)
        if self._preferred.theme in self.available_themes:
            self.theme = self._preferred.theme
        self._ascii = AsciiFilter()
        self.drawing = drawing or self._suitable_drawing()
        self.set_class(self.drawing is Drawing.ASCII, "-ascii")

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return VARIABLES

    def _suitable_drawing(self) -> Drawing:
        """What was chosen in a terminal that can show as much as this one, else what suits it."""
        suggested = self._suggested()
        wanted = getattr(self._preferred, _KEPT_AS[suggested]) if suggested in _KEPT_AS else ""
        return Drawing(wanted) if wanted in list(Drawing) else suggested

    def _suggested(self) -> Drawing:
        return suggested_drawing(self.console.color_system, self.no_color)

    def get_line_filters(self) -> Sequence[LineFilter]:
        given = super().get_line_filters()
        return [*given, self._ascii] if self.drawing is Drawing.ASCII else given

    def get_key_display(self, binding: Binding) -> str:
        shown = super().get_key_display(binding)
        if self.drawing is Drawing.ASCII:
            for arrow, name in _ARROWS.items():
                shown = shown.replace(arrow, name)
        return shown

    def on_mount(self) -> None:
        """Also called for derived classes, after their own."""
        self.theme_changed_signal.subscribe(self, self._keep_theme)
        if self._complaint:
            self.notify(self._complaint, severity="warning", markup=False)

    def _keep_theme(self, theme: Theme) -> None:
        if theme.name != (self._preferred.theme or DARK.name):
            self._keep(replace(self._preferred, theme=theme.name))

    def keep_drawing(self, drawing: Drawing) -> None:
        """Draw so from now on, also after the next start in such a terminal."""
        self.drawing = drawing
        self.set_class(drawing is Drawing.ASCII, "-ascii")
        self.refresh()
        if key := _KEPT_AS.get(self._suggested()):
            self._keep(replace(self._preferred, **{key: str(drawing)}))

    def _keep(self, preferred: Preferences) -> None:
        self._preferred = preferred
        try:
            preferences.write(preferred)
        except PreferencesError as problem:
            self.notify(f"not kept for the next start: {problem}", severity="warning", markup=False)
