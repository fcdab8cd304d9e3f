"""A setting of the CTF with the real stages: what runs again, and what does not."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from pretend_project import Engine, until

from warptui.engine.errors import ItemError
from warptui.engine.model.detail import Trial
from warptui.engine.model.item import State
from warptui.engine.ops.ctf.transfer_function import Optics, calculate_ctf_image

pytestmark = pytest.mark.slow
TIMEOUT_S = 240.0
PIXEL, SIDE, N_FRAMES = 1.5, 512, 6


def write_rings(path: Path, defocus_um: float = 1.0) -> None:
    """Counts of a specimen without any structure of its own, so that only rings are seen."""
    random = np.random.default_rng(3)
    optics = Optics(300.0, 2.7, 0.07)
    ctf = calculate_ctf_image((SIDE, SIDE), PIXEL, optics, defocus=1e4 * defocus_um).numpy()
    scene = np.fft.irfft2(np.fft.rfft2(random.normal(size=(SIDE, SIDE))) * ctf, s=(SIDE, SIDE))
    mean = np.clip(6 * (1 - 0.25 * scene), 0.1, None)
    frames = random.poisson(np.repeat(mean[None], N_FRAMES, 0)).astype(np.uint16)
    header = bytearray(1024)
    struct.pack_into("<10i", header, 0, SIDE, SIDE, N_FRAMES, 6, 0, 0, 0, SIDE, SIDE, N_FRAMES)
    struct.pack_into("<3f", header, 40, SIDE * PIXEL, SIDE * PIXEL, N_FRAMES * PIXEL)
    struct.pack_into("<3f", header, 52, 90, 90, 90)
    struct.pack_into("<3i", header, 64, 1, 2, 3)
    header[208:216] = b"MAP \x44\x44\x00\x00"
    beside = path.with_name(f".{path.name}")
    beside.write_bytes(bytes(header) + frames.tobytes())
    beside.replace(path)


@pytest.fixture
def real(engine: Engine) -> Engine:
    """An engine with the real stages and one movie, processed."""
    del engine.environment["WARPTUI_STAGES"]
    text = (engine.project / "config.toml").read_text().replace("pixel_size = 1.0", "")
    (engine.project / "config.toml").write_text(text)
    write_rings(engine.raw / "a.mrc")
    engine.start()
    engine.wait_for("a.mrc", State.DONE, TIMEOUT_S)
    return engine


def runs(engine: Engine) -> dict[str, float]:
    """When each stage ran last."""
    return {run["stage"]: run["finished_at"] for run in engine.client.item("a.mrc").history}


def changed(engine: Engine, changes: dict) -> dict[str, float]:
    """Apply changes, and wait until the item is in accord with them."""
    before = engine.client.item("a.mrc").history
    engine.client.change(changes)
    until(
        lambda: (
            len(engine.client.item("a.mrc").history) > len(before)
            and engine.rows()["a.mrc"].state is State.DONE
        ),
        TIMEOUT_S,
    )
    return runs(engine)


def test_a_setting_of_the_ctf_runs_the_ctf_again_and_nothing_else(real: Engine) -> None:
    project, first = real.project, runs(real)
    average = (project / "average" / "a.mrc").stat().st_mtime_ns
    result = real.client.item("a.mrc").results["ctf"]
    assert result["defocus_um"] == pytest.approx(1.0, abs=0.02)
    told = real.client.preview({"ctf": {"fit_max_resolution": 6.0}})
    assert (told["n_items"], told["outdated"]) == (
        1,
        {"motion": 0, "average": 0, "ctf": 1, "picking": 0, "particles": 1},
    )

    second = changed(real, {"ctf": {"fit_max_resolution": 6.0}})
    assert second["ctf"] > first["ctf"]
    assert (second["motion"], second["average"]) == (first["motion"], first["average"])
    assert real.client.item("a.mrc").results["ctf"]["fit_range_angstrom"] == [30.0, 6.0]

    third = changed(real, {"average": {"deconvolve": True}})
    deconvolved = project / "deconv" / "a.mrc"
    made = deconvolved.stat().st_mtime_ns
    assert (third["motion"], third["average"]) == (first["motion"], first["average"])

    changed(real, {"ctf": {"fit_max_resolution": 5.0}})  # and what depends on it
    assert deconvolved.stat().st_mtime_ns > made

    last = changed(real, {"average": {"deconvolve": False}})
    assert not deconvolved.exists() and (project / "powerspectrum" / "a.mrc").exists()
    assert (last["motion"], last["average"]) == (first["motion"], first["average"])
    assert (project / "average" / "a.mrc").stat().st_mtime_ns == average
    assert real.end() == 0


def test_the_ctf_is_tried_without_leaving_a_trace(real: Engine) -> None:
    def files() -> dict[str, tuple[int, int]]:
        return {
            str(path): (path.stat().st_mtime_ns, path.stat().st_size)
            for path in real.project.rglob("*")
            if path.is_file() and ".warptui" not in path.relative_to(real.project).parts
        }

    real.client.pause()
    before, stored = files(), real.client.item("a.mrc")
    tried = real.client.try_settings("a.mrc", {"ctf": {"fit_max_resolution": 6.0}})
    assert isinstance(tried, Trial) and tried.result["fit_range_angstrom"] == [30.0, 6.0]
    assert tried.result["defocus_um"] == pytest.approx(1.0, abs=0.02)
    picture = np.load(tried.pictures["spectrum"])
    assert picture.dtype == np.uint8 and picture.shape[0] == picture.shape[1]
    assert stored.results["ctf"]["fit_range_angstrom"] == [30.0, 4.0]
    assert files() == before and real.client.item("a.mrc") == stored

    (real.raw / "a.mrc").unlink()  # archived: the average is still there
    real.wait_for("a.mrc", State.MISSING)
    of_average = real.client.try_settings("a.mrc", {"ctf": {"use_average": True}})
    assert of_average.result["defocus_um"] == pytest.approx(1.0, abs=0.02)
    with pytest.raises(ItemError, match=r"a\.mrc: the raw file .*a\.mrc is gone"):
        real.client.try_settings("a.mrc", {"ctf": {}})
    (real.project / "average" / "a.mrc").unlink()
    with pytest.raises(ItemError, match=r"average .*a\.mrc is gone"):
        real.client.try_settings("a.mrc", {"ctf": {"use_average": True}})
    assert real.end() == 0
