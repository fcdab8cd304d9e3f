"""Lines, histograms and heat strips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warptui.screens.look.glyphs import Drawing
from warptui.screens.widgets.pictures.raster import Cells
from warptui.screens.widgets.plots.chart import _read
from warptui.screens.widgets.plots.heat_strip import Heat, draw_heat, fitted
from warptui.screens.widgets.plots.line_plot import FRAME, Curve, axis, draw_curves, spacing_axis


def rows_of(cells: Cells) -> list[str]:
    return ["".join(map(chr, row)) for row in cells.codes.tolist()]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 10, ("0", "5", "10")),
        (-0.3, 0.31, ("-0.25", "0.00", "0.25")),
        (7, 7, ("7",)),
        (1, 16, ("5", "10", "15")),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: tuple[str, ...]) -> None:
    found = axis(np.array([low, high]), 3, padded=False)
    labels = [found.label(tick) for tick in found.ticks]
    assert set(ticks) <= set(labels)


@pytest.mark.parametrize("drawing", list(Drawing))
@pytest.mark.parametrize("size", [(46, 10), (30, 6), (120, 30)])
def test_curves_rise_from_left_to_right(drawing, size) -> None:
    width, height = size
    x = np.arange(40)
    cells = draw_curves((Curve("x", x, x * 0.5, "axis-x"),), width, height, drawing, False)
    drawn = np.argwhere(cells.front == 0)
    first, last = drawn[drawn[:, 1].argmin()], drawn[drawn[:, 1].argmax()]
    assert first[0] > last[0]
    assert (cells.front == FRAME).any()
    if drawing is Drawing.ASCII:
        assert "".join(rows_of(cells)).isascii()


def test_curves_without_colour_are_told_apart_by_letters() -> None:
    x = np.arange(10)
    curves = (Curve("x", x, x, "axis-x"), Curve("y", x, 9 - x, "axis-y"))
    text = "".join(rows_of(draw_curves(curves, 40, 10, Drawing.QUADRANT, True)))
    assert "x" in text
    assert "y" in text


def test_a_curve_with_unknown_values_has_gaps() -> None:
    y = np.array([1.0, 2, np.nan, np.nan, 3, 4])
    cells = draw_curves((Curve("x", np.arange(6), y, "a"),), 40, 10, Drawing.BRAILLE, False)
    columns = np.flatnonzero((cells.front == 0).any(axis=0))
    assert np.diff(columns).max() > 5


def test_plotext_text_keeps_its_lines_apart_from_its_frame() -> None:
    text = "\x1b[38;5;12m 9\x1b[0m\x1b[38;5;0m┤\x1b[38;5;12m⠒⠒\x1b[38;5;10m⣀\x1b[0m\n  └───\n  1 2 "
    cells = _read(text, 3, 8)
    assert rows_of(cells)[0] == " 9┤⠒⠒⣀  "
    assert cells.front[0, 1] == FRAME
    assert list(cells.front[0, 3:6]) == [0, 0, 1]
    assert cells.front[2, 2] == FRAME


def test_peaks_survive_in_a_narrow_strip() -> None:
    values = np.zeros((2, 1000))
    values[1, 333] = 5.0
    assert fitted(values, 40).max(axis=1).tolist() == [0.0, 5.0]
    assert np.isnan(fitted(np.full((1, 10), np.nan), 3)).all()


def test_unknown_values_are_marked_and_not_drawn_as_low() -> None:
    values = np.array([[0.0, np.nan, 1.0]])
    heat = Heat(values, ("a",), "Å", 0, 1)
    for ink in ("", " ░▒▓█"):
        cells = draw_heat(heat, 40, 2, ink)
        assert "·" in rows_of(cells)[0]
        assert not ink or "█" in rows_of(cells)[0]


def test_a_strip_names_its_rows_and_its_scale() -> None:
    heat = Heat(np.ones((3, 9)), ("whole", "top", "bottom"), "Å/frame", 0, 1.5, ("frame 2", "9"))
    text = rows_of(draw_heat(heat, 70, 4, " .:-=+*#%@"))
    assert text[0].strip().startswith("whole")
    assert text[2].strip().startswith("bottom")
    assert "1.5 Å/frame" in text[3]
    assert "frame 2" in text[3]


def test_more_rows_than_lines_keep_their_peaks() -> None:
    values = np.zeros((20, 8))
    values[13] = 1.0
    cells = draw_heat(Heat(values, ("",) * 20, "", 0, 1), 30, 5)
    assert cells.back.max() > 0


@given(st.floats(0.005, 0.2), st.floats(0.01, 0.8), st.integers(1, 30))
def test_ticks_at_round_spacings_lie_on_the_axis_and_apart(low, length, n) -> None:
    found = spacing_axis(np.array([low, low + length, np.nan]), n)
    assert len(found.ticks) <= n + 1
    assert all(low <= tick <= low + length for tick in found.ticks)
    assert all(np.diff(found.ticks) >= length / n * (1 - 1e-9))
    assert all(float(found.label(tick)) == pytest.approx(1 / tick) for tick in found.ticks)


@pytest.mark.parametrize("size", [(40, 12), (120, 30)])
def test_frequencies_are_told_as_spacings(size) -> None:
    k = np.linspace(0.03, 0.3, 50)
    chart = draw_curves(
        (Curve("fit", k, np.sin(40 * k), "axis-x"),), *size, Drawing.QUADRANT, False, spacings=True
    )
    assert {"20", "10", "5", "4"} <= set("".join(map(chr, chart.codes[-1].tolist())).split())
