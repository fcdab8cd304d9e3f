"""A picture in a terminal: square pixels, zoom, pan, contrast, and motion tracks on top."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.style import Style
from textual.binding import Binding
from textual.strip import Strip

from warptui.screens.motion import Motion, magnification
from warptui.screens.widgets import raster
from warptui.screens.widgets.glyphs import Drawing, plain
from warptui.screens.widgets.line import LineWidget
from warptui.screens.widgets.raster import DEFAULT, Cells

GREYS = 24  # as many as 256-colour terminals have; neighbours merge, so bytes are saved too
ZOOMS = (1, 2, 4, 8, 16)
_TRACK, _START = 200, 201
_SAMPLES = {  # samples a cell, y and x
    Drawing.QUADRANT: (2, 2),
    Drawing.HALF: (2, 1),
    Drawing.BRAILLE: (4, 2),
    Drawing.ASCII: (1, 1),
}


@dataclass(frozen=True)
class View:
    """The part of the picture that is seen: its place and scale in pixels."""

    top: float
    left: float
    scale: float  # pixels of the picture in a cell's width; a cell is two such units high


class Image(LineWidget, can_focus=True):
    """Shows a uint8 picture (y, x), row 0 at the top."""

    BINDINGS = [
        Binding(
            "plus,equals_sign",
            "zoom(1)",
            "zoom in",
            show=False,
            id="image.zoom-in",
            key_display="+",
        ),
        Binding("minus", "zoom(-1)", "zoom out", show=False, id="image.zoom-out", key_display="-"),
        Binding("h", "pan(0,-1)", "pan left", show=False, id="image.left"),
        Binding("l", "pan(0,1)", "pan right", show=False, id="image.right"),
        Binding("k", "pan(-1,0)", "pan up", show=False, id="image.up"),
        Binding("j", "pan(1,0)", "pan down", show=False, id="image.down"),
        Binding(
            "greater_than_sign",
            "contrast(1)",
            "more contrast",
            show=False,
            id="image.more-contrast",
            key_display=">",
        ),
        Binding(
            "less_than_sign",
            "contrast(-1)",
            "less contrast",
            show=False,
            id="image.less-contrast",
            key_display="<",
        ),
        Binding("0", "fit", "whole picture", show=False, id="image.fit"),
        Binding("t", "tracks", "tracks", id="image.tracks"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.picture: np.ndarray | None = None
        self.motion: Motion | None = None
        self.with_tracks = True
        self._message = ""
        self._pixel_angstrom = 0.0  # of the picture
        self._zoom = 0  # index into ZOOMS
        self._centre = (0.5, 0.5)  # fractions of the picture
        self._contrast = 0

    def show(
        self,
        picture: np.ndarray | None,
        motion: Motion | None,
        pixel_angstrom: float,
        message: str = "",
    ) -> None:
        """Show another picture at the same zoom and place; ``message`` where there is none."""
        self.picture, self.motion = picture, motion
        self._pixel_angstrom, self._message = pixel_angstrom, message
        self.repaint()

    @property
    def caption(self) -> str:
        """Zoom, contrast and magnification of the tracks, in words."""
        said = [f"zoom {ZOOMS[self._zoom]}"]
        if self._contrast:
            said.append(f"contrast {self._contrast:+d}")
        if self.motion is not None and self.with_tracks and self.picture is not None:
            kind = "local" if self.motion.local else "global"
            said.append(f"{kind} motion ×{self._magnified()}")
        return plain("  ".join(said), self.drawing)

    def _magnified(self) -> int:
        if self.picture is None or self.motion is None:
            return 1
        return magnification(self.motion, max(self.picture.shape) * self._pixel_angstrom)

    # keys

    def action_zoom(self, step: int) -> None:
        self._zoom = min(max(self._zoom + step, 0), len(ZOOMS) - 1)
        self._changed()

    def action_pan(self, y: int, x: int) -> None:
        step = 0.25 / ZOOMS[self._zoom]
        self._centre = (
            min(max(self._centre[0] + y * step, 0.0), 1.0),
            min(max(self._centre[1] + x * step, 0.0), 1.0),
        )
        self._changed()

    def action_contrast(self, step: int) -> None:
        self._contrast = min(max(self._contrast + step, -4), 6)
        self._changed()

    def action_fit(self) -> None:
        self._zoom, self._centre = 0, (0.5, 0.5)
        self._changed()

    def action_tracks(self) -> None:
        self.with_tracks = not self.with_tracks
        self._changed()

    def _changed(self) -> None:
        self.border_title = self.caption
        self.repaint()

    # drawing

    def view(self, width: int, height: int) -> View:
        """The part of the picture that a pane of so many cells shows."""
        assert self.picture is not None
        ny, nx = self.picture.shape
        scale = max(nx / width, ny / (2 * height)) / ZOOMS[self._zoom]
        seen_y, seen_x = scale * 2 * height, scale * width
        return View(
            _place(self._centre[0] * ny - seen_y / 2, seen_y, ny),
            _place(self._centre[1] * nx - seen_x / 2, seen_x, nx),
            scale,
        )

    def paint(self, width: int, height: int) -> list[Strip]:
        if self.picture is None:
            blank = self.line()
            return [blank] * (height // 2) + [
                self.line((line.center(width), self.colours["muted"]))
                for line in self._message.split("\n")
            ]
        view = self.view(width, height)
        fine_y, fine_x = _SAMPLES[self.drawing]
        shape = (height * fine_y, width * fine_x)
        seen = (view.scale * 2 * height, view.scale * width)
        part = raster.resample(self.picture, view.top, view.left, *seen, shape)
        grey = self._with_contrast(part)
        match self.drawing:
            case Drawing.QUADRANT:
                cells = raster.quadrant_cells(grey, GREYS)
            case Drawing.HALF:
                cells = raster.half_block_cells(grey, GREYS)
            case Drawing.BRAILLE:
                cells = raster.dither_cells(grey)
            case _:
                cells = raster.ascii_cells(grey)
        if self.motion is not None and self.with_tracks:
            self._draw_tracks(cells, view, self.motion)
        return cells.strips(self._style)

    def _with_contrast(self, part: np.ndarray) -> np.ndarray:
        """0..1 of what is seen: averaging flattens noise, so the greys are stretched anew."""
        known = part[np.isfinite(part)]
        if not known.size:
            return part
        middle, spread = float(known.mean()), float(known.std()) or 1.0
        reach = 2.5 * spread * 0.8**self._contrast
        return np.clip((part - middle) / (2 * reach) + 0.5, 0, 1)

    def _draw_tracks(self, cells: Cells, view: View, motion: Motion) -> None:
        """Paths as braille on the mean grey of their cell; the start of each is marked."""
        assert self.picture is not None
        height, width = cells.codes.shape
        ny, nx = self.picture.shape
        factor = self._magnified() / self._pixel_angstrom if self._pixel_angstrom else 0.0
        dots = np.zeros((height * 4, width * 2), dtype=bool)
        starts = []
        for place, track in zip(motion.places_yx, motion.tracks_yx, strict=True):
            inset = 0.05 + 0.9 * place  # tracks at the very edge would be cut off
            y = (inset[0] * ny + track[:, 0] * factor - view.top) / view.scale * 2
            x = (inset[1] * nx + track[:, 1] * factor - view.left) / view.scale * 2
            raster.draw_polyline(dots, y, x)
            starts.append((int(y[0] // 4), int(x[0] // 2)))
        touched = dots.reshape(height, 4, width, 2).any(axis=(1, 3))
        if self.drawing is Drawing.BRAILLE:  # dots on dots: make room around the tracks
            cells.codes[_grown(np.asarray(touched))] = ord(" ")
        if self.drawing is Drawing.ASCII:
            cells.codes[touched] = ord("o")
        elif self.drawing is Drawing.HALF:
            coarse = dots[0::2] | dots[1::2]
            cells.codes[touched] = raster.quadrant_codes(coarse)[touched]
        else:
            cells.codes[touched] = raster.braille_codes(dots)[touched]
        both = touched & (cells.front >= 0) & (cells.back >= 0)
        mean = (cells.front.astype(np.int32) + cells.back) // 2
        cells.back[both] = np.minimum(mean, GREYS // 2)[both]  # dark, so that the line is seen
        cells.front[touched] = _TRACK
        for y, x in starts:
            if 0 <= y < height and 0 <= x < width:
                cells.codes[y, x] = ord("#" if self.drawing is Drawing.ASCII else "•")
                cells.front[y, x] = _START

    def _style(self, front: int, back: int) -> Style:
        style = self.rich_style
        if front == _TRACK:
            style += self.colours["track"]
        elif front == _START:
            style += self.colours["strong"] + Style(bold=True)
        elif front != DEFAULT:
            style += Style(color=_grey(front))
        return style + Style(bgcolor=_grey(back)) if back != DEFAULT else style


def _place(start: float, seen: float, n: int) -> float:
    """Where the window begins: centred when it is larger than the picture, else inside of it."""
    return (n - seen) / 2 if seen >= n else min(max(start, 0.0), n - seen)


def _grown(mask: np.ndarray) -> np.ndarray:
    """``mask`` and its neighbours to all sides."""
    padded = np.pad(mask, 1)
    height, width = mask.shape
    return np.logical_or.reduce(
        [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    )


def _grey(number: int) -> str:
    value = 8 + 10 * number  # the greys 232..255 of 256-colour terminals
    return f"#{value:02x}{value:02x}{value:02x}"
