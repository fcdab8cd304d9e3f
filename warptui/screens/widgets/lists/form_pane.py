"""A form: a list of settings, with an input laid over the value under the cursor."""

from __future__ import annotations

from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Input

from warptui.engine.errors import SettingsError
from warptui.screens.keys.tables.settings import EDITOR
from warptui.screens.settings.form import Draft, Field, Kind
from warptui.screens.widgets.line import LineWidget, Piece
from warptui.screens.widgets.lists.field_list import FieldList, Remarks
from warptui.screens.widgets.lists.text_pane import wrap


class Editor(Input):
    """The one input of a form."""

    BINDINGS = list(EDITOR)

    @dataclass
    class Left(Message):
        """The input was left; the value is unchanged."""

    @dataclass
    class Accepted(Message):
        """The text is the new value; the cursor moves on by ``steps``."""

        text: str
        steps: int

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def action_submit_and(self, steps: int) -> None:
        self.post_message(self.Accepted(self.value, steps))

    async def action_submit(self) -> None:
        self.post_message(self.Accepted(self.value, 0))


class FormPane(Container):
    """Shows a draft of settings and changes it."""

    DEFAULT_CSS = """
    FormPane { layers: base over; height: 1fr; }
    FormPane > FieldList { height: 1fr; }
    FormPane > Editor {
        layer: over; display: none; position: absolute;
        height: 1; border: none; padding: 0; background: $boost;
    }
    FormPane.-editing > Editor { display: block; }
    """

    class Changed(Message):
        """A value of the draft changed."""

    class Typed(Message):
        """The typed text became valid or invalid."""

    def __init__(self, *, flat: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.fields = FieldList(flat=flat)
        self.typing: Field | None = None
        self.problem = ""  # what is wrong with the typed text
        self._shown: tuple[Draft, Remarks] | None = None

    def compose(self) -> ComposeResult:
        yield self.fields
        yield Editor(id="editor", compact=True, select_on_focus=False)

    def show(self, draft: Draft, hints: dict[str, str]) -> None:
        """Show other values, with hints beside fields by their names."""
        self._shown = (draft, Remarks(dict(draft.problems), dict(hints)))
        self._repaint()

    @property
    def current(self) -> Field | None:
        """The field under the cursor."""
        return self.fields.current

    def focus_fields(self) -> None:
        """Give the focus to the list of fields."""
        self.fields.focus()

    def on_resize(self) -> None:
        self.call_after_refresh(self._place)

    def _repaint(self) -> None:
        if self._shown is None:
            return
        draft, remarks = self._shown
        problems = dict(remarks.problems)
        if self.typing is not None:
            problems.pop(self.typing.name, None)
            if self.problem:
                problems[self.typing.name] = self.problem
        self.fields.show(draft, Remarks(problems, remarks.hints))

    @on(FieldList.Edit)
    def _edit(self, message: FieldList.Edit) -> None:
        draft, field = self.fields.draft, message.field
        if draft is None:
            return
        if field.kind in (Kind.SWITCH, Kind.CHOICE):
            draft.set(field, field.next(draft.value(field)))
            self.post_message(self.Changed())
            return
        self.typing, self.problem = field, ""
        editor = self.query_one(Editor)
        with editor.prevent(Input.Changed):
            editor.value = field.show(draft.value(field))
        self.add_class("-editing")
        self._place()
        editor.focus()
        # a person types a new number, but usually corrects a path or list
        editor.cursor_position = len(editor.value)
        if field.kind is Kind.NUMBER:
            editor.select_all()
        self.post_message(self.Typed())

    def _place(self) -> None:
        if self.typing is None:
            return
        editor, region = self.query_one(Editor), self.fields.value_region()
        editor.styles.offset = (region.x, region.y)
        editor.styles.width = max(region.width, 4)

    @on(Input.Changed)
    def _typed(self, message: Input.Changed) -> None:
        message.stop()
        if self.typing is not None:
            self.problem = self._judge(self.typing, message.value)[1]
            self._repaint()
            self.post_message(self.Typed())

    def _judge(self, field: Field, text: str) -> tuple[object, str]:
        """The value of a typed text, and what is wrong with it by itself."""
        draft = self.fields.draft
        assert draft is not None
        try:
            value = field.read(text)
        except SettingsError as problem:
            return text, str(problem)
        return value, draft.check((field, value)).get(field.name, "")

    @on(Editor.Accepted)
    def _accepted(self, message: Editor.Accepted) -> None:
        field, draft = self.typing, self.fields.draft
        if field is None or draft is None:
            return
        value, self.problem = self._judge(field, message.text)
        try:
            field.read(message.text)
        except SettingsError:
            self._repaint()
            self.post_message(self.Typed())
            return  # an invalid list cannot be kept: it must be corrected first
        draft.set(field, value)
        self._end()
        self.post_message(self.Changed())
        if message.steps:
            self.fields.action_move(message.steps)

    @on(Editor.Left)
    def _left(self) -> None:
        self._end()

    def _end(self) -> None:
        self.typing, self.problem = None, ""
        self.remove_class("-editing")
        self.fields.focus()
        self._repaint()
        self.post_message(self.Typed())


class Advice(LineWidget):
    """The current field's help above, the effect of all changes below."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._above: list[list[Piece]] = []
        self._below: list[list[Piece]] = []

    def show(self, above: list[list[Piece]], below: list[list[Piece]]) -> None:
        """Show other texts."""
        if (above, below) != (self._above, self._below):
            self._above, self._below = above, below
            self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        below = [part for line in self._below for part in wrap(line, width)][:height]
        room = height - len(below)
        above = [part for line in self._above for part in wrap(line, width)][:room]
        blank: list[list[Piece]] = [[] for _ in range(room - len(above))]
        return [self.line(*line) for line in [*above, *blank, *below]]
