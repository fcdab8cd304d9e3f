"""The export dialog: choose what to write for another program, with a preview of the first rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rich.style import Style
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Footer

from warptui.engine.model.exports import ExportRequest
from warptui.screens import words
from warptui.screens.dialogs.prompts import Ask
from warptui.screens.exporting.optics_groups_dialog import BeamDialog
from warptui.screens.keys.tables.exporting import EXPORT
from warptui.screens.look.glyphs import Drawing
from warptui.screens.widgets.line import BOLD, PLAIN, LineWidget, Piece

TITLE_WIDTH = 12
FRAME_LINES = 5  # border, padding and footer
PREVIEW_LINES = 9
PROJECT, BESIDE, FULL = "from the project folder", "from the list's own folder", "in full"

Preview = dict[str, Any]
AskPreview = Callable[[ExportRequest, Callable[[Preview], object]], object]


class ExportDialog(ModalScreen[ExportRequest | None]):
    """Choices in rows, and a preview of the list. Gives the request, or None when closed.

    ``names`` are the marked items; ``preview`` asks the engine, and calls back.
    """

    BINDINGS = list(EXPORT)

    def __init__(self, names: Sequence[str], preview: AskPreview, drawing: Drawing) -> None:
        super().__init__()
        self._names, self._preview, self._drawing = tuple(names), preview, drawing
        self._request = ExportRequest(items="named" if names else "selected")
        self._request = replace(self._request, names=self._names)
        self._answer: Preview = {}
        self._row = 0
        self._n_asked = 0

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog export") as dialog:
            dialog.border_title = "Export"
            yield (rows := _Rows())
            rows.drawing = self._drawing
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self._ask_engine()

    # what a person can choose

    @property
    def _kind(self) -> dict[str, Any]:
        kinds = self._answer.get("kinds", ())
        return next((kind for kind in kinds if kind["name"] == self._request.kind), {})

    def _items(self) -> dict[str, str]:
        found = {"selected": "selected: by the filters and by hand", "done": "all that are done"}
        return found | ({"named": f"the {len(self._names):,} marked"} if self._names else {})

    def _choices(self) -> list[tuple[str, str, list[str]]]:
        """Title, value and possible values of each row; a row without possible values is typed."""
        request, kind = self._request, self._kind
        kinds = [str(entry["label"]) for entry in self._answer.get("kinds", ())]
        items = self._items()
        typed = request.relative_to if self._starts() not in (PROJECT, BESIDE, FULL) else ""
        starts = [PROJECT, BESIDE, FULL, *([f"from {typed}"] if typed else [])]
        rows = [
            ("what", str(kind.get("label", request.kind)), kinds),
            ("items", items[request.items], list(items.values())),
            ("file", request.path or str(kind.get("file_name", "")), []),
            ("paths in it", self._starts(), starts),
        ]
        if kind.get("all_items"):  # a report covers the whole session, and holds no paths
            rows = [row for row in rows if row[0] not in ("items", "paths in it")]
        for name, label, empty, _ in kind.get("fields", ()):
            rows.append((str(label), request.given.get(name) or str(empty), []))
        for name, label in kind.get("switches", ()):
            rows.append((str(label), "yes" if name in request.switches else "no", ["no", "yes"]))
        return rows

    def _starts(self) -> str:
        request = self._request
        if request.absolute:
            return FULL
        if not request.relative_to:
            return PROJECT
        return BESIDE if request.relative_to == self._folder() else f"from {request.relative_to}"

    def _folder(self) -> str:
        return str(self._answer.get("path", "")).rpartition("/")[0]

    # keys

    def action_row(self, step: int) -> None:
        self._row = (self._row + step) % len(self._choices())
        self._show()

    def action_turn(self, step: int) -> None:
        _, value, values = self._choices()[self._row]
        if not values:
            self.action_type()
            return
        self._take(values[(values.index(value) + step) % len(values)])

    def action_type(self) -> None:
        title, value, _ = self._choices()[self._row]
        if title == "file":
            text = "the list to write, from the project folder"
            self.app.push_screen(Ask("File", text, value), self._take_path)
        elif title == "paths in it":
            text = "the folder that paths in the list start from: where the other program runs"
            initial = self._request.relative_to or self._folder()
            self.app.push_screen(Ask("Paths", text, initial), self._take_start)
        elif field := self._field(title):
            name, label, text = field
            take = partial(self._take_field, name)
            self.app.push_screen(Ask(label, text, self._request.given.get(name, "")), take)
        else:
            self.action_turn(1)

    def _field(self, title: str) -> tuple[str, str, str] | None:
        fields = self._kind.get("fields", ())
        return next(
            ((name, label, text) for name, label, _, text in fields if label == title), None
        )

    def _take_field(self, name: str, text: str | None) -> None:
        if text is not None:
            given = {key: value for key, value in self._request.given.items() if key != name}
            given |= {name: text.strip()} if text.strip() else {}
            self._change(replace(self._request, given=given))

    def _take(self, turned: str) -> None:
        request, kinds = self._request, self._answer.get("kinds", ())
        match self._choices()[self._row][0]:
            case "what":
                name = next(kind["name"] for kind in kinds if kind["label"] == turned)
                request = replace(request, kind=name, path="", switches=(), given={})
            case "items":
                name = next(key for key, label in self._items().items() if label == turned)
                request = replace(request, items=name)
            case "paths in it":
                start = {BESIDE: self._folder(), PROJECT: "", FULL: ""}
                given = start.get(turned, request.relative_to)
                request = replace(request, absolute=turned == FULL, relative_to=given)
            case label:
                name = next(name for name, text in self._kind["switches"] if text == label)
                on = {*request.switches} ^ {name}
                request = replace(request, switches=tuple(sorted(on)))
        self._change(request)

    def _take_path(self, text: str | None) -> None:
        if text is not None:
            self._change(replace(self._request, path=text))

    def _take_start(self, text: str | None) -> None:
        if text is not None:
            self._change(replace(self._request, relative_to=text, absolute=False))

    def _change(self, request: ExportRequest) -> None:
        self._request = request
        self._ask_engine()

    def action_groups(self) -> None:
        if groups := self._groups:
            self.app.push_screen(BeamDialog("Optics groups", groups, self._drawing))
        else:
            self.notify("one optics group: not by beam shift")

    @property
    def _groups(self) -> dict[str, Any]:
        """Optics groups by beam shift, from the engine's last preview; {} = not by beam shift."""
        return self._answer.get("groups") or {}

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return bool(self._groups) if action == "groups" else True

    def action_write(self) -> None:
        if problem := self._answer.get("problem"):
            self.notify(str(problem), severity="error", markup=False)
        elif self._answer.get("n") == 0:
            self.notify("no item is as you ask for: nothing would be written")
        elif self._answer:
            names = self._names if self._request.items == "named" else ()
            self.dismiss(replace(self._request, names=names))

    # the engine's answer

    def _ask_engine(self) -> None:
        self._n_asked += 1
        number, kind = self._n_asked, self._request.kind

        def take(answer: Preview) -> None:
            if number == self._n_asked:  # a newer preview was asked for meanwhile
                self._answer = {**answer, "of": kind}
                self._show()
                self.refresh_bindings()

        names = self._names if self._request.items == "named" else ()
        self._preview(replace(self._request, names=names), take)
        self._show()

    def _show(self) -> None:
        if not self.is_mounted:
            return
        rows = [
            (title, value, number == self._row)
            for number, (title, value, _) in enumerate(self._choices())
        ]
        pane = self.query_one(_Rows)
        height = len(rows) + PREVIEW_LINES
        more = bool(self._groups) and height < self.size.height - FRAME_LINES
        pane.styles.height = height + more  # else the line about groups takes the place of a row
        shown = self._answer if self._answer.get("of") == self._request.kind else {}
        pane.show(rows, shown, list(self._kind.get("columns", ())))


class _Rows(LineWidget):
    DEFAULT_CSS = "_Rows { height: 12; width: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[tuple[str, str, bool]] = []
        self._answer: Preview = {}
        self._columns: list[str] = []

    def show(self, rows: list[tuple[str, str, bool]], answer: Preview, columns: list[str]) -> None:
        """Show each row's title and value, mark the row under the cursor, and show the preview."""
        self._rows, self._answer, self._columns = rows, answer, columns
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        return [*self._choices(width), self.line(), *self._preview(width)][:height]

    def _choices(self, width: int) -> list[Strip]:
        lines = []
        for title, value, current in self._rows:
            mark = ">" if current else " "
            look = BOLD + Style(reverse=current)
            is_switch = value in ("yes", "no")
            title = title if is_switch else f"{title:{TITLE_WIDTH}}"
            room = max(1, width - len(title) - 6)
            if is_switch:
                room = 3
                title = words.shorten_right(title, width - 9, self.glyphs.ellipsis)
            value = words.shorten_left(value, room, self.glyphs.ellipsis)
            lines.append(
                self.line(
                    (f" {mark} ", BOLD), (f"{title} ", self.colours["muted"]), (f" {value} ", look)
                )
            )
        return lines

    def _preview(self, width: int) -> list[Strip]:
        answer, muted = self._answer, self.colours["muted"]
        if not answer:
            return [self.line((" asking the engine", muted))]
        if problem := answer.get("problem"):
            alert = self.colours["alert"]
            lines = self.wrapped(f"! {problem}", width)
            return [self.line(*((text, alert) for text, _ in line)) for line in lines]
        exists = "  (is there: will be replaced)" if answer.get("exists") else ""
        room = max(1, width - len(exists) - 5)
        where = words.shorten_left(str(answer["path"]), room, self.glyphs.ellipsis)
        head: list[Piece] = [(f" {answer['n']:,} items", BOLD), ("  the first rows:", muted)]
        groups: list[Piece] = [(" optics groups  ", muted)]
        if (answer.get("groups") or {}).get("groups"):
            text = str(answer["groups"]["summary"]).replace("optics groups by", "by", 1)
            room = max(1, width - len(groups[0][0]))
            groups.append((words.shorten_right(text, room, self.glyphs.ellipsis), PLAIN))
        return [
            self.line((" to ", muted), (where, PLAIN), (exists, self.colours["warning-text"])),
            *([self.line(*groups)] if len(groups) > 1 else []),
            self.line(*head),
            *self._table(answer["rows"], width),
        ]

    def _table(self, rows: list[list[str]], width: int) -> list[Strip]:
        if not rows:
            sentence = " none: the first of them have no result that can be listed"
            return [self.line((sentence, self.colours["muted"]))]
        shown = [self._columns, *rows]
        widths = [  # a column without any value gets no width
            max(map(len, column)) if any(column[1:]) else 0 for column in zip(*shown, strict=True)
        ]
        rest = sum(part + 2 for part in widths[1:] if part)
        first = max(8, min(widths[0], width - rest - 2))
        lines = []
        for number, row in enumerate(shown):
            style = self.colours["muted"] if not number else PLAIN
            shorten = words.shorten_left if number else words.shorten_right
            name = shorten(row[0], first, self.glyphs.ellipsis)
            values = "".join(
                f"  {text:>{part}}" for text, part in zip(row[1:], widths[1:], strict=True) if part
            )
            lines.append(self.line((f" {name:{first}}{values}", style)))
        return lines
