"""One item: its picture, its motion, its numbers and its story."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from warptui.engine.errors import WarptuiError
from warptui.engine.items import ItemDetail, State
from warptui.screens import item_text
from warptui.screens.dialogs import TextDialog
from warptui.screens.feed import Engine
from warptui.screens.mirror import Changes
from warptui.screens.motion import Motion, read_motion
from warptui.screens.page import Page
from warptui.screens.previews import PreviewError, read_preview
from warptui.screens.widgets.image import Image
from warptui.screens.widgets.line import LineWidget, Piece
from warptui.screens.widgets.line_plot import Line, LinePlot
from warptui.screens.widgets.text_pane import TextPane
from warptui.screens.workspace import Workspace

KEPT = 16  # items whose detail and picture stay in memory
AHEAD = (1, -1, 2, -2)  # neighbours that are read before they are asked for


@dataclass(frozen=True)
class Loaded:
    """An item as it is drawn."""

    detail: ItemDetail | None = None
    picture: np.ndarray | None = None
    motion: Motion | None = None
    problem: str = ""

    @property
    def pixel_angstrom(self) -> float:
        """Å of a pixel of the picture; 0 = unknown."""
        if self.detail is None or self.picture is None:
            return 0.0
        for stage in ("average", "motion"):
            result = self.detail.results.get(stage, {})
            shape, pixel = result.get("shape_yx"), result.get("pixel_size")
            if shape and shape[1] and pixel:
                return float(pixel) * shape[1] / self.picture.shape[1]
        return 0.0


class HeadLine(LineWidget):
    """Which item this is, in one line."""

    DEFAULT_CSS = "HeadLine { height: 1; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._pieces: list[Piece] = []

    def show(self, pieces: list[Piece]) -> None:
        """Show other words."""
        if pieces != self._pieces:
            self._pieces = pieces
            self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        pieces = list(self._pieces)
        for dispensable in (3, 2):  # the state's word (its glyph stays), then the place
            if sum(len(text) for text, _ in pieces) > width and len(pieces) > dispensable:
                del pieces[dispensable]
        return [self.line(*pieces)]


class ItemScreen(Page):
    """The current item; ←/→ go to its neighbours."""

    PANES = ("Picture", "Motion", "Numbers", "Story")
    BINDINGS = [
        Binding("right", "app.step(1)", "item", id="item.next", key_display="←/→"),
        Binding("left", "app.step(-1)", "previous item", id="item.previous", show=False),
        Binding("d", "details", "details", id="details", show=False),
    ]
    topic = "item"

    def __init__(self, workspace: Workspace, client: Callable[[], Engine | None]) -> None:
        super().__init__(workspace)
        self._client = client
        self._kept: OrderedDict[str, Loaded] = OrderedDict()
        self._loading = ""
        self._shown: tuple[str | None, Loaded | None] = (None, None)

    def content(self) -> Iterable[Widget]:
        yield HeadLine(id="head")
        yield Static(classes="tabs", markup=False)
        with Horizontal(id="panes"):
            yield Image(id="picture")
            with Vertical(id="facts"):
                yield LinePlot(id="motion")
                yield TextPane(id="numbers")
                yield TextPane(id="story")

    def on_mount(self) -> None:
        self.query_one("#motion").border_title = "Motion"
        self.query_one("#numbers").border_title = "Numbers"
        self.query_one("#story").border_title = "Settings and history"
        self.query_one(Image).focus()

    def draw(self, changes: Changes) -> None:
        super().draw(changes)
        for name in changes.items:
            self._kept.pop(name, None)
        if changes.everything and not changes.items and changes.status:
            self._shown = (None, None)  # resized or resumed: draw all anew
        self._show_item()

    def draw_current(self) -> None:
        super().draw_current()
        self._show_item()

    def draw_choices(self, names: set[str]) -> None:
        self._show_head()

    # loading: in a thread, the current item first, then its neighbours

    def _wanted(self) -> str | None:
        names = [self.workspace.current]
        if self.workspace.current in self._kept:
            names += [self.workspace.step(step) for step in AHEAD]
        return next((name for name in names if name and name not in self._kept), None)

    def _load_next(self) -> None:
        name, client = self._wanted(), self._client()
        if self._loading or name is None or client is None:
            return
        self._loading = name

        def work() -> None:
            loaded = load(client, name)
            self.app.call_from_thread(self._take, name, loaded)

        self.run_worker(work, thread=True, group="details")

    def _take(self, name: str, loaded: Loaded) -> None:
        self._loading = ""
        self._kept[name] = loaded
        self._kept.move_to_end(name)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        if name == self.workspace.current and self.is_mounted:
            self._show_item()
        else:
            self._load_next()

    # drawing

    @property
    def loaded(self) -> Loaded | None:
        """The current item, once it is read."""
        return self._kept.get(self.workspace.current or "")

    def _show_head(self) -> None:
        workspace, row = self.workspace, self.workspace.current_row
        head = self.query_one(HeadLine)
        if row is None:
            head.show([(" no item ", head.colours["muted"])])
            return
        loaded = self.loaded
        place = f"{(workspace.current_number or 0) + 1:,}/{len(workspace.mirror):,}"
        detail = loaded.detail if loaded else None
        head.show(item_text.head(row, detail, place, head.colours, head.glyphs))

    def _show_item(self) -> None:
        self._show_head()
        loaded = self.loaded
        if (self.workspace.current, loaded) != self._shown:
            self._shown = (self.workspace.current, loaded)
            self._show_picture(loaded)
            self._show_motion(loaded)
        self._show_texts(loaded)
        self._load_next()

    def _show_picture(self, loaded: Loaded | None) -> None:
        row = self.workspace.current_row
        image = self.query_one(Image)
        message = "reading"
        if row is None:
            message = "no item"
        elif loaded is not None:
            message = loaded.problem or _why_no_picture(row.state, row.reason)
        picture = loaded.picture if loaded else None
        motion = loaded.motion if loaded else None
        image.show(picture, motion, loaded.pixel_angstrom if loaded else 0.0, message)
        image.border_title = image.caption if picture is not None else "Picture"

    def _show_motion(self, loaded: Loaded | None) -> None:
        plot = self.query_one(LinePlot)
        self.set_class(
            loaded is not None and loaded.motion is None and not self.narrow, "-no-motion"
        )
        if loaded is None or loaded.motion is None:
            plot.show("", [], "no motion yet" if loaded else "reading")
            return
        path = loaded.motion.path_yx
        frames = np.arange(1, len(path) + 1)
        plot.show(
            "specimen, Å against frame",
            [Line("x", frames, path[:, 1], "axis-x"), Line("y", frames, path[:, 0], "axis-y")],
        )

    def _show_texts(self, loaded: Loaded | None) -> None:
        row = self.workspace.current_row
        texts, story = self.query_one("#numbers", TextPane), self.query_one("#story", TextPane)
        if row is None:
            texts.show([])
            story.show([])
            return
        detail = loaded.detail if loaded else None
        summaries = self.workspace.mirror.summaries
        texts.show(item_text.numbers(row, detail, summaries, texts.colours, texts.glyphs))
        story.show(item_text.story(detail, story.colours) if detail else [])

    def raw_paths(self) -> list[str]:
        loaded = self.loaded
        if loaded is None or loaded.detail is None or not loaded.detail.raw_path:
            return super().raw_paths()
        return [loaded.detail.raw_path]

    # keys

    def action_details(self) -> None:
        loaded = self.loaded
        if loaded is None or loaded.detail is None:
            self.notify("nothing is known of this item yet")
            return
        title = self.workspace.current or ""
        self.app.push_screen(TextDialog(title, item_text.everything(loaded.detail)))

    def toggle_full_picture(self) -> None:
        """The picture alone, as wide as the window; and back."""
        if self.maximized is not None:
            self.minimize()
        else:
            self.maximize(self.query_one(Image), container=False)


def load(client: Engine, name: str) -> Loaded:
    """An item's record and picture. Runs in a thread."""
    try:
        detail = client.item(name)
    except (WarptuiError, KeyError) as problem:
        return Loaded(problem=str(problem))
    motion = read_motion(detail.results.get("motion", {}))
    if not detail.preview_path:
        return Loaded(detail, None, motion)
    try:
        return Loaded(detail, read_preview(Path(detail.preview_path)), motion)
    except PreviewError as problem:
        return Loaded(detail, None, motion, str(problem))


def _why_no_picture(state: State, reason: str) -> str:
    match state:
        case State.FAILED:
            return f"failed\n{reason}"
        case State.WAITING:
            return "still being written"
        case State.QUEUED:
            return "waits for its turn"
        case State.RUNNING:
            return "being processed now"
    return "no preview"
