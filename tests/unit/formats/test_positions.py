"""Positions of particles in STAR files of other programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from warptui.engine.errors import InputError
from warptui.engine.formats.star.foreign import read_positions

HEAD = "data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n_rlnAutopickFigureOfMerit #3\n"
OPTICS = "data_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnImagePixelSize #2\n1 0.834\n\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "picks.star"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("before", ["", OPTICS, "# version 30001\n\n"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_positions_are_y_and_x_of_every_row(tmp_path, before, line_end):
    text = before + HEAD + "10.5 20.25 0.9\n   1e2  2e2   -3\n\n"
    found = read_positions(written(tmp_path, text.replace("\n", line_end)))
    np.testing.assert_array_equal(found, [(20.25, 10.5), (200.0, 100.0)])


def test_a_list_without_rows_has_no_positions(tmp_path):
    assert read_positions(written(tmp_path, HEAD)).shape == (0, 2)


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "10.5 twenty 0.9\n",
        HEAD + "10.5 nan 0.9\n",
        HEAD + "1 2 3\n10.5\n",
        OPTICS,
        "data_\n",
        "no STAR file\n",
        "",
    ],
)
def test_what_has_no_coordinates_is_refused_with_the_file_named(tmp_path, text):
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=r"picks\.star"):
        read_positions(path)


def test_a_file_that_is_gone_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"gone\.star"):
        read_positions(tmp_path / "gone.star")
