"""What a stage adds to the item screen, described: a new stage is one file more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from textual.widget import Widget

from warptui.engine.model.detail import ItemDetail
from warptui.engine.model.item import State
from warptui.screens.widgets.pictures.layers import Layer

Fact = tuple[str, str]  # a label and its value with the unit


class Side(StrEnum):
    """Where a pane stands. A side that no stage fills takes no room."""

    FOURIER = "fourier"
    REAL = "real"  # the pictures
    FACTS = "facts"  # plots and numbers beside or below the pictures


@dataclass(frozen=True)
class Loaded:
    """An item as it is drawn: its record, and what each stage's view read for it."""

    detail: ItemDetail | None = None
    parts: dict[str, Any] = field(default_factory=dict)  # by stage, of `StageView.read`
    problem: str = ""  # why there is no record

    def result(self, stage: str) -> dict[str, Any]:
        """The stored result of a stage; empty while there is none."""
        return self.detail.results.get(stage, {}) if self.detail is not None else {}

    def none_of(self, what: str) -> str:
        """What is said where a result is missing: it may come, or it will not."""
        state = self.detail.row.state if self.detail is not None else None
        if state is State.FAILED:
            return f"no {what}: processing failed"
        return f"no {what}: the raw file is gone" if state is State.MISSING else f"no {what} yet"


@dataclass(frozen=True)
class Pane:
    """A pane of the item screen."""

    id: str  # of the widget; also for the style sheet
    title: str
    side: Side
    widget: Callable[
        ..., Widget
    ]  # Image, Chart, HeatStrip: `show` takes content, or why there is none
    content: Callable[[Loaded], Any]  # a Picture, Plot, Heat, or a sentence; never reads a file
    spare: bool = False  # shown only where there is room to spare


@dataclass(frozen=True)
class LayerSwitch:
    """A layer over the micrograph, and the key that shows and hides it."""

    id: str
    key: str
    label: str
    # None or an empty tuple: nothing of the kind is known of this item
    layer: Callable[[Loaded], Layer | tuple[Layer, ...] | None]
    shown: bool = True  # at first
    named: bool = False  # in the footer; the others share one word there


@dataclass(frozen=True)
class StageView:
    """Everything that the item screen shows of a stage."""

    stage: str
    read: Callable[[ItemDetail], Any] = lambda _: (
        None
    )  # in a thread: files, arrays; kept in `parts`
    panes: tuple[Pane, ...] = ()
    pictures: tuple[str, ...] = ()  # products that the panes show: a trial brings its own
    layers: tuple[LayerSwitch, ...] = ()
    facts: Callable[[Loaded], list[Fact]] = (
        lambda _: []
    )  # beyond the values that the stage declares
    facts_first: bool = False  # before those of other stages: they change while one looks
    # Of one result, in a few words each: to be put beside those of a trial with other settings.
    compared: Callable[[dict[str, Any]], list[Fact]] = lambda _: []
