"""Defect maps from images and from rectangles."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from warptui.engine.errors import GainError
from warptui.engine.formats.camera.defects import read_defects
from warptui.engine.formats.image import orient
from warptui.engine.formats.mrc import write_mrc


def test_an_image_marks_what_is_not_zero(tmp_path):
    mask = np.zeros((6, 9), np.uint8)
    mask[1, 2], mask[4, 8] = 1, 255
    tifffile.imwrite(tmp_path / "d.tif", mask[::-1])
    write_mrc(tmp_path / "d.mrc", mask.astype(np.int16), 1.0, mode="int16")
    for name in ("d.tif", "d.mrc"):
        found = read_defects(tmp_path / name, shape_yx=(6, 9))
        np.testing.assert_array_equal(found, mask != 0)


def test_rectangles_count_from_the_first_pixel_of_the_first_row(tmp_path):
    (tmp_path / "d.txt").write_text("# x y w h\n\n2 0 1 6\n7,4,2,1\n")
    expected = np.zeros((6, 9), bool)
    expected[:, 2] = True
    expected[4, 7:9] = True
    found = read_defects(tmp_path / "d.txt", shape_yx=(6, 9))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("flags", np.ndindex(2, 2, 2))
def test_rectangles_are_turned_as_the_gain_is(tmp_path, flags):
    turn = dict(zip(("flip_x", "flip_y", "transpose"), map(bool, flags), strict=True))
    (tmp_path / "d.txt").write_text("1 2 3 1\n")
    plain = np.zeros((6, 9), bool)
    plain[2, 1:4] = True
    expected = orient(plain, **turn)
    found = read_defects(tmp_path / "d.txt", shape_yx=expected.shape, **turn)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 2 3\n", "line 1.*four whole numbers"),
        ("0 0 1 1\nCameraSizeX 5760\n", "line 2.*four whole numbers"),
        ("0 0 10 1\n", "does not lie within 9 x 6"),
        ("-1 0 1 1\n", "does not lie"),
        ("0 0 0 1\n", "does not lie"),
    ],
)
def test_a_line_that_is_not_understood_is_named(tmp_path, text, words):
    (tmp_path / "d.txt").write_text(text)
    with pytest.raises(GainError, match=words):
        read_defects(tmp_path / "d.txt", shape_yx=(6, 9))


def test_a_wrong_size_says_what_would_fit(tmp_path):
    tifffile.imwrite(tmp_path / "d.tif", np.zeros((9, 6), np.uint8))
    with pytest.raises(GainError, match="gain_transpose = true"):
        read_defects(tmp_path / "d.tif", shape_yx=(6, 9))


def test_a_map_of_good_pixels_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "d.tif", np.ones((6, 9), np.uint8))
    with pytest.raises(GainError, match="100 % of the pixels"):
        read_defects(tmp_path / "d.tif", shape_yx=(6, 9))
