"""Dots, histograms and axes: drawn where the numbers are, in every glyph mode."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warptui.screens.look.glyphs import Drawing
from warptui.screens.widgets.plots.axis import (
    Spread,
    decimals,
    round_step,
    short,
    ticks,
    value_range,
)
from warptui.screens.widgets.plots.dots import Layer, dot_cells
from warptui.screens.widgets.plots.histogram import histogram_cells


def all_of(n: int, colour: int = 1) -> Layer:
    return Layer(np.ones(n, dtype=bool), colour, "*")


@pytest.mark.parametrize("drawing", Drawing)
def test_a_point_is_drawn_in_the_cell_where_it_belongs(drawing: Drawing) -> None:
    cells = dot_cells(np.array([0.0, 1.0]), np.array([0.0, 1.0]), [all_of(2)], (5, 20), drawing)
    drawn = np.argwhere(cells.codes != ord(" "))
    assert drawn.tolist() == [[0, 0], [4, 19]]


@pytest.mark.parametrize("drawing", Drawing)
def test_unknown_values_are_nowhere(drawing: Drawing) -> None:
    y, x = np.array([np.nan, 0.5]), np.array([0.5, np.nan])
    cells = dot_cells(y, x, [all_of(2)], (5, 20), drawing)
    assert (cells.codes == ord(" ")).all()


def test_few_points_are_drawn_large_within_their_cells() -> None:
    y, x = np.array([0.0, 1.0, np.nan]), np.array([0.0, 1.0, 0.5])
    layer = Layer(np.ones(3, dtype=bool), 2, "*")
    cells = dot_cells(y, x, [layer], (2, 3), Drawing.BRAILLE, large=True)
    assert ["".join(map(chr, row)) for row in cells.codes] == ["⠛  ", "  ⣤"]
    small = dot_cells(y, x, [layer], (2, 3), Drawing.BRAILLE)
    assert ["".join(map(chr, row)) for row in small.codes] == ["⠁  ", "  ⢀"]


def test_later_layers_lie_on_top() -> None:
    y, x = np.array([0.5, 0.5]), np.array([0.5, 0.5])
    layers = [Layer(np.array([True, False]), 1, "."), Layer(np.array([False, True]), 2, "#")]
    cells = dot_cells(y, x, layers, (5, 20), Drawing.ASCII)
    assert {chr(code) for code in np.unique(cells.codes)} == {" ", "#"}
    assert cells.front.max() == 2


@pytest.mark.parametrize("drawing", Drawing)
def test_the_longest_bar_is_where_most_values_are(drawing: Drawing) -> None:
    values = np.concatenate([np.full(100, 9.5), np.full(20, 0.5)])
    cells = histogram_cells(values, (0.0, 10.0), (5, 10), drawing, 1)
    lengths = (cells.codes != ord(" ")).sum(axis=1)
    assert lengths.tolist()[0] == 10
    assert 1 <= lengths[-1] < 5
    assert (lengths[1:-1] == 0).all()


@pytest.mark.parametrize("drawing", Drawing)
def test_bars_outside_of_the_limits_have_another_colour(drawing: Drawing) -> None:
    values = np.linspace(0, 10, 500)
    cells = histogram_cells(values, (0.0, 10.0), (10, 8), drawing, 1, (2.0, None), 7)
    assert set(cells.front[:8, 0].tolist()) == {1}
    assert set(cells.front[8:, 0].tolist()) == {7}


@given(st.floats(1e-6, 1e9), st.integers(1, 40))
def test_steps_are_one_two_or_five(span: float, n: int) -> None:
    step = round_step(span, n)
    leading = step / 10 ** np.floor(np.log10(step) + 1e-9)
    assert min(abs(leading - digit) for digit in (1, 2, 5)) < 1e-6
    assert span / step <= n + 1e-6


@given(st.floats(-1e4, 1e4), st.floats(0.01, 1e4), st.integers(2, 12))
def test_ticks_lie_on_the_axis(low: float, span: float, n: int) -> None:
    step = round_step(span, n)
    found = ticks(low, low + span, n)
    assert len(found) <= n + 1
    assert all(low - 1e-5 * step <= tick <= low + span + 1e-5 * step for tick in found)
    assert all(float(f"{tick:.{decimals(step)}f}") == pytest.approx(tick) for tick in found)


def test_outliers_do_not_squeeze_an_axis_and_limits_nearby_are_on_it() -> None:
    random = np.random.default_rng(0)
    values = np.append(random.normal(1.0, 0.1, 1000), 500.0)
    low, high = value_range(Spread.of(values))
    assert (low, high) == (pytest.approx(0.6, abs=0.11), pytest.approx(1.6, abs=0.11))
    assert value_range(Spread.of(values), (None, 2.0))[1] >= 2.0
    assert value_range(Spread.of(values), (None, 99.0))[1] == high


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_an_axis_has_a_length_whatever_the_values(values: list[float]) -> None:
    low, high = value_range(Spread.of(np.array(values)))
    assert high > low


@given(
    st.floats(-1e6, 1e6).filter(lambda value: abs(value) > 1e-6),
    st.lists(st.integers(-8, 8), min_size=1, max_size=20),
    st.sampled_from(Drawing),
)
def test_values_that_differ_by_rounding_alone_are_drawn(value, ulps, drawing) -> None:
    values = value + np.array(ulps) * np.spacing(value)
    span = value_range(Spread.of(values))
    assert span[1] - span[0] >= 1e-3 * abs(value)
    bars = histogram_cells(values, span, (5, 10), drawing, 0)
    assert (bars.codes != ord(" ")).any()


def test_numbers_fit_into_their_room() -> None:
    assert short(1.25, 2, 5) == "1.25"
    assert short(1234.5, 2, 5) == "1234"
    assert len(short(123456789.0, 0, 5)) <= 5
    assert short(-1e-12, 1, 5) == "0"
