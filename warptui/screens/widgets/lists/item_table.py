"""The list of items; draws only the visible rows, so that 100,000 items cost no more than a few."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBarRender
from textual.strip import Strip

from warptui.engine.model.item import State
from warptui.engine.model.row import ItemRow
from warptui.engine.model.summary import Summary
from warptui.screens import words
from warptui.screens.keys.tables.lists import ITEMS
from warptui.screens.link.mirror import Mirror
from warptui.screens.look.glyphs import (
    Drawing,
    Glyphs,
    choice_glyph,
    glyphs,
    plain,
    training_glyph,
)
from warptui.screens.look.palette import Palette, palette
from warptui.screens.overview.sorting import (
    ARRIVAL,
    NAME,
    STATE,
    Sort,
    first_look,
    places,
    sortable,
)

MARKS_WIDTH = 4  # width of state, choice and training, and a space
NAME_WIDTH = 16  # least width; columns on the right are left out before it shrinks further


class PlainScrollBar(ScrollBarRender):
    """A scroll bar of coloured cells, without characters that an old font lacks."""

    VERTICAL_BARS = [" "] * 8


class ItemTable(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows of a `Mirror` in the order of ``order``, with a cursor and a range to mark."""

    BINDINGS = list(ITEMS)

    cursor: reactive[int] = reactive(0, repaint=False)  # row of the cursor in `order`
    drawing: reactive[Drawing] = reactive(Drawing.QUADRANT)

    @dataclass
    class Moved(Message):
        """The user moved the cursor to an item."""

        name: str

    @dataclass
    class Opened(Message):
        """The user opened an item."""

        name: str

    @dataclass
    class Sorted(Message):
        """The user asked for another order."""

        sort: Sort | None

    class Fitted(Message):
        """The columns that fit may have changed."""

    class Marked(Message):
        """The user began or ended to mark a range."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.mirror = Mirror()
        self.sort: Sort | None = None
        self.order = np.zeros(0, dtype=np.intp)
        self._places = np.zeros(0, dtype=np.intp)  # row of every item in `order`; -1 = not listed
        self.mark_from: int | None = None  # the row where the marked range began

    def watch_drawing(self, drawing: Drawing) -> None:
        bar = PlainScrollBar if drawing is Drawing.ASCII else ScrollBarRender
        self.vertical_scrollbar.renderer = bar  # pyright: ignore[reportAttributeAccessIssue]

    # showing data

    def show_items(
        self, mirror: Mirror, order: np.ndarray, current: str | None, sort: Sort | None = None
    ) -> None:
        """Show the items ``order`` (numbers of the mirror's rows), with the cursor on one."""
        marked = self._name_at(self.mark_from)
        self.mirror, self.order, self.sort = mirror, order, sort
        self._places = places(order, len(mirror))
        self.virtual_size = Size(self.width, len(order) + self.header_height)
        self.mark_from = self._position_of(marked) if marked else None
        position = self._position_of(current) if current else None
        last = max(0, len(order) - 1)
        self.set_reactive(
            ItemTable.cursor, min(self.cursor, last) if position is None else position
        )
        self.scroll_to_cursor()
        self.refresh()

    def refresh_items(self, names: set[str]) -> None:
        """Repaint the rows of these items, if they are visible."""
        top = self.scroll_offset.y
        seen = self.order[top : top + self.body_height]
        known = self.mirror.names
        for line, number in enumerate(seen.tolist()):
            if known[number] in names:
                self._refresh_line(line + self.header_height)

    @property
    def current(self) -> ItemRow | None:
        """The item under the cursor."""
        return self.mirror.rows[self.order[self.cursor]] if len(self.order) else None

    @property
    def marked(self) -> list[ItemRow]:
        """The marked range, or the item under the cursor."""
        if not len(self.order):
            return []
        low, high = sorted((self.cursor, self.cursor if self.mark_from is None else self.mark_from))
        return [self.mirror.rows[number] for number in self.order[low : high + 1].tolist()]

    @property
    def width(self) -> int:
        """Columns without the scroll bar."""
        return self.scrollable_content_region.width

    @property
    def header_height(self) -> int:
        """Lines of the header: labels, and units where there is room."""
        return 2 if self.size.height >= 16 else 1

    @property
    def body_height(self) -> int:
        """Number of visible rows."""
        return max(1, self.size.height - self.header_height)

    def _name_at(self, position: int | None) -> str | None:
        if position is None or position >= len(self.order):
            return None
        return self.mirror.names[self.order[position]]

    def _position_of(self, name: str) -> int | None:
        number = self.mirror.index.get(name)
        if number is None:
            return None
        found = int(self._places[number]) if number < len(self._places) else -1
        return found if found >= 0 else None

    # moving the cursor

    def go_to(self, position: int) -> None:
        """Put the cursor on a row; beyond the ends, on the nearest one."""
        if len(self.order):
            self.cursor = min(max(position, 0), len(self.order) - 1)

    def go_to_item(self, name: str) -> bool:
        """Put the cursor on an item; False if the filter hides it."""
        position = self._position_of(name)
        if position is not None:
            self.cursor = position
        return position is not None

    def watch_cursor(self, old: int, new: int) -> None:
        top = self.scroll_offset.y
        self.scroll_to_cursor()
        if self.mark_from is not None or self.scroll_offset.y != top:
            self.refresh()
        else:
            self._refresh_line(old - top + self.header_height)
            self._refresh_line(new - top + self.header_height)

    def _go_by_hand(self, position: int) -> None:
        """Move the cursor for the user, and post `Moved`; moves by the program post nothing."""
        self.go_to(position)
        if (row := self.current) is not None:
            self.post_message(self.Moved(row.name))

    def scroll_to_cursor(self) -> None:
        """Scroll no further than needed to show the cursor."""
        top = self.scroll_offset.y
        ahead = min(2, self.body_height // 4)  # with some rows beyond the cursor
        if self.cursor - ahead < top:
            top = max(0, self.cursor - ahead)
        elif self.cursor + ahead >= top + self.body_height:
            top = self.cursor + ahead - self.body_height + 1
        else:
            return
        self.scroll_to(y=top, animate=False, immediate=True)

    def action_move(self, step: int) -> None:
        self._go_by_hand(self.cursor + step)

    def action_page(self, pages: int) -> None:
        self._go_by_hand(self.cursor + pages * (self.body_height - 1))

    def action_jump(self, position: int) -> None:
        self._go_by_hand(position if position >= 0 else len(self.order) - 1)

    def action_open(self) -> None:
        if (row := self.current) is not None:
            self.post_message(self.Opened(row.name))

    def action_mark(self) -> None:
        self.mark_from = self.cursor if self.mark_from is None else None
        self.post_message(self.Marked())
        self.refresh()

    def action_sort_by(self, step: int) -> None:
        keys = (None, *sortable(self.mirror.summaries))
        now = self.sort[0] if self.sort is not None and self.sort[0] in keys else None
        key = keys[(keys.index(now) + step) % len(keys)]
        sort = None if key is None else first_look(key, self.mirror.summaries)
        self.post_message(self.Sorted(sort))

    def action_turn_order(self) -> None:
        key, descending = self.sort or (ARRIVAL, False)
        turned = (key, not descending)
        self.post_message(self.Sorted(None if turned == (ARRIVAL, False) else turned))

    def on_click(self, event: events.Click) -> None:
        here = event.get_content_offset(self)  # the frame belongs to the widget
        if here is None:
            return
        position = here.y - self.header_height + self.scroll_offset.y
        if here.y < self.header_height:
            self._sort_by_click(here.x)
        elif 0 <= position < len(self.order):
            again = position == self.cursor and event.chain == 2
            self._go_by_hand(position)
            if again:
                self.action_open()

    def _sort_by_click(self, x: int) -> None:
        edges = [(self.width - width, summary.key) for summary, width in self._with_right_edges()]
        key = next((key for left, key in reversed(edges) if x >= left), None)
        key = key or (STATE if x < MARKS_WIDTH else NAME)
        if self.sort is not None and self.sort[0] == key:
            self.action_turn_order()
        else:
            self.post_message(self.Sorted(first_look(key, self.mirror.summaries)))

    def _with_right_edges(self) -> list[tuple[Summary, int]]:
        """Columns with the width that they and those to their right take."""
        columns, rest = self.columns(), 0
        found = []
        for summary, width in reversed(columns):
            rest += width
            found.append((summary, rest))
        return found[::-1]

    # drawing rows

    def on_resize(self) -> None:
        self.virtual_size = Size(self.width, len(self.order) + self.header_height)
        self.scroll_to_cursor()
        self.post_message(self.Fitted())

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def _refresh_line(self, y: int) -> None:
        if 0 <= y < self.size.height:
            self.refresh(Region(0, y, self.width, 1))

    def columns(self) -> list[tuple[Summary, int]]:
        """The summary values that fit, with their widths; the sorted one is always among them."""
        widths = [
            (summary, max(len(summary.label) + 1, 4 + summary.digits) + 1)
            for summary in self.mirror.summaries
        ]
        room = self.width - MARKS_WIDTH - NAME_WIDTH
        fitting = 0
        while fitting < len(widths) and widths[fitting][1] <= room:
            room -= widths[fitting][1]
            fitting += 1
        shown, rest = widths[:fitting], widths[fitting:]
        wanted = [entry for entry in rest if self.sort and entry[0].key == self.sort[0]]
        if wanted:
            room -= wanted[0][1]
            while shown and room < 0:
                room += shown.pop()[1]
            shown += wanted
        return shown

    def render_line(self, y: int) -> Strip:
        colours, characters = palette(self.app), glyphs(self.drawing)
        base = self.rich_style
        if y < self.header_height:
            return self._header(y, base, colours)
        position = y - self.header_height + self.scroll_offset.y
        if position >= len(self.order):
            return Strip.blank(self.width, base)
        if position == self.cursor:
            base += colours.on("row-cursor" if self.has_focus else "row-cursor-dim")
            base += Style(bold=True, reverse=self.app.no_color)
        elif self.mark_from is not None and self._between(position):
            base += colours.on("row-marked") + Style(underline=self.app.no_color)
        return self._row(self.mirror.rows[self.order[position]], base, colours, characters)

    def _between(self, position: int) -> bool:
        start = self.cursor if self.mark_from is None else self.mark_from
        return min(self.cursor, start) <= position <= max(self.cursor, start)

    def _header(self, y: int, base: Style, colours: Palette) -> Strip:
        columns = self.columns()
        name_width = self.width - MARKS_WIDTH - sum(width for _, width in columns)
        style = base + colours["muted"] + Style(bold=y == 0)
        if y == 0:
            text = ("st" + self._arrow(STATE)).ljust(MARKS_WIDTH)
            text += ("item" + (self._arrow(NAME) or self._arrow(ARRIVAL))).ljust(name_width)
            text += "".join(
                (summary.label + self._arrow(summary.key)).rjust(width)
                for summary, width in columns
            )
        else:
            text = " " * (MARKS_WIDTH + name_width)
            text += "".join(_unit(summary, width).rjust(width) for summary, width in columns)
        text = plain(text[: self.width], self.drawing)
        return Strip([Segment(text, style)]).adjust_cell_length(self.width, style)

    def _arrow(self, key: str) -> str:
        if self.sort is None or self.sort[0] != key:
            return ""
        characters = glyphs(self.drawing)
        return characters.falling if self.sort[1] else characters.rising

    def _row(self, row: ItemRow, base: Style, colours: Palette, characters: Glyphs) -> Strip:
        columns = self.columns()
        values_width = sum(width for _, width in columns)
        name_width = self.width - MARKS_WIDTH - values_width
        stem = row.name.rpartition(".")[0] or row.name
        sentence = _instead_of_numbers(row)
        if sentence:  # texts begin right after the name, and use the rest of the line
            name_width = min(name_width, len(stem) + 2)
        name = words.shorten_name(stem, name_width - 1, characters.ellipsis).ljust(name_width)
        state = base + colours.state(row.state)
        quiet = row.choice == "exclude"
        text = base + colours["choice-excluded"] if quiet else base
        segments = [
            Segment(characters.states[row.state], state),
            Segment(choice_glyph(row, characters), base + colours.choice(row)),
            Segment(f"{training_glyph(row.training)} ", base + colours["strong"]),
            Segment(name, text),
        ]
        if sentence:
            room = max(0, self.width - MARKS_WIDTH - name_width)
            sentence = words.shorten_right(sentence, room, characters.ellipsis)
            segments.append(Segment(plain(sentence.ljust(room), self.drawing), state))
        else:
            values = (
                words.summary_value(row, summary, characters.unknown).rjust(width)
                for summary, width in columns
            )
            segments.append(Segment("".join(values), text))
        return Strip(segments).adjust_cell_length(self.width, base)


def _instead_of_numbers(row: ItemRow) -> str:
    """The text in place of the values of an item without valid ones; empty for other items."""
    match row.state:
        case State.FAILED | State.MISSING:
            return row.reason or row.state
        case State.RUNNING:
            return f"{row.stage or 'starting'} {row.fraction:.0%}"
        case State.WAITING:
            return row.reason or "still being written"
        case State.QUEUED:
            return row.reason or "queued"
    return ""


def _unit(summary: Summary, width: int) -> str:
    unit = summary.unit.replace("frame", "fr")
    return unit if len(unit) < width else ""
