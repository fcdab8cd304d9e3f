"""Astigmatism as vectors: a true circle, drawn where the numbers are, in every glyph mode."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warptui.engine.items.selection import Spread
from warptui.engine.model.status import Astigmatism
from warptui.screens.look.glyphs import Drawing
from warptui.screens.widgets.plots.astigmatism_plot import Canvas, Window, vectors
from warptui.screens.widgets.plots.ctf_plot import bars, weakest
from warptui.screens.widgets.plots.dots import FINE, FINEST


def test_the_circle_is_exactly_where_the_engines_limit_is() -> None:
    random = np.random.default_rng(0)
    um, deg = np.abs(random.normal(0.03, 0.02, 500)), random.uniform(0, 180, 500)
    spread = Spread.of(zip(um.tolist(), deg.tolist(), strict=True))
    x, y = vectors(um, deg)
    distance = np.hypot(x - spread.mean_xy[0], y - spread.mean_xy[1])
    judged = [spread.distance(*pair) for pair in zip(um.tolist(), deg.tolist(), strict=True)]
    for limit in (0.5, 1.0, 2.5):
        inside = distance <= limit * spread.unit
        np.testing.assert_array_equal(inside, np.array(judged) <= limit)


def test_an_astigmatism_turned_by_180_degrees_is_the_same() -> None:
    first = vectors(np.array([0.1]), np.array([20.0]))
    second = vectors(np.array([0.1]), np.array([200.0]))
    np.testing.assert_allclose(first, second)


finite = st.floats(-2, 2, allow_subnormal=False)


@given(
    st.lists(st.tuples(finite, finite), min_size=1, max_size=30),
    st.none() | st.floats(0, 5),
    st.integers(2, 60),
    st.integers(4, 120),
    st.sampled_from(Drawing),
)
def test_both_axes_have_one_scale_whatever_the_values(
    found: list[tuple[float, float]],
    radius: float | None,
    rows: int,
    columns: int,
    drawing: Drawing,
) -> None:
    x, y = (np.array(part) for part in zip(*found, strict=True))
    session = Astigmatism(float(x.mean()), float(y.mean()), 0.1)
    canvas = Canvas.of(Window.around(x, y, session, radius), rows, columns, drawing)
    fine_y, fine_x = FINE.get(drawing, FINEST)
    seen = canvas.window
    # a dot is 1/fine_x columns wide and 2/fine_y columns high
    across = (seen.right - seen.left) / (columns * fine_x) * fine_x
    down = (seen.top - seen.bottom) / (rows * fine_y - 1) * fine_y / 2
    if rows * fine_y > 1:
        assert across == pytest.approx(down, rel=1e-6)
    assert seen.left < session.x_um < seen.right
    assert seen.bottom < session.y_um < seen.top


def test_the_window_shows_a_circle_and_the_origin_where_they_are_near() -> None:
    random = np.random.default_rng(0)
    x, y = 0.03 + random.normal(0, 0.01, 500), random.normal(0, 0.01, 500)
    x[0] = 9.0
    session = Astigmatism(0.03, 0.0, 0.014)
    window = Window.around(x, y, session, 3 * 0.014)
    assert window.left < -0.012 and window.right > 0.072
    assert window.right < 0.3  # one that is far out squeezes nothing
    far = Window.around(x + 5, y, Astigmatism(5.03, 0.0, 0.014), None)
    assert far.left > 4


@pytest.mark.parametrize("drawing", Drawing)
def test_a_cell_is_found_again_from_its_vector(drawing: Drawing) -> None:
    canvas = Canvas.of(Window(-1, 1, -1, 1), 11, 30, drawing)
    assert canvas.cell(0.0, 0.0) == (5, 15)
    assert canvas.cell(-99.0, 99.0) == (0, 0)
    assert canvas.cell(99.0, -99.0) == (10, 29)


@pytest.mark.parametrize("drawing", Drawing)
def test_bars_are_as_high_as_their_numbers(drawing: Drawing) -> None:
    codes = bars(np.linspace(0, 1, 100), (8, 20), drawing)
    heights = (codes != ord(" ")).sum(axis=0)
    assert heights[0] == 0 or heights[0] == 1
    assert heights[-1] == 8
    assert (np.diff(heights) >= 0).all()
    assert (bars(np.zeros(5), (8, 20), drawing) == ord(" ")).all()
    assert (bars(np.ones(5), (8, 20), drawing) != ord(" ")).all()


def test_the_weakest_frequency_is_not_the_coarsest() -> None:
    k = np.linspace(0, 0.4, 81)
    heights = np.where(k < 0.05, 0.1, 0.6)
    heights[60] = 0.4
    assert weakest(k, heights) == (pytest.approx(0.4), pytest.approx(1 / k[60]))
    assert math.isfinite(weakest(k, heights)[1])
