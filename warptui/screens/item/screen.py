"""The item screen: pictures, motion, numbers and history of one item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from textual.containers import Container, Horizontal, Vertical
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from warptui.engine.model.detail import AVERAGE
from warptui.screens import words
from warptui.screens.dialogs.windows import TextDialog
from warptui.screens.item import picks
from warptui.screens.item import text as item_text
from warptui.screens.item.comparison import Comparison
from warptui.screens.item.pick_editing import PickEditor
from warptui.screens.item.picks import Field
from warptui.screens.keys.tables.item import ITEM
from warptui.screens.link import prefetch
from warptui.screens.link.feed import Engine
from warptui.screens.link.mirror import Changes
from warptui.screens.link.prefetch import Shelf
from warptui.screens.look.glyphs import plain
from warptui.screens.page import RAW, Page
from warptui.screens.stages import VIEWS, StageView
from warptui.screens.stages.view import LayerSwitch, Loaded, Pane, Side
from warptui.screens.widgets.line import LineWidget, Piece
from warptui.screens.widgets.lists.text_pane import TextPane
from warptui.screens.widgets.pictures.image import Image, Picture
from warptui.screens.widgets.pictures.layers import Layer, Swap
from warptui.screens.workspace import Workspace

MICROGRAPH = "picture"  # pane over which layers and picks are drawn
SPARE_LINES = 9  # class of a pane that is shown only where there is room to spare
TALL = 46  # lines of the window from which there is always room


def drawn_by(switch: LayerSwitch, loaded: Loaded) -> tuple[Layer, ...]:
    """The layers of an item that a switch shows."""
    found = switch.layer(loaded)
    return found if isinstance(found, tuple) else (found,) if found is not None else ()


class HeadLine(LineWidget):
    """The item's name and state, in one line."""

    DEFAULT_CSS = "HeadLine { height: 1; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._pieces: list[Piece] = []

    def show(self, pieces: list[Piece]) -> None:
        """Show other texts."""
        if pieces != self._pieces:
            self._pieces = pieces
            self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        pieces = list(self._pieces)
        for dispensable in (3, 2):  # first the state's name (its glyph stays), then the position
            if sum(len(text) for text, _ in pieces) > width and len(pieces) > dispensable:
                del pieces[dispensable]
        excess = sum(len(text) for text, _ in pieces) - width
        if excess > 0 and len(pieces) > 1:  # names of a session differ at their ends
            name, style = pieces[1]
            short = words.shorten_left(name, max(8, len(name) - excess), self.glyphs.ellipsis)
            pieces[1] = (short, style)
        return [self.line(*pieces)]


class ItemScreen(Page):
    """Shows the current item; ←/→ go to its neighbours."""

    BINDINGS = list(ITEM)
    topic = "item"

    def __init__(
        self,
        workspace: Workspace,
        client: Callable[[], Engine | None],
        send_edits: Callable[[], object],
        views: Sequence[StageView] = VIEWS,
    ) -> None:
        super().__init__(workspace)
        self._client = client
        self._views = views
        self._editor = PickEditor(self, workspace, send_edits)
        self._panes = [pane for view in views for pane in view.panes]
        self._switches = [switch for view in views for switch in view.layers]
        self._layers = {switch.id for switch in self._switches if switch.shown}
        self._ordered = [pane for side in Side for pane in self._panes if pane.side is side]
        self._ids = (*(pane.id for pane in self._ordered), "numbers", "story")
        self.PANES = (*(pane.title.split(",")[0] for pane in self._ordered), "Numbers", "History")
        self._pane = self._ids.index(MICROGRAPH) if MICROGRAPH in self._ids else 0
        self._shelf = Shelf()
        self._shown: tuple[str | None, Loaded | None] = (None, None)

    def content(self) -> Iterable[Widget]:
        yield HeadLine(id="head")
        yield Static(classes="tabs", markup=False)
        with Horizontal(id="panes"):
            with Vertical(id="fourier-side", classes="side"):
                yield from self._widgets(Side.FOURIER)
            with Container(id="rest", classes="side"):
                with Vertical(id="real-side", classes="side"):
                    yield from self._widgets(Side.REAL)
                with Container(id="facts-side", classes="side"):
                    yield from self._widgets(Side.FACTS)
                    yield TextPane(id="numbers", classes="pane")
                    yield TextPane(id="story", classes="pane")

    def _widgets(self, side: Side) -> Iterable[Widget]:
        for pane in self._panes:
            if pane.side is side:
                classes = "pane spare" if pane.spare else "pane"
                yield pane.widget(id=pane.id, classes=classes)

    def opened(self) -> None:
        self.query_one("#numbers").border_title = "Numbers"
        self.query_one("#story").border_title = "Settings and history"
        has_fourier = any(pane.side is Side.FOURIER for pane in self._panes)
        self.set_class(has_fourier, "-fourier")
        self.set_class(not has_fourier, "-no-fourier")
        self.query_one(f"#{MICROGRAPH}").focus()

    def draw(self, changes: Changes) -> None:
        super().draw(changes)
        mirror = self.workspace.mirror
        known = (mirror.index.get(name) for name in changes.items)
        self._shelf.forget(mirror.rows[number] for number in known if number is not None)
        if changes.everything and not changes.items and changes.status:
            self._shown = (None, None)  # resized or shown again: draw everything
        self._show_item()

    def set_drawing(self) -> None:
        super().set_drawing()
        for pane in self._panes:
            widget = self.query_one(f"#{pane.id}")
            if isinstance(widget, Image):
                widget.entitle(pane.title)
            else:
                widget.border_title = plain(pane.title, self.workspace.drawing)

    def draw_current(self) -> None:
        super().draw_current()
        self._show_item()

    def draw_choices(self, names: set[str]) -> None:
        self._show_head()

    # reading in a thread: the current item first, then its neighbours

    def _read_next(self) -> None:
        client = self._client()
        if client is None:
            return
        neighbours = (self.workspace.step(step) for step in prefetch.AHEAD)
        name = self._shelf.wanted([self.workspace.current, *neighbours])
        if name is None:
            return

        mark = self.workspace.edits.mark(name)

        def work() -> None:
            loaded = prefetch.read(client, name, self._views)
            self.call_later(self._take, name, loaded, mark)

        self.run_worker(work, thread=True, group="details")

    def _take(self, name: str, loaded: Loaded, mark: int | None) -> None:
        self._shelf.put(name, loaded)
        self._editor.item_read(name, mark, loaded)
        if name == self.workspace.current and self.is_mounted:
            self._show_item()
        else:
            self._read_next()

    # drawing

    @property
    def loaded(self) -> Loaded | None:
        """The current item with its edits, once it is read."""
        current = self.workspace.current
        return self._editor.with_edits(current, self._shelf.get(current))

    @property
    def micrograph(self) -> Image:
        """The micrograph's widget, with the crosshair."""
        return self.query_one(f"#{MICROGRAPH}", Image)

    @property
    def read_ahead(self) -> bool:
        """Whether all neighbours are read."""
        steps = (0, *prefetch.AHEAD)
        names = [self.workspace.step(step) for step in steps]
        return not self._shelf.reading and all(self._shelf.get(name) for name in names)

    def _show_head(self) -> None:
        workspace, row = self.workspace, self.workspace.current_row
        head = self.query_one(HeadLine)
        if row is None:
            head.show([(" no item ", head.colours["muted"])])
            return
        loaded = self.loaded
        place = f"{(workspace.current_number or 0) + 1:,}/{len(workspace.mirror):,}"
        detail = loaded.detail if loaded else None
        training, alarm = row.training, ""
        if loaded is not None and isinstance(field := loaded.parts.get(picks.STAGE), Field):
            training = field.edits.training
            alarm = "edits not saved" if field.unsaved else ""
            alarm = "edits cannot be read" if field.problem else alarm
        pieces = item_text.head(row, detail, place, head.colours, head.glyphs, training, alarm)
        head.show(pieces)

    def _show_item(self) -> None:
        self._show_head()
        loaded = self.loaded
        if not self._is_shown(loaded):
            self._shown = (self.workspace.current, loaded)
            for pane in self._panes:
                self._show_content(pane, loaded)
            self._share_room()
        self._show_texts(loaded)
        if loaded is None:
            self._read_next()  # the person waits for this item
        else:
            # wait until the item is on the screen: reading ahead would slow down its drawing
            self.call_after_refresh(self._read_next)

    def _is_shown(self, loaded: Loaded | None) -> bool:
        return self._shown[0] == self.workspace.current and self._shown[1] is loaded

    def _show_content(self, pane: Pane, loaded: Loaded | None) -> None:
        if loaded is not None:
            content = pane.content(loaded)
        else:
            content = "reading" if self.workspace.current else "no item"
        if pane.id == MICROGRAPH and isinstance(content, Picture) and loaded is not None:
            layers = tuple(
                layer for switch in self._visible_switches() for layer in drawn_by(switch, loaded)
            )
            for layer in layers:
                if isinstance(layer, Swap):
                    content = replace(content, pixels=layer.pixels)
            content = replace(content, layers=layers)
        self.query_one(f"#{pane.id}").show(content)  # pyright: ignore[reportAttributeAccessIssue]

    def _visible_switches(self) -> list[LayerSwitch]:
        return [switch for switch in self._switches if switch.id in self._layers]

    def _share_room(self) -> None:
        """Show panes that need room to spare where the picture's shape leaves some."""
        image, side = self.micrograph, self.query_one("#real-side")
        room = side.size.height >= TALL
        if image.picture is not None and side.size.width > 2:
            ny, nx = image.picture.pixels.shape
            lines = (side.size.width - 2) * ny / nx / 2 + 2
            room = room or side.size.height - lines >= SPARE_LINES
        self.set_class(room, "-spare")

    def _show_texts(self, loaded: Loaded | None) -> None:
        row = self.workspace.current_row
        texts, story = self.query_one("#numbers", TextPane), self.query_one("#story", TextPane)
        if row is None:
            texts.show([])
            story.show([])
            return
        views = sorted(self._views, key=lambda view: not view.facts_first)
        facts = [fact for view in views for fact in view.facts(loaded or Loaded())]
        summaries = self.workspace.mirror.summaries
        detail = loaded.detail if loaded else None
        texts.show(item_text.numbers(row, detail, summaries, facts, texts.colours, texts.glyphs))
        story.show(item_text.story(detail, story.colours) if detail else [])

    def _show_pane(self) -> None:
        super()._show_pane()
        for number, name in enumerate(self._ids):
            for widget in self.query(f"#{name}"):
                widget.set_class(number == self._pane, "-shown")
        for side in self.query(".side"):
            side.set_class(any(pane.has_class("-shown") for pane in side.query(".pane")), "-shown")

    # keys

    def action_layer(self, name: str) -> None:
        self._layers ^= {name}
        loaded = self.loaded
        switch = next(switch for switch in self._switches if switch.id == name)
        if loaded is not None and name in self._layers and not drawn_by(switch, loaded):
            self.notify(f"{switch.label}: not there for this item")
        self._show_picture(loaded)

    def _show_picture(self, loaded: Loaded | None) -> None:
        for pane in self._panes:
            if pane.id == MICROGRAPH:
                self._show_content(pane, loaded)

    def show_edited(self) -> None:
        if self.alive:
            loaded = self.loaded
            if not self._is_shown(loaded):
                self._shown = (self.workspace.current, loaded)
                self._show_picture(loaded)
                self._show_head()
            self._show_texts(loaded)

    def show_layer(self, name: str) -> None:
        self._layers.add(name)

    def action_details(self) -> None:
        loaded = self.loaded
        if loaded is None or loaded.detail is None:
            self.notify("nothing is known of this item yet")
            return
        title = self.workspace.current or ""
        self.app.push_screen(TextDialog(title, item_text.everything(loaded.detail)))

    def action_compare(self) -> None:
        row = self.workspace.current_row
        if row is not None:
            self.app.push_screen(Comparison(self.workspace, row))

    def show_side(self, side: Side) -> None:
        """Make one side as wide as the window; show both sides again when it was so already."""
        pane = next((pane for pane in self._ordered if pane.side is side), None)
        if pane is None:
            self.notify("the Fourier side is empty: no stage of this version fills it")
            return
        if self.narrow:
            self._pane = self._ids.index(pane.id)
            self._show_pane()
        else:
            wanted = f"-full-{side}"
            full = not self.has_class(wanted)
            self.remove_class("-full-fourier", "-full-real")
            self.set_class(full, wanted)
        self.query_one(f"#{pane.id}").focus()
        self.call_after_refresh(self.show, Changes(everything=True, values=True, status=True))

    def paths(self, raw: bool = False) -> tuple[str, list[str]]:
        loaded = self.loaded
        detail = loaded.detail if loaded is not None else None
        if detail is not None and detail.path(AVERAGE) and not raw:
            return "average", [detail.path(AVERAGE)]
        if detail is not None and detail.raw_path:
            return RAW, [detail.raw_path]
        return super().paths(raw)

    # keys that edit picks

    def action_add_pick(self) -> None:
        self._editor.add()

    def action_remove_pick(self) -> None:
        self._editor.remove()

    def on_image_double_clicked(self, message: Image.DoubleClicked) -> None:
        message.stop()
        if message.image.id == MICROGRAPH:
            self._editor.toggle()

    def action_paint(self, kind: str) -> None:
        self._editor.paint(kind)

    def action_brush(self, step: int) -> None:
        self._editor.resize_brush(step)

    def action_threshold(self, step: int) -> None:
        self._editor.move_threshold(step)

    def action_adopt_threshold(self) -> None:
        if self._editor.adopt_threshold():
            self.app.call_later(self.app.run_action, "settings")

    def action_mark_training(self) -> None:
        self._editor.mark_training()

    def action_mark_mask(self) -> None:
        self._editor.switch_mask()

    def action_undo_edit(self) -> None:
        self._editor.undo()

    def action_redo_edit(self) -> None:
        self._editor.redo()
