"""Pictures and dots as characters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from warptui.screens.widgets.pictures import raster


def test_each_braille_dot_is_where_unicode_says() -> None:
    for (y, x), code in {(0, 0): 0x2801, (3, 0): 0x2840, (0, 1): 0x2808, (3, 1): 0x2880}.items():
        dots = np.zeros((4, 2), dtype=bool)
        dots[y, x] = True
        assert raster.braille_codes(dots)[0, 0] == code


def test_a_cell_without_dots_is_a_space() -> None:
    assert chr(raster.braille_codes(np.zeros((4, 2), dtype=bool))[0, 0]) == " "


def test_quadrants_name_their_corner() -> None:
    corner = np.array([[True, False], [False, False]])
    assert chr(raster.quadrant_codes(corner)[0, 0]) == "▘"
    assert chr(raster.quadrant_codes(~corner)[0, 0]) == "▟"


@given(st.integers(1, 40), st.integers(1, 40))
def test_resampling_keeps_the_mean_of_the_picture(ny: int, nx: int) -> None:
    image = np.random.default_rng(0).random((64, 48)).astype(np.float32)
    small = raster.resample(image, 0, 0, 64, 48, (ny, nx))
    assert np.isclose(small.mean(), image.mean(), atol=1e-4)


def test_what_lies_outside_of_the_picture_is_empty() -> None:
    part = raster.resample(np.ones((10, 10)), -10, 0, 20, 10, (4, 2))
    assert np.isnan(part[:2]).all()
    assert (part[2:] == 1).all()


@pytest.mark.parametrize("draw", [raster.half_block_cells, raster.quadrant_cells])
def test_an_even_grey_becomes_a_background_without_glyphs(draw) -> None:
    cells = draw(np.full((8, 8), 0.5), 24)
    assert (cells.codes == ord(" ")).all()
    assert (cells.back == 12).all()


def test_dither_sets_as_many_dots_as_the_grey_says() -> None:
    cells = raster.dither_cells(np.full((64, 64), 0.25))
    dots = sum(int(code - 0x2800).bit_count() for code in cells.codes.ravel() if code > 0x2800)
    assert dots == 64 * 64 // 4


def test_a_line_reaches_both_of_its_ends() -> None:
    dots = np.zeros((20, 20), dtype=bool)
    raster.draw_polyline(dots, np.array([2.5, 17.5]), np.array([1.5, 9.5]))
    assert dots[2, 1]
    assert dots[17, 9]
    assert dots.any(axis=1)[2:18].all()


def test_strips_are_as_wide_as_the_cells_and_always_have_a_style() -> None:
    cells = raster.Cells.blank(2, 7)
    cells.write(0, 2, "abcdefghij", 3)
    strips = cells.strips(lambda front, back: Style(bold=front == 3))
    assert [strip.text for strip in strips] == ["  abcde", "       "]
    assert all(segment.style is not None for strip in strips for segment in strip)


def test_flattening_takes_off_the_mean_about_each_place_and_leaves_gaps() -> None:
    part = np.random.default_rng(3).normal(size=(17, 23))
    part[:3] = np.nan
    found = raster.flattened(part, 5)
    assert np.array_equal(np.isnan(found), np.isnan(part))
    for y, x in ((3, 0), (8, 11), (16, 22)):
        about = part[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
        assert found[y, x] == pytest.approx(part[y, x] - np.nanmean(about))


def test_a_slope_of_ice_hides_no_particle_where_there_are_few_greys() -> None:
    slope = np.linspace(0, 50, 96)[:, None] + np.zeros(96)
    rings = np.hypot(*np.mgrid[-48:48, -48:48] % 24 - 12) < 8
    flat = raster.flattened(slope - 3.0 * rings, 16)
    assert flat[rings].mean() < flat[~rings].mean() - 1
