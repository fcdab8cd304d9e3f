"""The CTF in Warp's XML: units, signs, Warp's own files, and that nothing of others is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warptui.engine.errors import CorruptError
from warptui.engine.formats.warp import ctf as warp_ctf
from warptui.engine.formats.warp import xml
from warptui.engine.formats.warp.ctf import WarpCtf
from warptui.engine.model.stored import StageRecord, StoredItem
from warptui.engine.stages.registry import STAGES
from warptui.engine.stages.warp.results import set_results

OPTICS = {"voltage": 200.0, "cs": 1.4, "amplitude_contrast": 0.1}
RESULT: dict[str, Any] = {
    "defocus_um": 1.25,
    "astigmatism_um": 0.04,
    "astigmatism_angle_deg": 30.5,
    "phase_shift_deg": 90.0,
    "resolution": 4.26,
    "pixel_size": 2.0,
    "window_px": 8,
    "fit_range_angstrom": (40.0, 8.0),
    "grid": (2, 1, 1),
    "grid_defocus_um": [1.2, 1.3],
    "grid_phase_shift_deg": [90.0],
    "curve_k": [0.0, 0.0625, 0.125, 0.1875, 0.3],
    "curve_measured": [0.1, 0.9, 0.0, 0.5, 0.9],
    "curve_simulated": [0.1, 1.0, 0.0, 0.5, 0.9],
    "curve_scale": [10.0, 8.0, 6.0, 4.0, 2.0],
}


def record(stage: str = "ctf", result: dict[str, Any] = RESULT, at: float = 1.0, **sections: Any):
    given = {"input": {"pixel_size": 1.0, "binning": 2.0}, "optics": OPTICS, **sections}
    settings = {"defocus_min_um": 0.5, "grid": [5, 5, 1], "fit_phase_shift": True}
    return StageRecord(stage, 1, settings, given, result, at, 1.0, "cpu", "0")


def document(*records: StageRecord) -> xml.Element:
    root = xml.new_movie()
    item = StoredItem("a.mrc", 1, records={entry.stage: entry for entry in records})
    set_results(root, item, STAGES)
    return xml.parse(xml.to_bytes(root))


@given(st.floats(-1e4, 1e4))
def test_phase_shifts_are_counted_in_half_turns(degrees: float):
    assert warp_ctf.phase_in_pi(90.0) == 0.5
    assert warp_ctf.phase_in_degrees(warp_ctf.phase_in_pi(degrees)) == pytest.approx(degrees)


@given(st.floats(-2, 2), st.floats(-400, 400))
def test_a_negative_astigmatism_is_a_positive_one_across(astigmatism: float, angle: float):
    found, turned = warp_ctf.positive_astigmatism(astigmatism, angle)
    assert found >= 0 and 0 <= turned <= 180
    quarter = 90 if astigmatism < 0 else 0
    assert (turned - angle - quarter + 90) % 180 == pytest.approx(90, abs=1e-6)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "defocus", "resolution", "window"),
    [
        ("00254.xml", 1.835082, 6.3, 512),
        ("TS_1.xml", 2.835209, 4.8, 512),
        ("gs04_ts_003.xml", 5.207778, 6.0, 768),
    ],
)
def test_the_ctf_of_warps_files_is_read_and_written_again(
    shared_data: Path, name: str, defocus: float, resolution: float, window: int
):
    root = xml.parse((shared_data / "metadata" / "warp" / name).read_bytes())
    before = warp_ctf.read_ctf(root)
    assert before is not None
    assert (before.defocus_um, before.resolution) == (defocus, resolution)
    assert before.grid == (1, 1, len(before.grid_defocus_um))
    assert [x for x, _ in before.measured] == pytest.approx(
        [index / window for index in range(window // 2)], abs=1e-6
    )
    zernike = xml.read_params(root, "CTF")["ZernikeCoeffsOdd"]
    warp_ctf.set_ctf(root, before)
    again = xml.parse(xml.to_bytes(root))
    rounded = replace(
        before, astigmatism_um=round(before.astigmatism_um, 10), cs=round(before.cs, 10)
    )
    assert warp_ctf.read_ctf(again) == rounded
    assert xml.read_params(again, "CTF")["ZernikeCoeffsOdd"] == zernike


def test_what_is_written_is_what_is_read():
    root = document(record())
    assert warp_ctf.read_ctf(root) == WarpCtf(
        defocus_um=1.25,
        astigmatism_um=0.04,
        astigmatism_angle_deg=30.5,
        phase_shift_deg=90.0,
        resolution=4.3,
        pixel_size=2.0,
        **OPTICS,
        grid=(2, 1, 1),
        grid_defocus_um=(1.2, 1.3),
        grid_phase_shift_deg=(90.0,),
        measured=((0.0, 1.0), (0.125, 7.2), (0.25, 0.0), (0.375, 2.0)),
        background=((0.125, 0.0),),
        scale=((0.125, 8.0),),
    )
    params = xml.read_params(root, "CTF")
    assert (params["PhaseShift"], params["DefocusDelta"]) == ("0.5", "0.04")


def test_the_options_are_warps():
    options = xml.read_params(document(record()), "OptionsCTF")
    assert options["PixelSize"] == "1" and options["BinTimes"] == "1"
    assert (options["RangeMin"], options["RangeMax"]) == ("0.1", "0.5")  # of the binned Nyquist
    assert (options["Voltage"], options["Cs"], options["Amplitude"]) == ("200", "1.4", "0.1")
    assert (options["Window"], options["GridDims"], options["ZMin"]) == ("8", "5,5,1", "0.5")
    assert (options["DoPhase"], options["UseMovieSum"]) == ("True", "False")


def test_no_ctf_is_no_number():
    root = document(record())
    nothing = record(result={"pixel_size": 2.0, "window_px": 8, "defocus_um": None}, at=2.0)
    set_results(root, StoredItem("a.mrc", 1, records={"ctf": nothing}), STAGES)
    assert warp_ctf.read_ctf(root) is None
    assert root.get("CTFResolutionEstimate") == "0"
    assert root.find("GridCTF") is None and root.find("PS1D") is None
    assert xml.read_params(root, "OptionsCTF")  # the stage ran


def test_whether_averages_are_deconvolved_is_told_with_the_average():
    average = record("average", {"pixel_size": 2.0, "shape_yx": (8, 8)})
    ctf = record("ctf", average={"deconvolution": [0.8, 1.2, 200.0]})
    options = xml.read_params(document(average, ctf), "OptionsMovieExport")
    found = [options[name] for name in ("DoDeconv", "DeconvolutionStrength", "HighpassAngstrom")]
    assert found == ["True", "0.8", "200"]
    options = xml.read_params(document(average), "OptionsMovieExport")
    assert options["DoDeconv"] == "False"


def test_what_others_refined_stays_while_our_result_is_the_same():
    root = document(record())
    refined = warp_ctf.read_ctf(root)
    assert refined is not None
    warp_ctf.set_ctf(root, replace(refined, defocus_um=1.3))
    item = StoredItem("a.mrc", 1, records={"ctf": record()})
    set_results(root, item, STAGES, unchanged={"ctf"})
    found = warp_ctf.read_ctf(root)
    assert found is not None and found.defocus_um == 1.3


@pytest.mark.parametrize("text", ["0|1;2", "0|x", "abc"])
def test_a_damaged_curve_is_an_error(text: str):
    root = document(record())
    element = root.find("PS1D")
    assert element is not None
    element.text = text
    with pytest.raises(CorruptError, match="PS1D"):
        warp_ctf.read_ctf(root)
