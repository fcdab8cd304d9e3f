"""Edits the picks of the current item at the crosshair of its picture.

Every edit is shown immediately and goes to the engine within a second (see `EditSender`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from warptui.screens.item import picks
from warptui.screens.item.picks import Done, Field, Place
from warptui.screens.link.pending_edits import PendingEdits
from warptui.screens.stages.picking import PICKS, field_of
from warptui.screens.stages.view import Loaded
from warptui.screens.widgets.pictures.image import Image
from warptui.screens.workspace import Workspace

if TYPE_CHECKING:  # imported late: pydantic takes 0.2 s, and a start of the app does not need it
    from warptui.engine.model.edits import Edits


class EditedPage(Protocol):
    """What the editor needs of the item screen."""

    @property
    def loaded(self) -> Loaded | None:
        """The current item as shown, once it is read."""
        ...

    @property
    def micrograph(self) -> Image:
        """The micrograph's widget, with the crosshair."""
        ...

    def show_edited(self) -> None:
        """Draw the current item's picks again."""
        ...

    def show_layer(self, name: str) -> None:
        """Switch a layer on."""
        ...

    def notify(self, message: str, *, timeout: float | None = None, markup: bool = True) -> None:
        """Show a message for some seconds."""
        ...


class PickEditor:
    """Changes the current item's picks; ``send`` sends pending edits to the engine."""

    def __init__(self, page: EditedPage, workspace: Workspace, send: Callable[[], object]) -> None:
        self._page, self._workspace, self._send = page, workspace, send
        self._brush: float | None = None  # radius, Å; None: the radius of a particle
        # the item as read, its edits and why they are not saved, and the item with these edits
        self._edited_item: tuple[Loaded | None, Edits | None, str, Loaded | None] = (
            None,
            None,
            "",
            None,
        )

    def with_edits(self, name: str | None, loaded: Loaded | None) -> Loaded | None:
        """An item as read, with the edits that were made in this app since."""
        field = loaded.parts.get(picks.STAGE) if loaded is not None else None
        if name is None or loaded is None or not isinstance(field, Field):
            return loaded
        pending = self._pending
        edits, unsaved = pending.over(name, field.edits), pending.why_unsaved(name)
        if edits is field.edits and not unsaved:
            return loaded
        known, before, why, made = self._edited_item
        if known is not loaded or before is not edits or why != unsaved:
            parts = loaded.parts | {picks.STAGE: field.edited(edits, unsaved)}
            made = replace(loaded, parts=parts)
            self._edited_item = loaded, edits, unsaved, made
        return made

    def item_read(self, name: str, mark: int | None, loaded: Loaded) -> None:
        """Take in an item that was read: see `PendingEdits.read`."""
        field = loaded.parts.get(picks.STAGE)
        if isinstance(field, Field) and not field.problem:
            self._pending.read(name, mark, field.edits)

    # keys

    def add(self) -> None:
        """Add a pick at the crosshair."""
        self._at_crosshair(picks.add)

    def remove(self) -> None:
        """Remove the pick nearest to the crosshair."""
        self._at_crosshair(picks.remove)

    def toggle(self) -> None:
        """Remove the pick at the crosshair, or add a pick."""
        self._at_crosshair(picks.toggle)

    def paint(self, kind: str) -> None:
        """Add an "uncertain" or "certain" area around the crosshair, or remove the one there."""
        field = field_of(self._page.loaded)
        radius = self._radius(field) if isinstance(field, Field) else 0.0
        self._at_crosshair(partial(picks.paint, radius=radius, kind=kind))

    def resize_brush(self, step: int) -> None:
        """Make the brush for areas larger or smaller; the first press only shows its size."""
        field = field_of(self._page.loaded)
        if isinstance(field, str):
            self._page.notify(field, markup=False)
            return
        image = self._page.micrograph
        if image.ring:  # the first press shows the size
            self._brush = picks.brush(self._radius(field), step)
        image.ring = self._radius(field) / field.width
        image.aim()
        self._page.notify(f"brush: a radius of {self._radius(field):.0f} Å", timeout=2)

    def move_threshold(self, step: int) -> None:
        """Raise or lower the score from which candidates are picks, on this item alone."""
        self._apply(lambda field: picks.move_threshold(field, step), kind="threshold")

    def mark_training(self) -> None:
        """Mark the item for training: example, held out, or not at all, in turn."""
        self._apply(picks.mark, kind="mark", layer="")

    def switch_mask(self) -> None:
        """Switch whether training learns contamination from the mask of this example."""
        self._apply(picks.switch_mask, kind="mask", layer="")

    def adopt_threshold(self) -> bool:
        """Add this item's threshold to the changed settings; False if the item has no threshold."""
        field = field_of(self._page.loaded)
        if isinstance(field, str):
            self._page.notify(field, markup=False)
        elif field.threshold == field.min_score:
            same = f"{field.threshold:g} is the threshold of the settings"
            self._page.notify(f"{same}; [ and ] change that of this item", markup=False)
        else:
            self._workspace.draft.setdefault(picks.STAGE, {})["min_score"] = field.threshold
            return True
        return False

    def undo(self) -> None:
        """Take the last edit of this item back."""
        self._go_back(self._pending.undo, "there is nothing to undo on this item")

    def redo(self) -> None:
        """Redo the last edit that was undone."""
        self._go_back(self._pending.redo, "there is nothing to do again on this item")

    # what the keys do

    @property
    def _pending(self) -> PendingEdits:
        return self._workspace.edits

    def _radius(self, field: Field) -> float:
        return field.diameter / 2 if self._brush is None else self._brush

    def _at_crosshair(self, change: Callable[[Field, Place], Done | str]) -> None:
        image = self._page.micrograph
        if not image.crosshair and image.picture is not None:
            image.aim()  # never change anything at a place that is out of view
            self._page.notify(
                "the crosshair is in the middle: h j k l or a click move it", timeout=4
            )
            return
        self._apply(lambda field: change(field, field.place(image.centre_yx)))

    def _apply(
        self, change: Callable[[Field], Done | str], kind: str = "", layer: str = PICKS
    ) -> None:
        name, field = self._workspace.current, field_of(self._page.loaded)
        if name is None or isinstance(field, str):
            self._page.notify(str(field), markup=False)
            return
        done = change(field)
        if isinstance(done, str):
            self._page.notify(done, markup=False, timeout=3)
            return
        edits, message = done
        self._pending.put(name, field.edits, edits, kind)
        if layer:
            self._page.show_layer(layer)  # editing switches the layer on that shows the edits
        self._edited()
        if message:
            self._page.notify(message, markup=False, timeout=2)

    def _go_back(self, step: Callable[[str, Edits], bool], complaint: str) -> None:
        name, field = self._workspace.current, field_of(self._page.loaded)
        if name is None or isinstance(field, str) or not step(name, field.edits):
            self._page.notify(field if isinstance(field, str) else complaint, markup=False)
            return
        self._edited()

    def _edited(self) -> None:
        self._page.show_edited()
        self._send()
