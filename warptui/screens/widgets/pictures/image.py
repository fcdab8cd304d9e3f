"""The image widget: a picture with square pixels, zoom, pan, contrast and layers on top."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from rich.style import Style
from textual import events
from textual.content import Content
from textual.message import Message
from textual.strip import Strip

from warptui.screens.keys.tables.pictures import IMAGE
from warptui.screens.look.glyphs import Drawing, plain
from warptui.screens.look.palette import MAP, hexadecimal
from warptui.screens.widgets.line import BOLD, PLAIN, LineWidget, Piece
from warptui.screens.widgets.pictures import layers, raster
from warptui.screens.widgets.pictures.layers import GREYS, LINE, Layer, Marks, Mask, Tint
from warptui.screens.widgets.pictures.raster import DEFAULT, Cells
from warptui.screens.widgets.pictures.view import ZOOMS, View, look

FLAT_PARTS = 6  # of the micrograph's height: with few greys, larger structures count as ice
LEAST_FLAT = 9  # dots
CONTRASTS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)  # % of the pixels in black, and in white
USUAL_CONTRAST = 3
PAN = 0.125  # of the visible height and width, per step of a key
FINE = 2.0  # units of the screen per step of the crosshair: two columns, or one line
_BAR_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # nm
SAMPLES = {  # samples in a cell, y and x
    Drawing.QUADRANT: (2, 2),
    Drawing.HALF: (2, 1),
    Drawing.BRAILLE: (4, 2),
    Drawing.ASCII: (1, 1),
}


@dataclass(frozen=True)
class Picture:
    """The content of an `Image`. The first row of ``pixels`` is at the bottom of the screen."""

    pixels: np.ndarray  # (y, x)
    pixel_angstrom: float = 0.0  # 0 = unknown
    layers: tuple[Layer, ...] = ()


class Image(LineWidget, can_focus=True):
    """Shows a picture, or a text in its place."""

    BINDINGS = list(IMAGE)

    class DoubleClicked(Message):
        """The user double-clicked a place, where the crosshair is now."""

        def __init__(self, image: Image) -> None:
            super().__init__()
            self.image = image

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.picture: Picture | None = None
        self.centre_yx = (0.5, 0.5)  # the crosshair, in fractions of the picture
        self.aiming = False  # show the crosshair at any zoom
        self.ring = 0.0  # around the crosshair: radius in widths of the picture; 0 = no ring
        self._seen_yx = (0.5, 0.5)  # the middle of the visible part; a click does not move it
        self._message = ""
        self._zoom = 0  # index into ZOOMS
        self._contrast = USUAL_CONTRAST
        self._title = ""
        self._words: tuple = ()  # title of the frame
        self._bare: tuple[np.ndarray, tuple, Cells] | None = None  # cached, see `_bare_cells`

    def show(self, content: Picture | str) -> None:
        """Show another picture at the same zoom and place, or a text."""
        self.picture = content if isinstance(content, Picture) else None
        self._message = content if isinstance(content, str) else ""
        self._changed()

    def entitle(self, title: str) -> None:
        """Set the title that comes before zoom and contrast in the frame."""
        self._title = title
        self._changed()

    @property
    def zoom(self) -> int:
        """Magnification over the zoom that fits the whole picture into the pane."""
        return ZOOMS[self._zoom]

    @property
    def caption(self) -> str:
        """Zoom, place of the crosshair and contrast, as text."""
        if self.picture is None:
            return ""
        share = CONTRASTS[self._contrast]
        parts = [f"zoom {self.zoom}"]
        if self.crosshair:
            ny, nx = self.picture.pixels.shape
            to_um = self.picture.pixel_angstrom / 1e4
            y, x = self.centre_yx[0] * ny * to_um, self.centre_yx[1] * nx * to_um
            parts.append(f"x {x:.3f} y {y:.3f} µm" if to_um else "moved")
        parts.append(f"grey {share:g}…{100 - share:g} %")
        return "  ".join(parts)

    @property
    def legend(self) -> list[Piece]:
        """The names of the layers, with the range and colours of a map."""
        pieces: list[Piece] = []
        found = self.picture.layers if self.picture is not None else ()
        # the edited layers come first: the end of the line may be cut off
        for layer in sorted(found, key=lambda layer: not isinstance(layer, (Marks, Mask))):
            pieces.append((f"{'  ' if pieces else ''}{layer.caption}", PLAIN))
            if isinstance(layer, Tint) and layer.levels > 1:
                digits = layer.digits
                pieces.append((f" {layer.low:.{digits}f}", PLAIN))
                if not self.app.no_color and self.drawing in (Drawing.QUADRANT, Drawing.HALF):
                    pieces.append((" ", PLAIN))
                    pieces += [("  ", Style(bgcolor=hexadecimal(colour))) for colour in MAP]
                    pieces.append((f" {layer.high:.{digits}f} {layer.unit}", PLAIN))
                else:
                    lines = ", ".join(f"{value:.{digits}f}" for value in layer.contours)
                    pieces.append((f"…{layer.high:.{digits}f} {layer.unit}, lines {lines}", PLAIN))
        return pieces

    # actions of keys

    def action_zoom(self, step: int) -> None:
        self._zoom = min(max(self._zoom + step, 0), len(ZOOMS) - 1)
        self._seen_yx = self.centre_yx
        self._changed()

    def action_pan(self, y: int, x: int) -> None:
        if self.picture is None or not self.size.width or not self.size.height:
            return
        view = self.view(self.size.width, self.size.height)
        seen = [min(seen / n, 1.0) for seen, n in zip(view.seen_yx, view.shape_yx, strict=True)]
        self._move(y * PAN * seen[0], x * PAN * seen[1])

    def action_nudge(self, y: int, x: int) -> None:
        if self.picture is not None and self.size.width and self.size.height:
            view = self.view(self.size.width, self.size.height)
            step_y, step_x = (FINE * view.scale / n for n in view.shape_yx)
            self._move(y * step_y, x * step_x)

    def _move(self, y: float, x: float) -> None:
        """Move the crosshair, and the visible part with it."""
        self.centre_yx = (
            min(max(self.centre_yx[0] + y, 0.0), 1.0),
            min(max(self.centre_yx[1] + x, 0.0), 1.0),
        )
        self._seen_yx = self.centre_yx
        self._changed()

    def aim(self, place_yx: tuple[float, float] | None = None) -> None:
        """Show the crosshair; move it to a place without moving the visible part."""
        self.aiming = True
        self.centre_yx = self.centre_yx if place_yx is None else place_yx
        self._changed()

    @property
    def crosshair(self) -> bool:
        """Whether the crosshair is visible: in an enlarged picture, or after it was moved."""
        return self.aiming or self.zoom > 1 or self.centre_yx != (0.5, 0.5)

    def on_click(self, event: events.Click) -> None:
        here = event.get_content_offset(self)  # the frame belongs to the widget
        if here is None or self.picture is None or event.button != 1:
            return
        if event.chain == 1:
            width, height = self.size.width, self._picture_height(self.size.height)
            y, x = self.view(width, height).fractions(height, width)
            place = (float(y[here.y]), float(x[here.x])) if here.y < height else (-1.0, -1.0)
            if all(0 <= part <= 1 for part in place):
                self.aim(place)
        elif event.chain == 2:
            self.post_message(self.DoubleClicked(self))

    def action_contrast(self, step: int) -> None:
        self._contrast = min(max(self._contrast + step, 0), len(CONTRASTS) - 1)
        self._changed()

    def action_fit(self) -> None:
        self._zoom, self.centre_yx, self._seen_yx = 0, (0.5, 0.5), (0.5, 0.5)
        self.aiming, self.ring = False, 0.0
        self._changed()

    def _changed(self) -> None:
        title = "  ".join(filter(None, (self._title, self.caption)))
        words = (title, tuple(self.legend), self.drawing)
        if words != self._words:  # each change repaints the whole frame
            self._words = words
            self.border_title = plain(title, self.drawing)
            legend = Content.assemble(
                *(
                    (plain(text, self.drawing), f"on {style.bgcolor.name}" if style.bgcolor else "")
                    for text, style in self.legend
                )
            )
            self.border_subtitle = legend.markup
        self.repaint()

    def watch_drawing(self) -> None:
        """Draw the caption again, which uses the same glyphs."""
        self._changed()

    # drawing the picture

    def view(self, width: int, height: int) -> View:
        """The part of the picture that a pane of this size shows."""
        assert self.picture is not None
        ny, nx = self.picture.pixels.shape
        return look((ny, nx), width, height, self.zoom, self._seen_yx)

    def paint(self, width: int, height: int) -> list[Strip]:
        if self.picture is None:
            return self._paint_message(width, height)
        if (picture_height := self._picture_height(height)) < height:
            parts = [(text, self.colours["muted"] + style) for text, style in self.legend]
            return [
                *self._paint_picture(self.picture, width, picture_height),
                self.line((f"{self.caption}  ", self.colours["muted"]), *parts),
            ]
        return self._paint_picture(self.picture, width, height)

    def _picture_height(self, height: int) -> int:
        """Lines for the picture: without a frame, the caption takes some."""
        framed = bool(self.styles.border_top[0])
        return height if framed or height <= 4 else height - 1

    def _paint_message(self, width: int, height: int) -> list[Strip]:
        lines = self.wrapped(self._message, width)
        if len(lines) == 1:
            centred = (self._message.center(width), self.colours["muted"])
            return [self.line()] * (height // 2) + [self.line(centred)]
        return [self.line(*line) for line in lines[:height]]

    def _paint_picture(self, picture: Picture, width: int, height: int) -> list[Strip]:
        view = self.view(width, height)
        cells = self._bare_cells(picture, view)
        coloured = not self.app.no_color
        layers.draw_all(picture.layers, cells, view, self.drawing, coloured)
        if self.crosshair:
            if self.ring:
                there = layers.Marks(np.array([self.centre_yx]), self.ring, colour=layers.CROSS)
                layers.draw(there, cells, view, self.drawing, coloured)
            layers.draw_cross(cells, view, self.centre_yx, self.drawing)
        self._draw_bar(cells, view, picture.pixel_angstrom)
        return cells.strips(self._style)

    def _bare_cells(self, picture: Picture, view: View) -> Cells:
        """The cells of the picture without layers; kept while only layers change."""
        made_for = view, self.drawing, self._contrast, picture.pixel_angstrom
        known = self._bare
        if known is None or known[0] is not picture.pixels or known[1] != made_for:
            known = self._bare = (picture.pixels, made_for, self._drawn(picture, view))
        return known[2].copy()

    def _drawn(self, picture: Picture, view: View) -> Cells:
        fine_y, fine_x = SAMPLES[self.drawing]
        shape = (view.height * fine_y, view.width * fine_x)
        part = raster.resample(picture.pixels[::-1], view.top, view.left, *view.seen_yx, shape)
        if self.drawing is Drawing.BRAILLE:
            part = raster.smoothed(part)  # ordered dither would turn pixel noise into a mess
        if self.drawing in (Drawing.BRAILLE, Drawing.ASCII) and picture.pixel_angstrom:
            part = raster.flattened(part, max(LEAST_FLAT, min(shape) // FLAT_PARTS))
        grey = stretched(part, CONTRASTS[self._contrast])
        if self.drawing in (Drawing.BRAILLE, Drawing.ASCII):
            grey = balanced(grey)
        return drawn(grey, self.drawing)

    def _draw_bar(self, cells: Cells, view: View, pixel_angstrom: float) -> None:
        """Draw a scale bar in the lower left corner."""
        height, width = cells.codes.shape
        nm_a_cell = view.scale * pixel_angstrom / 10
        fitting = [nm for nm in _BAR_STEPS if 4 * nm_a_cell <= nm <= 0.3 * width * nm_a_cell]
        if not fitting or height < 8:
            return
        nm = fitting[-1]
        rule = ("=" if self.drawing is Drawing.ASCII else "━") * round(nm / nm_a_cell)
        text = f"{rule} {nm} nm "
        cells.write(height - 1, 1, text, layers.CROSS)
        cells.back[height - 1, 1 : 1 + len(text)] = DEFAULT

    def _style(self, front: int, back: int) -> Style:
        line = self.colours[layers.COLOURS.get(front, "track")]
        if front in (layers.START, layers.CROSS) or self.app.no_color:
            line += BOLD  # without colour, bold is the only difference from the picture's own dots
        return cell_style(front, back, line, self.rich_style)


@lru_cache(maxsize=8192)
def cell_style(front: int, back: int, line: Style, base: Style = PLAIN) -> Style:
    """The style of a cell's colour numbers; ``line``: of layers drawn over the picture."""
    style = base
    if front >= LINE:
        style += line
    elif front != DEFAULT:
        style += Style(color=layers.colour(front))
    return style + Style(bgcolor=layers.colour(back)) if back != DEFAULT else style


def stretched(part: np.ndarray, share: float) -> np.ndarray:
    """Greys 0..1 of the visible part, with ``share`` per cent of it black and as much white.

    Averaging flattens noise, so the greys are computed again for every zoom.
    """
    known = part[np.isfinite(part)]
    if not known.size:
        return part
    low, high = np.percentile(known, [share, 100 - share])
    if high <= low:
        return np.where(np.isfinite(part), np.float32(0.5), part)
    return np.clip((part - low) / (high - low), 0, 1)


def balanced(grey: np.ndarray) -> np.ndarray:
    """Greys 0..1 shifted so that their median is in the middle, where few levels show most."""
    known = grey[np.isfinite(grey)]
    median = float(np.median(known)) if known.size else 0.5
    return grey ** (np.log(0.5) / np.log(median)) if 0.05 < median < 0.95 else grey


def drawn(grey: np.ndarray, drawing: Drawing) -> Cells:
    """Greys 0..1, sampled for the way ``drawing``, as characters."""
    match drawing:
        case Drawing.QUADRANT:
            return raster.quadrant_cells(grey, GREYS)
        case Drawing.HALF:
            return raster.half_block_cells(grey, GREYS)
        case Drawing.BRAILLE:
            return raster.dither_cells(grey)
        case Drawing.ASCII:
            return raster.ascii_cells(grey)
