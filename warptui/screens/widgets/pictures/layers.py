"""Layers over a picture: paths, marks, masks and translucent maps. Pure NumPy.

Places are fractions of the picture (see `view`), so that a layer knows nothing of previews.
Colour numbers of the cells: 0 .. GREYS-1 are greys, TINT * n + grey is grey under colour n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warptui.screens.look.glyphs import Drawing
from warptui.screens.look.palette import MAP, MASK, PICKED_HUE, hexadecimal
from warptui.screens.widgets.pictures import raster, shapes
from warptui.screens.widgets.pictures.raster import Cells
from warptui.screens.widgets.pictures.shapes import Shape
from warptui.screens.widgets.pictures.view import View

GREYS = 24  # as many as 256-colour terminals have; equal neighbours merge, which saves bytes, too
TINT = 32  # distance between the colour numbers of two tints
LEVELS = 6  # steps of a map
CONTOURS = 2  # contours of a map without colours: more would hide the picture
MASKED, PICKED = LEVELS + 1, LEVELS + 2  # tints after those of a map
LINE, START, CROSS, HATCH, PICK, ADDED, REMOVED, UNCERTAIN, CERTAIN = range(1000, 1009)
COLOURS = {  # colours of layers: names of the palette
    LINE: "track",
    START: "strong",
    CROSS: "strong",
    HATCH: "mask",
    PICK: "pick",
    ADDED: "pick-added",
    REMOVED: "pick-removed",
    UNCERTAIN: "pick-uncertain",
    CERTAIN: "pick-certain",
}
SMALLEST_CIRCLE = 4.0  # dots; a smaller ring would hide what it surrounds
_EVEN = 1e-3  # units: keeps two marks of one place near a cell's edge in the same cell
HATCH_CELLS = 6  # dots between two strokes of the hatching: most of the picture stays visible


@dataclass(frozen=True)
class Paths:
    """Tracks, with marks at their starts."""

    points_yx: np.ndarray  # (path, point, 2)
    caption: str = ""


@dataclass(frozen=True)
class Marks:
    """Places such as particles: outlined where there is room, else shown as small signs."""

    places_yx: np.ndarray  # (mark, 2)
    radius: float | np.ndarray  # in widths of the picture; (mark,) if they differ
    caption: str = ""
    shape: Shape = Shape.CIRCLE
    colour: int = LINE


@dataclass(frozen=True)
class Mask:
    """Masked areas of the picture: tinted, outlined and hatched."""

    inside: np.ndarray  # (y, x) bool, first row at the bottom
    caption: str = ""


@dataclass(frozen=True)
class Tint:
    """A translucent map over the picture, NaN = no tint; a mask is a map of one level."""

    values: np.ndarray  # (y, x), first row at the bottom; nodes reach from edge to edge
    low: float
    high: float
    caption: str = ""
    unit: str = ""
    levels: int = LEVELS
    digits: int = 1  # labels of its ends in the legend

    @property
    def contours(self) -> tuple[float, ...]:
        """The values of the contours that replace the tint where there is no colour."""
        n = min(self.levels, CONTOURS + 1)
        return tuple(self.low + (self.high - self.low) * step / n for step in range(1, n))


@dataclass(frozen=True)
class Swap:
    """The same picture, processed in another way; of equal size."""

    pixels: np.ndarray  # (y, x)
    caption: str = ""


Layer = Paths | Marks | Mask | Tint | Swap


def draw_all(
    found: tuple[Layer, ...], cells: Cells, view: View, drawing: Drawing, coloured: bool
) -> None:
    """Draw layers over the picture in ``cells``: maps below, lines above."""
    for layer in sorted(found, key=lambda layer: not isinstance(layer, (Mask, Tint))):
        draw(layer, cells, view, drawing, coloured)


def draw(layer: Layer, cells: Cells, view: View, drawing: Drawing, coloured: bool) -> None:
    """Draw ``layer`` over the picture in ``cells``."""
    match layer:
        case Paths():
            _draw_paths(layer, cells, view, drawing)
        case Marks():
            _draw_marks(layer, cells, view, drawing, coloured)
        case Mask():
            _draw_mask(layer, cells, view, drawing, coloured)
        case Tint() if coloured and drawing in (Drawing.QUADRANT, Drawing.HALF):
            _tint(layer, cells, view)
        case Swap():
            pass  # a `Swap` is the picture itself
        case Tint():
            _draw_contours(layer, cells, view, drawing)


def draw_cross(cells: Cells, view: View, place_yx: tuple[float, float], drawing: Drawing) -> None:
    """Draw four ticks around a place, which itself stays visible."""
    y, x = view.units(np.array(place_yx))
    row, column = int((y + _EVEN) // 2), int(x + _EVEN)
    horizontal, vertical = ("-", "|") if drawing is Drawing.ASCII else ("─", "│")
    for dy, dx, tick in ((0, -2, horizontal), (0, 2, horizontal), (-1, 0, vertical)):
        _put(cells, row + dy, column + dx, tick, CROSS)
    _put(cells, row + 1, column, vertical, CROSS)


def _draw_paths(layer: Paths, cells: Cells, view: View, drawing: Drawing) -> None:
    dots = _canvas(cells)
    y, x = view.units(layer.points_yx)
    apart = ((0, 0), (0, 1))  # an unknown point ends each path, so that all are drawn as one line
    all_y, all_x = (np.pad(2 * units, apart, constant_values=np.nan).ravel() for units in (y, x))
    raster.draw_polyline(dots, all_y, all_x)
    _draw_dots(dots, cells, drawing)
    start = "#" if drawing is Drawing.ASCII else "•"
    for row, column in zip(y[:, 0] // 2, x[:, 0] // 1, strict=True):
        _put(cells, int(row), int(column), start, START)


def _draw_marks(layer: Marks, cells: Cells, view: View, drawing: Drawing, coloured: bool) -> None:
    y, x = (2 * units for units in view.units(layer.places_yx))
    radius = np.broadcast_to(layer.radius, y.shape) * view.shape_yx[1] / view.scale * 2
    if layer.shape.area:
        radius = np.maximum(radius, SMALLEST_CIRCLE)
    small = radius < SMALLEST_CIRCLE
    if not small.all():
        dots = _canvas(cells)
        shapes.draw(dots, layer.shape, y[~small], x[~small], radius[~small])
        _draw_dots(dots, cells, drawing, layer.colour, layer.shape.letter)
    tinted = layer.colour == PICK and coloured and drawing in (Drawing.QUADRANT, Drawing.HALF)
    dotted = layer.shape is Shape.CIRCLE and layer.colour != PICK
    if tinted:  # a dot hides less than any sign
        there = np.zeros(cells.codes.shape, dtype=bool)
        raster.draw_points(there, y[small] / 4, x[small] / 2)
        _tint_cells(cells, there, PICKED)
    elif dotted and small.any():
        dots = _canvas(cells)
        raster.draw_points(dots, y[small], x[small])
        _draw_dots(dots, cells, drawing, layer.colour, layer.shape.letter)
    signs = ~small if layer.shape.area else small & (not (tinted or dotted))
    sign = layer.shape.letter if drawing is Drawing.ASCII else layer.shape.sign
    touched = np.zeros(cells.codes.shape, dtype=bool)
    raster.draw_points(touched, y[signs] / 4 + _EVEN, x[signs] / 2 + _EVEN)
    _write(cells, touched, sign, layer.colour)


def _draw_mask(layer: Mask, cells: Cells, view: View, drawing: Drawing, coloured: bool) -> None:
    """Draw hatching and an outline, which show the mask where there is no colour."""
    height, width = cells.codes.shape
    fine = _sampled(layer.inside, view, height * 4, width * 2)
    inside = fine.reshape(height, 4, width, 2).mean(axis=(1, 3)) > 0.5
    if coloured and drawing in (Drawing.QUADRANT, Drawing.HALF):
        _tint_cells(cells, inside, MASKED)
    _draw_dots(_edges(fine, view), cells, drawing, HATCH, "/")
    strokes = np.add.outer(np.arange(height), np.arange(width)) % HATCH_CELLS == 0
    _write(cells, inside & strokes & (cells.front != HATCH), "/", HATCH)


def _tint_cells(cells: Cells, there: np.ndarray, step: int) -> None:
    """Tint the greys of the cells where ``there`` (y, x) is true."""
    for plane in (cells.front, cells.back):
        grey = (plane >= 0) & (plane < LINE) & there
        plane[grey] = plane[grey] % TINT + TINT * step


def _sampled(inside: np.ndarray, view: View, rows: int, columns: int) -> np.ndarray:
    """(rows, columns) bool of the pane; False outside of the picture."""
    y, x = view.fractions(rows, columns)
    ny, nx = inside.shape
    known = ((y >= 0) & (y < 1))[:, None] & ((x >= 0) & (x < 1))
    picked_y, picked_x = (
        np.clip((fractions * n).astype(int), 0, n - 1) for fractions, n in ((y, ny), (x, nx))
    )
    return inside[picked_y][:, picked_x] & known


def _canvas(cells: Cells) -> np.ndarray:
    height, width = cells.codes.shape
    return np.zeros((height * 4, width * 2), dtype=bool)


def _draw_dots(
    dots: np.ndarray, cells: Cells, drawing: Drawing, colour: int = LINE, letter: str = "o"
) -> None:
    """Draw dots (4 h, 2 w) on the mean grey of their cells; dots that are there already stay."""
    height, width = cells.codes.shape
    touched = np.asarray(dots.reshape(height, 4, width, 2).any(axis=(1, 3)))
    lines = touched & (cells.front >= LINE)
    if drawing is Drawing.ASCII:
        cells.codes[touched] = ord(letter)
    elif drawing is Drawing.HALF:  # the font may have no braille
        coarse = dots[0::2] | dots[1::2]
        kept = np.where(lines, raster.quadrant_bits(cells.codes), 0)
        codes = raster.quadrant_codes(coarse, kept)
        cells.codes[touched] = codes[touched]
    else:
        codes = raster.braille_codes(dots)
        joined = lines & (cells.codes >= raster.BRAILLE) & (cells.codes < raster.BRAILLE + 256)
        codes[joined] |= cells.codes[joined]
        cells.codes[touched] = codes[touched]
    _darken(cells, touched)
    cells.front[touched] = colour


def _write(cells: Cells, touched: np.ndarray, character: str, colour: int) -> None:
    """Put a character into each of the cells ``touched`` (y, x)."""
    _darken(cells, touched)
    cells.codes[touched] = ord(character)
    cells.front[touched] = colour


def _darken(cells: Cells, touched: np.ndarray) -> None:
    """Give the cells of a sign one dark grey, so that the sign is visible."""
    both = touched & (cells.front >= 0) & (cells.front < LINE) & (cells.back >= 0)
    mean = (cells.front % TINT + cells.back % TINT) // 2
    dark = np.minimum(mean, GREYS // 2)
    cells.back[both] = (cells.back // TINT * TINT + dark)[both]


def _tint(layer: Tint, cells: Cells, view: View) -> None:
    height, width = cells.codes.shape
    number = _steps(layer, view, height, width, layer.levels)
    for plane in (cells.front, cells.back):
        grey = (plane >= 0) & (plane < GREYS) & (number > 0)
        plane[grey] += (TINT * number).astype(plane.dtype)[grey]


def _draw_contours(layer: Tint, cells: Cells, view: View, drawing: Drawing) -> None:
    """Draw the contours of a map where there is no colour."""
    height, width = cells.codes.shape
    number = _steps(layer, view, height * 4, width * 2, len(layer.contours) + 1)
    _draw_dots(_edges(number, view), cells, drawing)


def _edges(number: np.ndarray, view: View) -> np.ndarray:
    """Dots where ``number`` changes within the picture."""
    y, x = view.fractions(*number.shape)
    inside = ((y > 0) & (y < 1))[:, None] & ((x > 0) & (x < 1))
    dots = np.zeros(number.shape, dtype=bool)
    dots[1:] |= (number[1:] != number[:-1]) & inside[1:] & inside[:-1]
    dots[:, 1:] |= (number[:, 1:] != number[:, :-1]) & inside[:, 1:] & inside[:, :-1]
    return dots


def _steps(layer: Tint, view: View, rows: int, columns: int, levels: int) -> np.ndarray:
    """(rows, columns) level of the map, 1 .. levels; 0 = outside."""
    y, x = view.fractions(rows, columns)
    values = _between(layer.values, y, x)
    span = (layer.high - layer.low) or 1.0
    with np.errstate(invalid="ignore"):
        number = 1 + np.clip((values - layer.low) / span * levels, 0, levels - 1)
    known = np.isfinite(values)
    known &= ((y >= 0) & (y <= 1))[:, None] & ((x >= 0) & (x <= 1))
    return np.where(known, np.nan_to_num(number), 0).astype(np.int16)


def _between(values: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Bilinear interpolation between nodes that reach from edge to edge."""
    low_y, part_y = _neighbours(values.shape[0], y)
    low_x, part_x = _neighbours(values.shape[1], x)
    high_y = np.minimum(low_y + 1, values.shape[0] - 1)
    high_x = np.minimum(low_x + 1, values.shape[1] - 1)
    below = values[low_y][:, low_x] * (1 - part_x) + values[low_y][:, high_x] * part_x
    above = values[high_y][:, low_x] * (1 - part_x) + values[high_y][:, high_x] * part_x
    return below * (1 - part_y[:, None]) + above * part_y[:, None]


def _neighbours(n: int, fractions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    place = np.clip(fractions, 0, 1) * (n - 1)
    low = np.minimum(place.astype(int), max(n - 2, 0))
    return low, place - low


def _put(cells: Cells, row: int, column: int, character: str, colour: int) -> None:
    height, width = cells.codes.shape
    if 0 <= row < height and 0 <= column < width:
        cells.codes[row, column] = ord(character)
        cells.front[row, column] = colour


def colour(number: int) -> str:
    """A grey 232..255 of 256-colour terminals, tinted with a map's colour."""
    step, grey = divmod(number, TINT)
    value = 8 + 10 * grey
    if not step:
        return hexadecimal((value, value, value))
    hue = (*MAP, MASK, PICKED_HUE)[step - 1]
    red, green, blue = (round(0.55 * value + 0.45 * part) for part in hue)
    return hexadecimal((red, green, blue))
