"""The notice bar under the status bar: the newest notice that no viewer has marked as seen."""

from __future__ import annotations

import textwrap

from rich.style import Style
from textual.strip import Strip

from warptui.engine.model.notices import Notice
from warptui.screens import words
from warptui.screens.keys.command_list import mapped
from warptui.screens.keys.tables.app import APP
from warptui.screens.widgets.line import BOLD, LineWidget

SEEN, JOBS = (
    next(binding for binding in APP if binding.id == name) for name in ("notice-seen", "jobs")
)


class NoticeBar(LineWidget):
    """Shows the newest unseen notice; takes no line without one."""

    DEFAULT_CSS = "NoticeBar { height: 1; display: none; }"

    def __init__(self, *, id: str | None = None, most_lines: int = 1) -> None:
        super().__init__(id=id)
        self.notices: tuple[Notice, ...] = ()
        self._most_lines = most_lines

    def show(self, notices: tuple[Notice, ...]) -> None:
        """Show the newest of these notices."""
        self.notices = notices
        self.display = bool(notices)
        if notices and self._most_lines > 1:
            self.styles.height = len(self._parts(self.app.size.width)[0])
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        if not self.notices:
            return []
        notice = self.notices[-1]
        alarm = self.colours["alert" if notice.level == "error" else "warning-text"]
        look = alarm + Style(reverse=True)
        texts, head, end = self._parts(width)
        lines = [self.line((head, look + BOLD), (texts[0], look + BOLD), (end, look))]
        blank = " " * len(head)
        lines += [
            self.line((blank, look), (text.ljust(max(0, width - len(head))), look + BOLD))
            for text in texts[1:]
        ]
        return lines

    def _parts(self, width: int) -> tuple[list[str], str, str]:
        """The newest notice in lines that fit, and the texts before and after its first line."""
        notice = self.notices[-1]
        more = f" +{len(self.notices) - 1}" if len(self.notices) > 1 else ""
        seen, jobs = (self.app.get_key_display(mapped(self.app, key)) for key in (SEEN, JOBS))
        head, end = f" ! {words.short_clock(notice.at)} ", f"{more}  {seen}: seen "
        room = max(0, width - len(head) - len(end))
        if len(notice.text) > room and self._most_lines == 1:
            end = f"{more}  {jobs}: all of it  {seen}: seen "
            room = max(0, width - len(head) - len(end))
        if len(notice.text) <= room or self._most_lines == 1:
            text = words.shorten_right(notice.text, room, self.glyphs.ellipsis)
            return [text.ljust(room)], head, end
        first, *rest = textwrap.wrap(notice.text, max(room, 8)) or [""]
        below = textwrap.wrap(" ".join(rest), max(width - len(head), 8))
        if len(below) >= self._most_lines:
            below = below[: self._most_lines - 1]
            below[-1] = words.shorten_right(below[-1] + "  ", len(below[-1]), self.glyphs.ellipsis)
        return [first.ljust(room), *below], head, end
