"""The default view of a stage without its own: a pane for each picture that it declares."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from warptui.engine.model.detail import ItemDetail
from warptui.engine.stages.base import Stage
from warptui.screens.link.previews import PreviewError, read_preview
from warptui.screens.stages.view import Loaded, Pane, Side, StageView
from warptui.screens.widgets.pictures.image import Image, Picture


def default_view(stage: Stage) -> StageView:
    """One pane for each preview product; values and notes appear without a view."""
    names = tuple(product.name for product in stage.products if product.preview)
    panes = tuple(
        Pane(
            name.replace(" ", "-"),
            name.capitalize(),
            Side.FACTS,
            Image,
            _content(stage.name, name),
        )
        for name in names
    )
    return StageView(stage.name, read=partial(_read, names), panes=panes, pictures=names)


def _read(names: tuple[str, ...], detail: ItemDetail) -> dict[str, np.ndarray | str]:
    """Read the pictures by product; a sentence for one that cannot be read."""
    found: dict[str, np.ndarray | str] = {}
    for name in names:
        if path := detail.path(name):
            try:
                found[name] = read_preview(Path(path))
            except PreviewError as problem:
                found[name] = str(problem)
    return found


def _content(stage: str, name: str) -> Callable[[Loaded], Picture | str]:
    def content(loaded: Loaded) -> Picture | str:
        pictures = loaded.parts.get(stage)
        found = pictures.get(name) if isinstance(pictures, dict) else None
        if isinstance(found, np.ndarray):
            return Picture(found)
        return found or loaded.problem or loaded.none_of(name)

    return content
