"""The view of a stage: what it adds to the item screen. A new stage needs one more file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from textual.widget import Widget

from warptui.engine.model.detail import ItemDetail
from warptui.engine.model.item import State
from warptui.screens.widgets.pictures.layers import Layer

Fact = tuple[str, str]  # a label, and its value with the unit


class Side(StrEnum):
    """The side of the item screen where a pane is. A side without panes takes no room."""

    FOURIER = "fourier"
    REAL = "real"  # the pictures
    FACTS = "facts"  # plots and numbers beside or below the pictures


@dataclass(frozen=True)
class Loaded:
    """An item as drawn: its record, and what each stage's view read for it."""

    detail: ItemDetail | None = None
    parts: dict[str, Any] = field(default_factory=dict)  # by stage, from `StageView.read`
    problem: str = ""  # why the record is missing

    def result(self, stage: str) -> dict[str, Any]:
        """The stored result of a stage; empty before its first run."""
        return self.detail.results.get(stage, {}) if self.detail is not None else {}

    def none_of(self, what: str) -> str:
        """The text in place of a missing result: the result may still come, or will not."""
        state = self.detail.row.state if self.detail is not None else None
        if state is State.FAILED:
            return f"no {what}: processing failed"
        return f"no {what}: the raw file is gone" if state is State.MISSING else f"no {what} yet"


@dataclass(frozen=True)
class Pane:
    """A pane of the item screen."""

    id: str  # id of the widget, also for the style sheet
    title: str
    side: Side
    widget: Callable[
        ..., Widget
    ]  # Image, Chart, HeatStrip: `show` takes content, or a text instead
    content: Callable[[Loaded], Any]  # gives a Picture, Plot, Heat or sentence; reads no file
    spare: bool = False  # shown only where there is room to spare


@dataclass(frozen=True)
class LayerSwitch:
    """A layer over the micrograph, and the key that shows and hides it."""

    id: str
    key: str
    label: str
    # gives the layers; None or an empty tuple: the item has nothing of this kind
    layer: Callable[[Loaded], Layer | tuple[Layer, ...] | None]
    shown: bool = True  # shown at first
    named: bool = False  # in the footer; the other switches share one label there


@dataclass(frozen=True)
class StageView:
    """Everything that the item screen shows of one stage."""

    stage: str
    read: Callable[[ItemDetail], Any] = lambda _: (
        None
    )  # called in a thread: reads files and arrays, kept in `parts`
    panes: tuple[Pane, ...] = ()
    pictures: tuple[str, ...] = ()  # products that the panes show; a trial has its own
    layers: tuple[LayerSwitch, ...] = ()
    facts: Callable[[Loaded], list[Fact]] = (
        lambda _: []
    )  # values beyond the summary values that the stage declares
    facts_first: bool = False  # placed before values of other stages, since keys change them
    # Short values of one result, to compare with those of a trial with other settings.
    compared: Callable[[dict[str, Any]], list[Fact]] = lambda _: []
