"""Which grid square: names and labels as acquisition programs make them."""

from __future__ import annotations

from pathlib import Path

import pytest

from warptui.engine.formats.acquisition.squares import (
    square_of_label,
    square_of_parts,
    square_told_beside,
)

EPU = "Images-Disc1/GridSquare_18889877/Data/"
FRAMES = "FoilHole_18890345_Data_18881924_18881926_20200320_090200_fractions.tiff"


@pytest.mark.parametrize(
    ("path", "square"),
    [
        (EPU + FRAMES, "18889877"),
        ("gridsquare_7/" + FRAMES, "7"),
        ("GridSquare_1/GridSquare_2/" + FRAMES, "2"),
        (FRAMES, ""),  # EPU's names tell the hole alone
        ("23jan01a_00002gr_00010sq_v02_00003hl_00004en.frames.mrc", "00002gr_00010sq"),
        ("apof2_square16_hole170_1.tif", "16"),
        ("GridSquare_12_004.tif", "12"),
        ("2023-09-25_14.13.07_Grid9-_template_0035.tif", ""),
        ("img_h1_s2_i374_movie_00001_Jul30_07.56.47.tif", ""),
        ("squared_003.tif", ""),
        ("", ""),
    ],
)
def test_path(path: str, square: str) -> None:
    assert square_of_parts(Path(path).parts) == square


@pytest.mark.parametrize(
    ("label", "square"),
    [("12-3", "12"), ("A-11", "A"), ("726", ""), ("", ""), ("12-3-4", ""), (" 5-1 ", "5")],
)
def test_label_of_a_group_of_points(label: str, square: str) -> None:
    assert square_of_label(label) == square


def test_mdoc_beside_the_movie(tmp_path: Path) -> None:
    movie = tmp_path / "aav_0001.tif"
    assert square_told_beside(movie) == ""
    mdoc = tmp_path / "aav_0001.tif.mdoc"
    mdoc.write_text("[FrameSet = 0]\nSubFramePath = X:\\raw\\aav_0001.tif\nNavigatorLabel = 31-4\n")
    assert square_told_beside(movie) == "31"
    assert square_told_beside(tmp_path / "GridSquare_5" / "aav_0001.tif") == ""  # the path tells


@pytest.mark.shared
def test_real_mdocs(shared_data: Path) -> None:
    """Of single points a label alone says nothing about the square."""
    for path in sorted((shared_data / "metadata" / "mdoc").glob("*.mdoc")):
        assert square_told_beside(path.with_suffix("")) == ""
