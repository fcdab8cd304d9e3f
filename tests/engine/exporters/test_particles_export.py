"""Particles on demand: coordinates of other programs, stacks for one export, lists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import starfile
from scipy.ndimage import gaussian_filter

from tests.beam_patterns import afis, write_epu
from tests.item_stars import stored_item, write_item
from tests.processing import write_stack
from warptui.engine.config.sections import ExportSettings
from warptui.engine.errors import ExportError, InputError
from warptui.engine.execution.extraction import ExtractionProcess
from warptui.engine.exporters import base as kinds
from warptui.engine.exporters.optics_groups.beam_shifts import Grouping
from warptui.engine.formats.mrc import read_mrc
from warptui.engine.formats.star.foreign import read_places
from warptui.engine.formats.star.picks import write_picks
from warptui.engine.model.exports import ExportRequest
from warptui.engine.project.paths import ProjectPaths

OPTICS = {"voltage": 300.0, "cs": 2.7, "amplitude_contrast": 0.07}
RELION_30 = """
data_

loop_
_rlnMicrographName #1
_rlnCoordinateX #2
_rlnCoordinateY #3
_rlnOriginX #4
_rlnOriginY #5
_rlnMagnification #6
_rlnDetectorPixelSize #7
MotionCorr/job002/Micrographs/m.mrc  100.0 60.0 1.0 -2.0 10000.0 3.0
MotionCorr/job002/Micrographs/m.mrc  50.0 40.0 0.0 0.0 10000.0 3.0

"""
RELION_31 = """# version 30001

data_optics

loop_
_rlnOpticsGroupName #1
_rlnOpticsGroup #2
_rlnMicrographPixelSize #3
_rlnImagePixelSize #4
opticsGroup1 1 3.0 6.0


# version 30001

data_particles

loop_
_rlnImageName #1
_rlnMicrographName #2
_rlnCoordinateX #3
_rlnCoordinateY #4
_rlnOriginXAngst #5
_rlnOriginYAngst #6
_rlnOpticsGroup #7
1@a.mrcs m.mrc 100.0 60.0 3.0 -6.0 1
2@a.mrcs m.mrc 50.0 40.0 0.0 0.0 1
"""
NO_OPTICS = RELION_31[RELION_31.index("data_particles") :]


@pytest.mark.parametrize(
    ("text", "pixel_size"),
    [
        (RELION_30, None),
        (RELION_31, None),
        (RELION_31.replace("30001", "50001"), None),
        (RELION_31.replace("\n", "\r\n"), None),
        ("\ufeff" + RELION_30.replace(" ", "\t"), None),
        (NO_OPTICS, 3.0),
        (RELION_31.replace("m.mrc ", "'m.mrc' "), None),
        (RELION_31.replace(" m.mrc", " 00123_m_patch_aligned.mrc"), None),
    ],
    ids=["3.0", "3.1", "5", "windows", "tabs", "no-optics", "quotes", "cryosparc"],
)
def test_places_are_the_same_whichever_program_wrote_them(
    tmp_path: Path, text: str, pixel_size: float | None
) -> None:
    path = tmp_path / "c.star"
    path.write_bytes(text.encode())
    places = read_places(path, pixel_size)
    found = places.of("m")
    assert places.n == 2 and places.pixel_size == 3.0 and found is not None
    assert found[:, :2] == pytest.approx(np.array([[186.0, 297.0], [120.0, 150.0]]))
    assert places.of("other") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no table"),
        (RELION_30.replace("_rlnMicrographName", "_rlnSomething"), "rlnMicrographName"),
        (RELION_30.replace("50.0 40.0", "50.0 nan"), "no numbers"),
        (RELION_30.replace("50.0 40.0", "50.0"), "row 2"),
        (NO_OPTICS, "pixel size of the coordinates is unknown"),
    ],
)
def test_what_cannot_be_placed_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "c.star"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_places(path)


@pytest.fixture
def project(tmp_path: Path) -> ProjectPaths:
    return ProjectPaths(tmp_path)


def processed(project: ProjectPaths):
    """An item with a movie of noise with a bright spot, as if it had been processed."""
    frames = np.random.default_rng(1).normal(10, 1, (4, 150, 160)).astype(np.float32)
    y, x = np.arange(150)[:, None] - 62, np.arange(160)[None, :] - 99
    frames -= 3 * np.exp(-(y**2 + x**2) / 32).astype(np.float32)  # dark, as in ice
    movie = write_stack(project.root / "m.mrc", frames, 3.0, "float32")
    write_picks(project.picks("m", "net"), np.array([[62.0, 99.0]]), [0.9], "m.mrc")
    average = {
        "pixel_size": 3.0, "shape_yx": (150, 160), "average_path": "average/m.mrc", "n_frames": 4,
    }  # fmt: skip
    ctf = {"defocus_um": 1.5, "astigmatism_um": 0.0, "astigmatism_angle_deg": 0.0}
    picking = {"suffix": "net", "picks_path": "matching/m_net.star"}
    item = stored_item("m.mrc", 1, average=average, ctf=ctf, picking=picking)
    records = dict(item.records)
    records["picking"] = replace(records["picking"], settings={"diameter_angstrom": 45.0})
    return replace(item, raw_path=str(movie), records=records)


def export(project: ProjectPaths, items, **request) -> kinds.Outcome:
    asked = ExportRequest(kind="particles", path="out/parts.star", **request)
    target = kinds.target_of(asked, project)
    return kinds.PARTICLES.write(
        items, project, target, OPTICS, asked, lambda done: None, ExtractionProcess
    )


@pytest.mark.slow
def test_particles_are_cut_at_places_of_another_program_and_not_twice(project) -> None:
    item = processed(project)
    (project.root / "c.star").write_text(RELION_31)
    request = {"given": {"coordinates": "c.star", "box_size_px": "32"}}
    made = export(project, [item, replace(item, name="other.mrc")], **request)
    assert made.rows == 2 and "other.mrc left out: the coordinates name" in made.reason
    found = starfile.read(project.root / "out/parts.star")
    names = found["particles"]["rlnImageName"].tolist()
    assert names == ["000001@out/parts/m.mrcs", "000002@out/parts/m.mrcs"]
    assert found["optics"]["rlnImageSize"].tolist() == [32]
    assert found["particles"]["rlnCoordinateX"].tolist() == [99.0, 50.0]
    stack, pixel_size = read_mrc(project.root / "out/parts/m.mrcs")
    assert stack.shape == (2, 32, 32) and pixel_size == pytest.approx(3.0)
    peak = np.unravel_index(np.argmax(gaussian_filter(stack[0], 3)), (32, 32))
    assert np.abs(np.array(peak) - 16).max() <= 1
    before = (project.root / "out/parts/m.mrcs").stat().st_mtime_ns
    assert export(project, [item], **request).rows == 2
    assert (project.root / "out/parts/m.mrcs").stat().st_mtime_ns == before
    (project.root / "m.mrc").unlink()
    gone = export(project, [item], **request)
    assert gone.rows == 0 and "the movie is gone" in gone.reason
    too_large = export(project, [processed(project)], given={"box_size_px": "1024"})
    assert too_large.rows == 0 and "larger than the micrograph" in too_large.reason


def test_a_list_names_what_is_there_with_paths_as_asked_for(project) -> None:
    source = write_item(project.root, 1, 3)
    results = {
        "picking": {"suffix": "net", "picks_path": "matching/m00001_net.star"},
        "particles": {"suffix": "net", "picks_hash": "1", "star_path": source.path},
    }
    item = stored_item(source.name, 1, **results)
    assert export(project, [item]).rows == 3
    names = starfile.read(project.root / "out/parts.star")["particles"]
    assert names["rlnImageName"][0] == "000001@particles/m00001_net.mrcs"
    assert export(project, [item], relative_to="out").rows == 3
    names = starfile.read(project.root / "out/parts.star")["particles"]
    assert names["rlnImageName"][0] == "000001@../particles/m00001_net.mrcs"
    assert names["rlnMicrographName"][0] == "../average/m00001.mrc"
    assert export(project, [item], absolute=True, switches=("relion30",)).rows == 3
    old = starfile.read(project.root / "out/parts.star")
    assert old["rlnMicrographName"][0] == str(project.root / "average/m00001.mrc")
    (project.root / source.path).unlink()  # deleted under us
    gone = export(project, [item])
    assert gone.rows == 0 and "No such file" in gone.reason
    assert not list(project.exports.glob("*.rows"))


def test_a_list_has_groups_by_beam_shift_where_it_is_asked_for(project) -> None:
    there, truth = afis(2, 24, 0.05)
    items = []
    for number, (x, y) in enumerate(there):
        source = write_item(project.root, number, 2, box=128 if number % 2 else 64)
        write_epu(Path(source.raw_path), x, y)
        results = {
            "picking": {"suffix": "net", "picks_path": "x.star"},
            "particles": {"suffix": "net", "picks_hash": "1", "star_path": source.path},
        }
        item = stored_item(source.name, number, **results)
        items.append(replace(item, raw_path=source.raw_path))
    made = export(project, items, switches=("beam_shift",))
    assert "4 optics groups by beam shift, of 6 items each" in made.reason
    assert [row["n"] for row in made.groups["groups"]] == [6] * 4
    found = starfile.read(project.root / "out/parts.star")
    assert found["particles"]["rlnOpticsGroup"].tolist()[::2] == (truth + 1).tolist()
    assert found["optics"]["rlnImageSize"].tolist() == [64, 128, 64, 128]  # as items came in
    for switches in ((), ("one_group",), ("beam_shift", "relion30")):
        made = export(project, items, switches=switches)
        assert made.rows == 48 and not made.groups and not made.reason
    settings = ExportSettings(optics_groups="beam_shift", beam_shift_distance=0.5)
    asked = kinds.by_settings(ExportRequest(kind="particles"), settings)
    assert kinds.grouping_of(asked, project) == Grouping(None, 0.5)
    asked = kinds.by_settings(ExportRequest(kind="particles", switches=("one_group",)), settings)
    assert kinds.grouping_of(asked, project) is None


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("particles_boxnet.star", "live lists"),
        ("particles.star", "folder of the session"),
        ("particles/x.star", "each item"),
    ],
)
def test_nothing_of_the_session_is_written_over(project, path: str, said: str) -> None:
    with pytest.raises(ExportError, match=said):
        kinds.target_of(ExportRequest(kind="particles", path=path), project)


def test_numbers_that_cannot_be_used_are_told(project) -> None:
    asked = ExportRequest(kind="particles", given={"box_size_px": "many"})
    with pytest.raises(ExportError, match="box size px"):
        kinds.PARTICLES.preview([], project, asked)
    asked = ExportRequest(kind="particles", given={"coordinates": "none.star"})
    with pytest.raises(ExportError, match=r"none\.star"):
        export(project, [processed(project)], given=asked.given)
