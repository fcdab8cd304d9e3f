"""The line under the status bar: what the engine wants somebody to know, until it was seen."""

from __future__ import annotations

from rich.style import Style
from textual.strip import Strip

from warptui.engine.items import Notice
from warptui.screens import words
from warptui.screens.bindings import APP_BINDINGS
from warptui.screens.command_list import mapped
from warptui.screens.widgets.line import BOLD, LineWidget

SEEN = next(binding for binding in APP_BINDINGS if binding.id == "notice-seen")


class NoticeBar(LineWidget):
    """The newest unseen notice; no line at all while there is none."""

    DEFAULT_CSS = "NoticeBar { height: 1; display: none; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.notices: tuple[Notice, ...] = ()

    def show(self, notices: tuple[Notice, ...]) -> None:
        """Show the newest of these."""
        self.notices = notices
        self.display = bool(notices)
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        if not self.notices:
            return []
        notice = self.notices[-1]
        alarm = self.colours["alert" if notice.level == "error" else "warning-text"]
        more = f" +{len(self.notices) - 1}" if len(self.notices) > 1 else ""
        key = self.app.get_key_display(mapped(self.app, SEEN))
        end = f"{more}  {key}: seen "
        head = f" ! {words.short_clock(notice.at)} "
        room = max(0, width - len(head) - len(end))
        text = words.shorten_right(notice.text, room, self.glyphs.ellipsis).ljust(room)
        look = alarm + Style(reverse=True)
        return [self.line((head, look + BOLD), (text, look + BOLD), (end, look))]
