"""The BoxNet models that picking can use, and trainings that did not end."""

from __future__ import annotations

from rich.style import Style

from warptui.engine.model.item import State
from warptui.engine.model.training import ModelInfo
from warptui.screens import words
from warptui.screens.training.words import HASH, READY, STATES, model_made_of
from warptui.screens.widgets.line import BOLD, PLAIN, Piece
from warptui.screens.widgets.lists.list_pane import ListPane

DATE, F1, STATE = 13, 7, 13  # width in columns
HASH_FROM = 54  # least columns of the pane that leave room for it
DATE_FROM = 46
_GLYPHS = {"training": State.RUNNING, "interrupted": State.OUTDATED, READY: State.QUEUED}


class ModelList(ListPane):
    """One line per model: name, date, F1, hash, and a mark on the one in use."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.models: tuple[ModelInfo, ...] = ()
        self.empty_text = ""

    def show(self, models: tuple[ModelInfo, ...], empty_text: str) -> None:
        """Show these models; the cursor stays on its model."""
        if (models, empty_text) == (self.models, self.empty_text):
            return
        before = self.current
        self.models, self.empty_text = models, empty_text
        if before is not None:
            self.point_at(before.name)
        self.repaint()

    def point_at(self, name: str) -> None:
        """Put the cursor on a model."""
        names = [model.name for model in self.models]
        if name in names:
            self.go_to(names.index(name))

    @property
    def current(self) -> ModelInfo | None:
        """The model under the cursor."""
        return self.models[min(self.cursor, len(self.models) - 1)] if self.models else None

    @property
    def n_rows(self) -> int:
        return len(self.models)

    def empty(self) -> str:
        return self.empty_text

    def heading(self, width: int) -> list[Piece]:
        if not self.models:
            return []
        dated, hashed, name = self._columns(width)
        head = f"   {'model':{name}}" + (f"{'made':{DATE}}" if dated else "") + f"{'F1':{F1}}"
        head += (f"{'hash':{HASH + 2}}" if hashed else "") + "state"
        return [(head, self.colours["muted"])]

    def _columns(self, width: int) -> tuple[bool, bool, int]:
        """Whether there is room for date and hash; the width of the name."""
        dated, hashed = width >= DATE_FROM, width >= HASH_FROM
        taken = 3 + F1 + STATE + (DATE if dated else 0) + (HASH + 2 if hashed else 0)
        longest = max((len(model.name) for model in self.models), default=0) + 2
        return dated, hashed, max(min(width - taken, longest), 8)

    def row(self, position: int, width: int) -> list[Piece]:
        model, colours, unknown = self.models[position], self.colours, self.glyphs.unknown
        dated, hashed, name_width = self._columns(width)
        state = State.DONE if model.used else _GLYPHS.get(model.state, State.FAILED)
        look: Style = colours.state(state)
        name = words.shorten_left(model.name, name_width - 1, self.glyphs.ellipsis)
        pieces: list[Piece] = [
            (f" {self.glyphs.states[state]} ", look),
            (f"{name:{name_width}}", BOLD),
        ]
        if dated:
            made = words.clock(model.made_at, unknown)
            pieces.append((f"{made:{DATE}}", colours["muted"]))
        pieces.append((f"{words.number(model.f1, 3, unknown):{F1}}", PLAIN))
        if hashed:
            pieces.append((f"{model.hash[:HASH] or unknown:{HASH + 2}}", colours["muted"]))
        pieces.append((state_text(model), look if model.used or state is State.FAILED else PLAIN))
        return pieces

    def in_full(self) -> list[Piece]:
        model = self.current
        if model is None:
            return []
        text = model.problem or model.verdict or model_made_of(model, self.glyphs.unknown)
        return [(f" {model.name}  ", BOLD), (text, PLAIN)]


def state_text(model: ModelInfo) -> str:
    """The model's state in one or two words."""
    if model.state != READY:
        return STATES.get(model.state, model.state)
    kind = "bundled" if model.bundled else "ready"
    return f"used, {kind}" if model.used and model.bundled else "used" if model.used else kind
