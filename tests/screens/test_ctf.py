"""The CTF on the item screen: what is drawn of a result, and what is said where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.screens.conftest import until
from tests.screens.fake_engine import FakeEngine
from tests.screens.test_overview import SIZES, text_of
from warptui.engine.model.detail import ItemDetail
from warptui.screens import words
from warptui.screens.look.glyphs import Drawing
from warptui.screens.stages import average
from warptui.screens.stages.ctf import VIEW
from warptui.screens.stages.view import Loaded
from warptui.screens.widgets.pictures.image import Image, Picture
from warptui.screens.widgets.pictures.layers import Marks, Swap, Tint
from warptui.screens.widgets.plots.chart import Chart, Plot

SPECTRUM, RINGS = VIEW.panes
DEFOCUS, DECONVOLVED = VIEW.layers
FOUND, EMPTY = 3, 241  # numbers of items with and without a CTF


def detail_of(folder: Path, number: int = FOUND) -> ItemDetail:
    """What the engine tells of a synthetic item."""
    engine = FakeEngine(260, folder)
    return engine.item(list(engine.rows)[number])


def loaded(folder: Path, number: int = FOUND, **changes: Any) -> Loaded:
    """A synthetic item as the item screen has it; ``changes`` of its result."""
    detail = detail_of(folder, number)
    detail = replace(detail, results={**detail.results, "ctf": detail.results["ctf"] | changes})
    return Loaded(detail, {"average": average.VIEW.read(detail), "ctf": VIEW.read(detail)})


def facts(item: Loaded) -> dict[str, str]:
    return dict(VIEW.facts(item))


def test_the_spectrum_has_a_ring_at_the_resolution(tmp_path: Path):
    shown = SPECTRUM.content(loaded(tmp_path, resolution=5.0))
    assert isinstance(shown, Picture)
    (ring,) = shown.layers
    assert isinstance(ring, Marks) and ring.caption == "model | measured, resolution 5.0 Å"
    assert ring.radius == pytest.approx(0.5 * (1 / 5.0) / (1.1 / 4.0))


def test_a_resolution_beyond_the_picture_has_none(tmp_path: Path):
    (ring,) = SPECTRUM.content(loaded(tmp_path, resolution=3.0)).layers
    assert len(ring.places_yx) == 0 and "3.0 Å" in ring.caption


def test_curves_show_what_was_measured_the_fit_and_its_quality(tmp_path: Path):
    plot = RINGS.content(loaded(tmp_path, resolution=5.0))
    assert isinstance(plot, Plot)
    labels = [curve.label for curve in plot.curves]
    assert labels == ["measured", "fit", "quality", "limit 0.3", "5.0 Å"]
    assert np.unique(plot.curves[-1].x) == pytest.approx([0.2])
    for curve in plot.curves:
        assert curve.x.min() >= 0.8 / 30 and curve.x.max() <= 1.1 / 4
        assert curve.y.min() >= -0.3 and curve.y.max() <= 1.2


def test_rings_fade_as_their_envelope_says(tmp_path: Path):
    item = loaded(tmp_path)
    k = np.array(item.result("ctf")["curve_k"])
    scale = 5 * np.exp(-8 * k)
    flat = loaded(tmp_path, curve_scale=scale.tolist(), curve_simulated=[1.0] * len(k))
    fit = RINGS.content(flat).curves[1]
    inside = fit.x >= 1 / 30
    np.testing.assert_allclose(
        fit.y[inside], np.exp(-8 * (fit.x[inside] - fit.x[inside][0])), rtol=1e-6
    )


def test_no_ctf_is_said_in_words_and_the_spectrum_stays_to_be_looked_at(tmp_path: Path):
    item = loaded(tmp_path, EMPTY)
    assert isinstance(SPECTRUM.content(item), Picture)
    assert "No CTF was found (confidence 0.08, 0.50 is needed)" in RINGS.content(item)
    assert facts(item)["CTF"].startswith("none")
    assert DEFOCUS.layer(item) is None and DECONVOLVED.layer(item) is None
    assert "no curves" in RINGS.content(loaded(tmp_path, curve_k=[], curve_measured=[]))


def test_before_the_stage_ran_that_is_said():
    nothing = Loaded()
    assert RINGS.content(nothing) == "no CTF yet"
    assert SPECTRUM.content(nothing) == "no CTF yet"
    assert VIEW.facts(nothing) == []


def test_a_picture_that_cannot_be_read_is_told(tmp_path: Path):
    detail = detail_of(tmp_path)
    Path(detail.path("spectrum")).write_bytes(b"no picture")
    assert "cannot be read" in VIEW.read(detail)


def test_facts_have_units_and_errors(tmp_path: Path):
    found = facts(loaded(tmp_path, defocus_um=1.5, tilt_deg=12.3, tilt_axis_deg=-40.0))
    assert found["u, v"] == "15300, 14700 ± 21 Å"
    assert found["u from x"] == "35°"
    assert found["tilt"] == "12.3°, defocus grows towards -40° from x"
    assert found["CTF fitted"] == "30.0 to 4.0 Å, correlation 0.81"
    assert "local" in found["CTF model"]


def test_astigmatism_has_an_error_and_its_angle_may_be_unknown(tmp_path: Path):
    known = facts(loaded(tmp_path, astigmatism_error_um=0.0039, astigmatism_angle_error_deg=2.4))
    assert known["u - v"] == "600 ± 39 Å"
    assert known["u from x"] == "35° ± 2°"
    unknown = loaded(tmp_path, astigmatism_error_um=0.04, astigmatism_angle_error_deg=None)
    assert facts(unknown)["u from x"] == "unknown"
    assert VIEW.compared is not None
    compared = dict(VIEW.compared(unknown.result("ctf")))
    assert compared["its error"] == "± 400 Å" and compared["angle"] == "unknown"


def test_a_phase_shift_that_was_fitted_has_an_error(tmp_path: Path):
    assert "phase" not in facts(loaded(tmp_path))
    fitted = loaded(tmp_path, phase_shift_deg=71.2, phase_shift_error_deg=3.4)
    assert facts(fitted)["phase"] == "71° ± 3°"
    assert VIEW.compared is not None
    assert dict(VIEW.compared(fitted.result("ctf")))["phase"] == "71° ± 3°"
    none = loaded(tmp_path, phase_shift_deg=None)
    assert dict(VIEW.compared(none.result("ctf")))["phase"] == words.UNKNOWN


def test_the_map_passes_through_the_nodes(tmp_path: Path):
    nodes = np.linspace(1.0, 1.4, 25)
    layer = DEFOCUS.layer(loaded(tmp_path, grid_defocus_um=nodes.tolist()))
    assert isinstance(layer, Tint)
    np.testing.assert_allclose(layer.values[::8, ::8].ravel(), nodes, atol=1e-9)
    assert (layer.unit, layer.digits) == ("µm", 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"grid": [1, 1, 1], "grid_defocus_um": [1.5]},
        {"grid_defocus_um": [1.5]},
        {"grid_defocus_um": [1.5] * 25, "model": "constant"},
    ],
)
def test_one_defocus_is_no_map(tmp_path: Path, changes: dict[str, Any]):
    assert DEFOCUS.layer(loaded(tmp_path, **changes)) is None


def test_the_deconvolved_picture_has_the_size_of_the_other(tmp_path: Path):
    item = loaded(tmp_path)
    layer = DECONVOLVED.layer(item)
    assert isinstance(layer, Swap)
    assert layer.pixels.shape == item.parts["average"].shape
    assert layer.caption == "deconvolved, strength 1, fall-off 1"


@pytest.mark.parametrize("drawing", list(Drawing))
@pytest.mark.parametrize("size", SIZES)
async def test_both_panes_are_drawn_at_every_size(driven, size, drawing) -> None:
    async with driven(FakeEngine(60), size, drawing=drawing) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: getattr(app.screen, "loaded", None) is not None)
        await pilot.press("e")
        await pilot.pause()
        assert app.screen.query_one("#spectrum", Image).picture is not None
        app.screen.query_one("#rings", Chart)
        assert text_of(app)


async def test_the_map_and_the_deconvolved_picture_come_and_go(driven) -> None:
    async with driven(FakeEngine(60), (120, 40)) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: getattr(app.screen, "loaded", None) is not None)
        image = app.screen.query_one("#picture", Image)
        before = image.picture.pixels
        await pilot.press("c")
        assert image.picture.pixels.dtype == np.float32
        await pilot.press("d")
        assert any(isinstance(layer, Tint) for layer in image.picture.layers)
        assert "µm" in image.border_subtitle
        await pilot.press("c", "d")
        assert image.picture.pixels is before
