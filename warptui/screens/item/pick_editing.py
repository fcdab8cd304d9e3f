"""Keys that edit the picks of the item that is looked at, by its crosshair.

Every edit is shown at once and goes to the engine within a second (see `EditSender`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from textual.binding import Binding

from warptui.screens.item import picks
from warptui.screens.item.picks import Done, Field, Place
from warptui.screens.link.edit_sending import EditSender
from warptui.screens.page import Page
from warptui.screens.stages.picking import PICKS, field_of
from warptui.screens.stages.view import Loaded
from warptui.screens.widgets.pictures.image import Image

if TYPE_CHECKING:
    from warptui.engine.model.edits import Edits

GROUP = Binding.Group("threshold", compact=True)
PICK_KEYS = [
    Binding("a", "add_pick", "add", id="picks.add", tooltip="a pick at the crosshair"),
    Binding(
        "x", "remove_pick", "remove", id="picks.remove", tooltip="the pick nearest to the crosshair"
    ),
    Binding("u", "undo_edit", "undo", id="picks.undo", tooltip="the last edit of this item"),
    Binding("U", "redo_edit", "redo", id="picks.redo", tooltip="what was undone", show=False),
    Binding(
        "left_square_bracket",
        "threshold(-1)",
        "lower threshold",
        id="picks.lower",
        tooltip="more picks on this item: from a lower score on",
        key_display="[",
        group=GROUP,
    ),
    Binding(
        "right_square_bracket",
        "threshold(1)",
        "higher threshold",
        id="picks.higher",
        tooltip="fewer picks on this item: from a higher score on",
        key_display="]",
        group=GROUP,
    ),
    Binding(
        "backslash",
        "adopt_threshold",
        "threshold for all",
        id="picks.adopt",
        tooltip="this item's threshold for all items: opens the settings, which tell the cost",
        key_display="\\",
        show=False,
    ),
    Binding(
        "b",
        "paint('uncertain')",
        "uncertain area",
        id="picks.uncertain",
        tooltip="an area about the crosshair that teaches nothing; again: takes it away",
        show=False,
    ),
    Binding(
        "B",
        "paint('certain')",
        "certain area",
        id="picks.certain",
        tooltip="an area about the crosshair that counts more; again: takes it away",
        show=False,
    ),
    Binding(
        "left_parenthesis",
        "brush(-1)",
        "smaller brush",
        id="picks.smaller-brush",
        key_display="(",
        show=False,
    ),
    Binding(
        "right_parenthesis",
        "brush(1)",
        "larger brush",
        id="picks.larger-brush",
        key_display=")",
        show=False,
    ),
    Binding(
        "E",
        "mark_training",
        "training",
        id="picks.training",
        tooltip="for the training of BoxNet: an example, held out to measure on, none",
        show=False,
    ),
    Binding(
        "V",
        "mark_mask",
        "mask teaches",
        id="picks.teach-mask",
        tooltip="whether an example's mask is learned in training, too",
        show=False,
    ),
]


class PickEditor(Page):
    """A page that shows an item's picks on a picture with a crosshair."""

    MICROGRAPH = "picture"  # the pane that layers are drawn on
    _brush: float | None = None  # Å; None: as wide as a particle
    _over: tuple[Loaded | None, Edits | None, str, Loaded | None] = (None, None, "", None)

    @property
    def loaded(self) -> Loaded | None:
        """The current item as it is shown, once it is read."""
        raise NotImplementedError

    def show_edited(self) -> None:
        """The current item's picks changed."""
        raise NotImplementedError

    def show_layer(self, name: str) -> None:
        """Switch a layer on, if it is not."""
        raise NotImplementedError

    def with_edits(self, name: str | None, loaded: Loaded | None) -> Loaded | None:
        """What was read of an item, with the edits that were made here since."""
        field = loaded.parts.get(picks.STAGE) if loaded is not None else None
        if name is None or loaded is None or not isinstance(field, Field):
            return loaded
        book = self.workspace.edits
        edits, unsaved = book.over(name, field.edits), book.why_unsaved(name)
        if edits is field.edits and not unsaved:
            return loaded
        known, before, why, made = self._over
        if known is not loaded or before is not edits or why != unsaved:
            parts = loaded.parts | {picks.STAGE: field.edited(edits, unsaved)}
            made = replace(loaded, parts=parts)
            self._over = loaded, edits, unsaved, made
        return made

    def take_edits(self, name: str, mark: int | None, loaded: Loaded) -> None:
        """An item was read: see `EditBook.read`."""
        field = loaded.parts.get(picks.STAGE)
        if isinstance(field, Field) and not field.problem:
            self.workspace.edits.read(name, mark, field.edits)

    # keys

    def action_add_pick(self) -> None:
        self._at_crosshair(picks.add)

    def action_remove_pick(self) -> None:
        self._at_crosshair(picks.remove)

    def action_paint(self, kind: str) -> None:
        field = field_of(self.loaded)
        radius = self._radius(field) if isinstance(field, Field) else 0.0
        self._at_crosshair(partial(picks.paint, radius=radius, kind=kind))

    def action_brush(self, step: int) -> None:
        field = field_of(self.loaded)
        if isinstance(field, str):
            self.notify(field, markup=False)
            return
        image = self._image
        if image.ring:  # the first press shows how wide it is
            self._brush = picks.brush(self._radius(field), step)
        image.ring = self._radius(field) / field.width
        image.aim()
        self.notify(f"brush: a radius of {self._radius(field):.0f} Å", timeout=2)

    def action_threshold(self, step: int) -> None:
        self._apply(lambda field: picks.move_threshold(field, step), kind="threshold")

    def action_mark_training(self) -> None:
        self._apply(picks.mark, kind="mark", layer="")

    def action_mark_mask(self) -> None:
        self._apply(picks.switch_mask, kind="mask", layer="")

    def action_adopt_threshold(self) -> None:
        field = field_of(self.loaded)
        if isinstance(field, str):
            self.notify(field, markup=False)
        elif field.threshold == field.min_score:
            same = f"{field.threshold:g} is the threshold of the settings"
            self.notify(f"{same}; [ and ] change that of this item", markup=False)
        else:
            self.workspace.draft.setdefault(picks.STAGE, {})["min_score"] = field.threshold
            self.app.call_later(self.app.run_action, "settings")

    def action_undo_edit(self) -> None:
        self._go_back(self.workspace.edits.undo, "there is nothing to undo on this item")

    def action_redo_edit(self) -> None:
        self._go_back(self.workspace.edits.redo, "there is nothing to do again on this item")

    def on_image_double_clicked(self, message: Image.DoubleClicked) -> None:
        message.stop()
        if message.image.id == self.MICROGRAPH:
            self._at_crosshair(picks.toggle)

    # what they do

    @property
    def _image(self) -> Image:
        return self.query_one(f"#{self.MICROGRAPH}", Image)

    def _radius(self, field: Field) -> float:
        return field.diameter / 2 if self._brush is None else self._brush

    def _at_crosshair(self, change: Callable[[Field, Place], Done | str]) -> None:
        image = self._image
        if not image.crosshair and image.picture is not None:
            image.aim()  # nothing is changed at a place that is not seen
            self.notify("the crosshair is in the middle: h j k l or a click move it", timeout=4)
            return
        self._apply(lambda field: change(field, field.place(image.centre_yx)))

    def _apply(
        self, change: Callable[[Field], Done | str], kind: str = "", layer: str = PICKS
    ) -> None:
        name, field = self.workspace.current, field_of(self.loaded)
        if name is None or isinstance(field, str):
            self.notify(str(field), markup=False)
            return
        done = change(field)
        if isinstance(done, str):
            self.notify(done, markup=False, timeout=3)
            return
        edits, said = done
        self.workspace.edits.put(name, field.edits, edits, kind)
        if layer:
            self.show_layer(layer)  # who edits wants to see it
        self._edited()
        if said:
            self.notify(said, markup=False, timeout=2)

    def _go_back(self, step: Callable[[str, Edits], bool], complaint: str) -> None:
        name, field = self.workspace.current, field_of(self.loaded)
        if name is None or isinstance(field, str) or not step(name, field.edits):
            self.notify(field if isinstance(field, str) else complaint, markup=False)
            return
        self._edited()

    def _edited(self) -> None:
        self.show_edited()
        if isinstance(self.app, EditSender):
            self.app.send_edits()
