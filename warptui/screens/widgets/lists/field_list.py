"""Settings as a list, drawn in one widget instead of one per field, however many there are."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby

from rich.style import Style
from textual.events import Click
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from warptui.screens import words
from warptui.screens.keys.tables.settings import FIELDS
from warptui.screens.settings.form import Draft, Field, Kind
from warptui.screens.widgets.line import BOLD, PLAIN, LineWidget, Piece

SIDE = 15  # width of the list of sections, in columns
SIDE_FROM = 76  # columns that leave room for it; in fewer, the sections are one line
TALL = 36  # lines that leave room for other sections
MARK = 3
UNIT = 8
BOUNDS_FROM = 44  # columns beyond the longest help that leave room for bounds
NOTE_FROM = 16  # least columns for a note


@dataclass
class Remarks:
    """Notes beside fields, by the fields' names."""

    problems: dict[str, str] = field(default_factory=dict)
    hints: dict[str, str] = field(default_factory=dict)


def _fields(rows: list[int], below: list[int | str]) -> list[int]:
    return [*rows, *(entry for entry in below if isinstance(entry, int))]


class FieldList(LineWidget, can_focus=True):
    """The sections, and the fields of one section; `flat` shows all fields as one list."""

    BINDINGS = list(FIELDS)

    class Moved(Message):
        """The cursor moved to another field."""

    @dataclass
    class Edit(Message):
        """The user wants to edit a field."""

        field: Field

    def __init__(self, *, flat: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.draft: Draft | None = None
        self.remarks = Remarks()
        self._flat = flat
        self._number = 0  # of the field under the cursor
        self._top = 0
        self._longest_help = 0

    def show(self, draft: Draft, remarks: Remarks) -> None:
        """Show other values."""
        self.draft, self.remarks = draft, remarks
        self._longest_help = max((len(entry.help) for entry in draft.fields), default=0)
        self._number = min(self._number, len(draft.fields) - 1)
        self.repaint()

    @property
    def current(self) -> Field | None:
        """The field under the cursor."""
        return self.draft.fields[self._number] if self.draft and self.draft.fields else None

    def go(self, name: str) -> None:
        """Put the cursor on a field."""
        names = [entry.name for entry in self.draft.fields] if self.draft else []
        if name in names:
            self.action_move(names.index(name) - self._number)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "section" or not self._flat

    def action_move(self, steps: int) -> None:
        if self.draft is not None:
            self._number = min(max(self._number + steps, 0), len(self.draft.fields) - 1)
            self.repaint()
            self.post_message(self.Moved())

    def action_section(self, step: int) -> None:
        sections = self._sections()
        here = next((i for i, (_, rows) in enumerate(sections) if self._number in rows), 0)
        if sections:
            there = sections[(here + step) % len(sections)][1]
            self.action_move(there[0] - self._number)

    def action_edit(self) -> None:
        if self.current is not None:
            self.post_message(self.Edit(self.current))

    def on_click(self, event: Click) -> None:
        """Go to the clicked section or field; a click on the current field edits it."""
        side, first, rows = self._layout(self.size.width)
        sections = self._sections()
        page = [*rows, *self._next_sections(rows, self.size.height - first)]
        if side and event.x < side and event.y < len(sections):
            self.action_move(sections[event.y][1][0] - self._number)
        elif 0 <= (row := event.y - first + self._top) < len(page) and event.y >= first:
            clicked = page[row]
            if isinstance(clicked, int):
                again = clicked == self._number
                self.action_move(clicked - self._number)
                if again:
                    self.action_edit()

    def value_region(self) -> Region:
        """The region of the value under the cursor, over which an editor is laid."""
        side, first, rows = self._layout(self.size.width)
        below = self._next_sections(rows, self.size.height - first)
        name, value, _ = self._columns(_fields(rows, below), self.size.width - side)
        row = rows.index(self._number) if self._number in rows else 0
        entry = self.current
        x = side + MARK + name
        room = self.size.width - x
        short = entry is not None and entry.kind is Kind.NUMBER
        width = min(value + UNIT, room) if short else room
        return Region(x, first + row - self._top, width, 1)

    # drawing the list

    def _sections(self) -> list[tuple[str, list[int]]]:
        if self.draft is None:
            return []
        numbered = list(enumerate(self.draft.fields))
        if self._flat:
            return [("", [number for number, _ in numbered])]
        return [
            (name, [number for number, _ in members])
            for name, members in groupby(numbered, lambda entry: entry[1].section)
        ]

    def _layout(self, width: int) -> tuple[int, int, list[int]]:
        """Columns of the sections, first line of the fields, numbers of the fields shown."""
        sections = self._sections()
        rows = next((rows for _, rows in sections if self._number in rows), [])
        if self._flat:
            return 0, 0, rows
        return (SIDE, 0, rows) if width >= SIDE_FROM else (0, 1, rows)

    def _next_sections(self, rows: list[int], room: int) -> list[int | str]:
        """Fields and titles of the following sections, where a tall window has room for them.

        Only sections that fit as a whole: the cursor reaches them when it leaves this section.
        """
        room -= len(rows)
        found: list[int | str] = []
        if self._flat or room + len(rows) < TALL or not rows:
            return found
        for name, members in self._sections():
            if members[0] <= rows[-1]:
                continue
            part: list[int | str] = ["", name, *members]
            if len(found) + len(part) > room:
                break
            found += part
        return found

    def _columns(self, rows: list[int], width: int) -> tuple[int, int, int]:
        """Widths of name, value and note."""
        assert self.draft is not None
        fields = [self.draft.fields[number] for number in rows]
        name = max((len(entry.key) for entry in fields), default=8) + 1
        texts = [len(entry.show(self.draft.value(entry))) + 1 for entry in fields]
        rest = width - MARK - name - UNIT
        value = min(max([12, *texts]), max(rest // 3, 12), 40)
        note = rest - value
        if note < NOTE_FROM:
            return name, min(max([12, *texts]), max(rest, 6)), 0
        return name, value, note

    def paint(self, width: int, height: int) -> list[Strip]:
        if self.draft is None or not self.draft.fields:
            return []
        side, first, rows = self._layout(width)
        below = self._next_sections(rows, height - first)
        columns = self._columns(_fields(rows, below), width - side)
        room = max(height - first, 1)
        here = rows.index(self._number)
        self._top = min(max(self._top, here - room + 1), here, max(len(rows) - room, 0))
        shown = [*rows[self._top : self._top + room], *below]
        left = self._side_lines(height) if side else []
        lines = [] if side or self._flat else [self._section_line(width)]
        for y in range(max(len(shown), len(left))):
            pieces = left[y] if y < len(left) else [(" " * side, PLAIN)] if side else []
            if y < len(shown):
                entry = shown[y]
                if isinstance(entry, int):
                    pieces = [*pieces, *self._field_line(entry, columns)]
                else:
                    pieces = [*pieces, (f"   {entry}", self.colours["muted"] + BOLD)]
            lines.append(self.line(*pieces).crop(0, width))
        return lines

    def _marks(self, rows: list[int]) -> tuple[str, Style]:
        assert self.draft is not None
        fields = [self.draft.fields[number] for number in rows]
        if any(entry.name in self.remarks.problems for entry in fields):
            return "!", self.colours["alert"] + BOLD
        if any(self.draft.is_changed(entry) for entry in fields):
            return "*", self.colours["warning-text"] + BOLD
        return " ", PLAIN

    def _side_lines(self, height: int) -> list[list[Piece]]:
        lines: list[list[Piece]] = []
        for name, rows in self._sections():
            mark, style = self._marks(rows)
            is_here = self._number in rows
            arrow = ">" if is_here else " "
            text = f"{arrow}{name:{SIDE - 4}.{SIDE - 4}}"
            lines.append(
                [(text, BOLD if is_here else self.colours["muted"]), (mark, style), ("  ", PLAIN)]
            )
        return lines[:height]

    def _section_line(self, width: int) -> Strip:
        pieces: list[Piece] = []
        before = 0  # columns up to the end of the current section
        for name, rows in self._sections():
            mark, style = self._marks(rows)
            is_here = self._number in rows
            text = f"[{name}" if is_here else f" {name}"
            look = BOLD if is_here else self.colours["muted"]
            pieces += [(text, look), (mark.strip(), style), ("]" if is_here else " ", look)]
            if is_here:
                before = sum(len(part) for part, _ in pieces)
        while before > width and len(pieces) > 3:  # drop sections on the left to make room
            before -= sum(len(part) for part, _ in pieces[:3])
            del pieces[:3]
        return self.line(*pieces)

    def _field_line(self, number: int, columns: tuple[int, int, int]) -> list[Piece]:
        assert self.draft is not None
        entry, colours = self.draft.fields[number], self.colours
        name_width, value_width, note_width = columns
        mark, mark_style = self._marks([number])
        value = self.draft.value(entry)
        text, value_style = entry.show(value), PLAIN
        if value != entry.default:
            value_style = BOLD
        if value is None:
            text, value_style = self.glyphs.unknown, colours["muted"]
        cells: list[Piece] = [
            (f" {mark} ", mark_style),
            (f"{entry.key:{name_width}}", BOLD if number == self._number else PLAIN),
            (self._fit_value(entry, text, value_width), value_style),
            (self._fit(entry.unit, UNIT), colours["muted"]),
        ]
        if note_width:
            cells.append(self._note(entry, note_width))
        if number == self._number:
            behind = colours.on("row-cursor" if self.has_focus else "row-cursor-dim")
            cells = [(text, style + behind) for text, style in cells]
            cells.append((" " * self.size.width, behind))
        return cells

    def _note(self, entry: Field, width: int) -> Piece:
        remarks, colours = self.remarks, self.colours
        if problem := remarks.problems.get(entry.name):
            return self._fit(problem, width), colours["alert"]
        if hint := remarks.hints.get(entry.name):
            return self._fit(hint, width), colours["warning-text"]
        help_width = self._longest_help + 2
        if width >= help_width + BOUNDS_FROM:
            help, bounds = self._fit(entry.help, help_width), entry.allowed
            return help + self._fit(bounds, width - help_width), colours["muted"]
        return self._fit(entry.help, width), colours["muted"]

    def _fit_value(self, entry: Field, text: str, width: int) -> str:
        if entry.kind is not Kind.PATH:
            return self._fit(text, width)
        short = words.shorten_left(text, max(width - 1, 1), self.glyphs.ellipsis)
        return f"{short:{width}}"  # paths differ at their ends

    def _fit(self, text: str, width: int) -> str:
        short = words.shorten_right(text, max(width - 1, 1), self.glyphs.ellipsis)
        return f"{short:{width}}"
