"""Every way of drawing shows a picture in its true shape, the right way up, with its layers."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tests.work import instructions
from warptui.screens.look.glyphs import Drawing
from warptui.screens.widgets.pictures import layers, raster
from warptui.screens.widgets.pictures.image import SAMPLES, drawn, stretched
from warptui.screens.widgets.pictures.layers import GREYS, LINE, TINT, Marks, Paths, Tint
from warptui.screens.widgets.pictures.raster import Cells
from warptui.screens.widgets.pictures.shapes import Shape
from warptui.screens.widgets.pictures.view import View, look

SHAPES = [(256, 256), (364, 512), (512, 364)]


def shown(picture: np.ndarray, view: View, drawing: Drawing) -> Cells:
    """As `Image` draws a picture."""
    fine_y, fine_x = SAMPLES[drawing]
    shape = (view.height * fine_y, view.width * fine_x)
    part = raster.resample(picture[::-1], view.top, view.left, *view.seen_yx, shape)
    return drawn(stretched(part, 0.0), drawing)


def brightness(cells: Cells, drawing: Drawing) -> np.ndarray:
    """(y, x) how bright each cell is, 0..1, as its character and colours show it."""
    if drawing is Drawing.BRAILLE:
        bits = np.where(cells.codes >= raster.BRAILLE, cells.codes - raster.BRAILLE, 0)
        return np.vectorize(lambda code: int(code).bit_count() / 8)(bits)
    if drawing is Drawing.ASCII:
        ramp = {ord(character): n / 9 for n, character in enumerate(" .:-=+*#%@")}
        return np.vectorize(ramp.__getitem__)(cells.codes)
    ink = {" ": 0.0, "▀": 0.5, "█": 1.0}
    ink |= dict.fromkeys("▘▝▖▗", 0.25) | dict.fromkeys("▌▐▞▚▄", 0.5) | dict.fromkeys("▛▜▙▟", 0.75)
    share = np.vectorize(lambda code: ink[chr(code)])(cells.codes)
    front, back = np.maximum(cells.front, 0), np.maximum(cells.back, 0)
    return (share * front + (1 - share) * back) / (GREYS - 1)


def disc(shape_yx: tuple[int, int], centre_yx: tuple[float, float], radius: float) -> np.ndarray:
    y, x = np.mgrid[: shape_yx[0], : shape_yx[1]] + 0.5
    inside = np.hypot(y - centre_yx[0], x - centre_yx[1]) < radius
    return np.where(inside, 255, 0).astype(np.uint8)


@pytest.mark.parametrize("drawing", list(Drawing))
@pytest.mark.parametrize(
    ("shape_yx", "size"), list(product(SHAPES, [(70, 30), (40, 12), (120, 50)]))
)
def test_a_circle_stays_round(drawing, shape_yx, size) -> None:
    width, height = size
    view = look(shape_yx, width, height)
    picture = disc(shape_yx, (shape_yx[0] / 2, shape_yx[1] / 2), 0.4 * min(shape_yx))
    bright = brightness(shown(picture, view, drawing), drawing) > 0.3
    n_rows, n_columns = bright.any(axis=1).sum(), bright.any(axis=0).sum()
    assert abs(2 * n_rows - n_columns) <= 2  # within a cell: its height is two units
    expected = 0.8 * min(shape_yx) / view.scale
    assert abs(n_columns - expected) <= 2


@pytest.mark.parametrize("drawing", list(Drawing))
def test_the_first_row_is_at_the_bottom_and_the_first_column_at_the_left(drawing) -> None:
    picture = disc((200, 200), (30, 50), 25)  # row 30 of 200, column 50
    bright = brightness(shown(picture, look((200, 200), 60, 30), drawing), drawing)
    rows, columns = np.nonzero(bright > 0.3)
    assert rows.min() > 15
    assert columns.max() < 30


@pytest.mark.parametrize("drawing", list(Drawing))
def test_circles_lie_around_what_they_mark(drawing) -> None:
    picture = disc((300, 400), (80, 300), 20)
    view = look((300, 400), 100, 40, zoom=2, centre_yx=(80 / 300, 300 / 400))
    cells = shown(picture, view, drawing)
    bright = brightness(cells, drawing) > 0.5
    middle = np.argwhere(bright).mean(axis=0)
    marks = Marks(np.array([[80 / 300, 300 / 400]]), radius=40 / 400)
    layers.draw(marks, cells, view, drawing, coloured=True)
    ring = np.argwhere(cells.front == LINE)
    np.testing.assert_allclose(ring.mean(axis=0), middle, atol=1.0)
    high, wide = np.ptp(ring, axis=0)
    assert abs(2 * high - wide) <= 3
    assert cells.front[tuple(middle.round().astype(int))] != LINE  # what is marked stays visible


def test_small_circles_become_dots() -> None:
    view = look((512, 512), 60, 30)
    few = np.array([[0.5, 0.5]])
    radius = 0.9 * layers.SMALLEST_CIRCLE / (2 * 60)
    dot, circle = Cells.blank(30, 60), Cells.blank(30, 60)
    layers.draw(Marks(few, radius), dot, view, Drawing.QUADRANT, coloured=True)
    layers.draw(Marks(few, 1.2 * radius), circle, view, Drawing.QUADRANT, coloured=True)
    assert (dot.front == LINE).sum() == 1
    assert (circle.front == LINE).sum() > 6


def test_a_path_runs_where_the_specimen_went() -> None:
    view = look((100, 100), 60, 30)
    cells = Cells.blank(30, 60)
    path = Paths(np.array([[[0.2, 0.21], [0.8, 0.21]]]))  # towards higher rows: up on screen
    layers.draw(path, cells, view, Drawing.QUADRANT, coloured=True)
    start = np.argwhere(cells.front == layers.START)[0]
    line = np.argwhere(cells.front == LINE)
    assert line[:, 0].max() <= start[0]
    assert line[:, 0].min() == pytest.approx(6, abs=1)
    assert set(line[:, 1]) == {12}


@pytest.mark.parametrize("drawing", [Drawing.QUADRANT, Drawing.HALF])
def test_a_map_tints_the_greys_and_keeps_them(drawing) -> None:
    view = look((100, 100), 40, 20)
    cells = shown(np.tile(np.arange(100), (100, 1)), view, drawing)
    before = cells.back.copy()
    values = np.array([[0.0, 0.0], [1.0, 1.0]])  # grows upwards
    layers.draw(Tint(values, 0, 1), cells, view, drawing, coloured=True)
    np.testing.assert_array_equal(cells.back % TINT, before)
    step = cells.back // TINT
    assert (step[0] == layers.LEVELS).all()
    assert (step[-1] == 1).all()


@pytest.mark.parametrize("drawing", list(Drawing))
def test_a_map_has_contours_where_there_is_no_colour(drawing) -> None:
    view = look((100, 100), 40, 20)
    cells = shown(np.full((100, 100), 128, np.uint8), view, drawing)
    layers.draw(
        Tint(np.array([[0.0, 0.0], [1.0, 1.0]]), 0, 1), cells, view, drawing, coloured=False
    )
    rows = np.flatnonzero((cells.front == LINE).any(axis=1))
    assert len(rows) == layers.CONTOURS


def test_a_mask_has_an_outline_where_there_is_no_colour() -> None:
    view = look((64, 64), 40, 20)
    cells = shown(np.full((64, 64), 99, np.uint8), view, Drawing.BRAILLE)
    mask = np.full((64, 64), np.nan)
    mask[:32] = 1.0
    layers.draw(Tint(mask, 0, 1, levels=1), cells, view, Drawing.BRAILLE, coloured=False)
    line = np.argwhere(cells.front == LINE)
    assert set(line[:, 0]) == {10}
    assert len(line) == 40


def test_a_mask_covers_its_own_part_alone() -> None:
    view = look((64, 64), 40, 20)
    cells = shown(np.full((64, 64), 99, np.uint8), view, Drawing.HALF)
    mask = np.full((64, 64), np.nan)
    mask[:32] = 1.0  # the lower half
    layers.draw(Tint(mask, 0, 1, levels=1), cells, view, Drawing.HALF, coloured=True)
    tinted = cells.back >= TINT
    assert tinted[11:].all()
    assert not tinted[:9].any()


@pytest.mark.parametrize("zoom", [1, 2, 4, 8])
def test_the_crosshair_stays_on_its_place_at_every_zoom(zoom: int) -> None:
    for place in ((0.5, 0.5), (0.02, 0.97), (0.3, 0.9)):
        view = look((300, 500), 80, 30, zoom, place)
        y, x = view.units(np.array(place))
        assert 0 <= y <= 60
        assert 0 <= x <= 80
        if 0.2 < place[0] < 0.8 and place[1] == 0.5:
            assert (y, x) == pytest.approx((30, 40))


def test_units_and_fractions_are_inverse() -> None:
    view = look((300, 500), 80, 30, 4, (0.3, 0.6))
    y, x = view.fractions(60, 80)
    units_y, units_x = view.units(np.stack([y, np.full(60, 0.5)], axis=-1))
    np.testing.assert_allclose(units_y, np.arange(60) + 0.5, atol=1e-9)
    _, units_x = view.units(np.stack([np.full(80, 0.5), x], axis=-1))
    np.testing.assert_allclose(units_x, np.arange(80) + 0.5, atol=1e-9)


def test_an_enlarged_picture_has_no_steps() -> None:
    ramp = np.tile(np.arange(10.0), (10, 1))
    part = raster.resample(ramp, 2, 2, 4, 4, (40, 40))
    steps = np.diff(part[0])
    assert (steps > 0).all()
    assert steps.max() < 0.11


def test_outliers_do_not_darken_the_rest() -> None:
    random = np.random.default_rng(0)
    part = random.normal(100, 5, (60, 60))
    part[0, 0] = 1e5
    grey = stretched(part, 1.0)
    assert 0.2 < np.std(grey) < 0.3
    assert (stretched(np.full((3, 3), 7.0), 1.0) == 0.5).all()


def test_lines_with_gaps_and_far_ends_are_drawn_where_they_are_seen() -> None:
    dots = np.zeros((20, 20), dtype=bool)
    raster.draw_polyline(dots, np.array([5, np.nan, 5, 5e9]), np.array([0.0, 2, 4, 4]))
    assert not dots[:, :4].any()
    assert dots[5, 4]


SHAPES_OF_MARKS = {
    Shape.CIRCLE: layers.PICK,
    Shape.BOX: layers.ADDED,
    Shape.CROSS: layers.REMOVED,
    Shape.DASHED: layers.UNCERTAIN,
    Shape.DOUBLE: layers.CERTAIN,
}


def marked(shape: Shape, radius: float, drawing: Drawing, coloured: bool) -> Cells:
    view = look((200, 200), 60, 30)
    cells = shown(np.full((200, 200), 99, np.uint8), view, drawing)
    marks = Marks(np.array([[0.5, 0.5]]), radius, "", shape, SHAPES_OF_MARKS[shape])
    layers.draw(marks, cells, view, drawing, coloured)
    return cells


@pytest.mark.parametrize("drawing", list(Drawing))
@pytest.mark.parametrize("radius", [0.01, 0.1, 0.2])
def test_kinds_of_marks_are_told_apart_without_colours(drawing, radius) -> None:
    found = [
        marked(shape, radius, drawing, coloured=False).codes.tobytes() for shape in SHAPES_OF_MARKS
    ]
    assert len(set(found)) == len(SHAPES_OF_MARKS)


@pytest.mark.parametrize("drawing", list(Drawing))
@pytest.mark.parametrize("shape", list(Shape))
def test_a_mark_lies_about_its_place(drawing, shape) -> None:
    touched = np.argwhere(marked(shape, 0.2, drawing, coloured=True).front >= LINE)
    np.testing.assert_allclose(touched.mean(axis=0), (14.5, 29.5), atol=1.5)
    high, wide = np.ptp(touched, axis=0) + 1
    assert abs(2 * high - wide) <= 3


def test_outlines_hide_little_of_a_picture() -> None:
    view = look((400, 400), 100, 50)
    cells = shown(np.full((400, 400), 99, np.uint8), view, Drawing.QUADRANT)
    places = np.stack(np.meshgrid(np.arange(10), np.arange(10)), -1).reshape(-1, 2) / 10 + 0.05
    layers.draw(Marks(places, 0.04, colour=layers.PICK), cells, view, Drawing.QUADRANT, True)
    assert (cells.front >= LINE).mean() < 0.5
    inside = cells.front.reshape(10, 5, 10, 10)[:, 2, :, 4:6]
    assert (inside < LINE).all()


@pytest.mark.parametrize("drawing", [Drawing.QUADRANT, Drawing.HALF])
def test_small_picks_are_tinted_and_keep_their_picture(drawing) -> None:
    view = look((200, 200), 60, 30)
    before = shown(np.tile(np.arange(200), (200, 1)), view, drawing)
    cells = shown(np.tile(np.arange(200), (200, 1)), view, drawing)
    marks = Marks(np.array([[0.51, 0.51]]), 0.005, colour=layers.PICK)
    layers.draw(marks, cells, view, drawing, coloured=True)
    np.testing.assert_array_equal(cells.codes, before.codes)
    np.testing.assert_array_equal(cells.back % TINT, before.back % TINT)
    assert (cells.back // TINT == layers.PICKED).sum() == 1


@pytest.mark.parametrize("coloured", [True, False])
@pytest.mark.parametrize("drawing", list(Drawing))
def test_a_mask_is_hatched_and_outlined_in_every_way_of_drawing(drawing, coloured) -> None:
    view = look((100, 100), 60, 30)
    cells = shown(np.full((100, 100), 99, np.uint8), view, drawing)
    inside = np.zeros((50, 50), dtype=bool)
    inside[:25] = True  # the lower half
    layers.draw(layers.Mask(inside), cells, view, drawing, coloured)
    hatched = cells.front == layers.HATCH
    assert hatched[16:].any(axis=1).all()
    assert not hatched[:14].any()
    assert hatched[14:16].all(axis=1).any()  # its edge
    assert hatched[16:].mean() < 0.25  # most of what it covers stays visible
    tinted = cells.back // TINT == layers.MASKED
    assert tinted[16:].any() == (coloured and drawing in (Drawing.QUADRANT, Drawing.HALF))
    assert not tinted[:14].any()


@pytest.mark.parametrize("drawing", [Drawing.QUADRANT, Drawing.HALF, Drawing.BRAILLE])
def test_lines_that_cross_in_a_cell_are_both_seen(drawing) -> None:
    view = look((100, 100), 50, 25)
    both, one = Cells.blank(25, 50), Cells.blank(25, 50)
    for cells, columns in ((both, (0.5, 0.511)), (one, (0.511,))):
        for x in columns:
            path = Paths(np.array([[[0.2, x], [0.8, x]]]))
            layers.draw(path, cells, view, drawing, coloured=True)
    middle = 12, 25
    assert both.codes[middle] != one.codes[middle]
    assert both.front[middle] == one.front[middle] == LINE


def test_circles_are_drawn_in_columns() -> None:
    def work(n: int) -> int:
        view = look((400, 500), 120, 45, zoom=8, centre_yx=(0.5, 0.5))
        cells = Cells.blank(45, 120)
        marks = Marks(np.random.default_rng(0).random((n, 2)), 0.02, colour=layers.PICK)
        return instructions(
            lambda: layers.draw(marks, cells, view, Drawing.QUADRANT, coloured=True)
        )

    assert work(3000) < 1.5 * work(300)
