"""Picking around the network: what goes in, what is written, what is never done twice.

The network is stood in for by one that calls dark spots particles and black areas contamination.
How well BoxNet itself picks is measured elsewhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import starfile
import tifffile
import torch
from torch import Tensor, nn

from warptui.engine.config.settings import Config
from warptui.engine.errors import Cancelled, InputError, StageError
from warptui.engine.formats.boxnet_model import bundled_folder, read_boxnet, write_boxnet
from warptui.engine.formats.mrc import write_mrc
from warptui.engine.model.edits import Edits, Spot
from warptui.engine.model.item import Item
from warptui.engine.ops.picking.choice import choose
from warptui.engine.ops.picking.picks import find_components
from warptui.engine.project.edits_file import write_edits
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.picks import read_candidates
from warptui.engine.stages.movie import picking
from warptui.engine.stages.movie.average import AverageResult
from warptui.engine.stages.movie.picking import PickingResult, PickingSettings
from warptui.engine.worker.bench import models
from warptui.engine.worker.bench.movie import open_bench
from warptui.engine.worker.bench.trial import open_trial_bench

PIXEL = 2.0
SHAPE = (1200, 1000)
DIAMETER = 160.0
PLACES = np.array([[y, x] for y in range(200, 2300, 300) for x in range(200, 1900, 250)], float)
DIRTY = (slice(850, 1150), slice(650, 950))  # px of the average


class DarkSpots(nn.Module):
    """Stands in for BoxNet: below -1 is particle, below -4 contamination."""

    calls = 0
    steepness = 6.0
    sharpness = torch.tensor(1.0)

    def forward(self, tiles: Tensor) -> Tensor:
        type(self).calls += 1
        smooth = nn.functional.avg_pool2d(tiles, 5, 1, 2)[:, 0]
        particle = self.steepness * (-smooth - 1)
        dirt = self.steepness * (-smooth - 4)
        return torch.stack([torch.zeros_like(smooth), particle, 2 * dirt], dim=1)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    DarkSpots.calls = 0
    monkeypatch.setattr(models, "ready_net", lambda *_: DarkSpots())


def picture(
    pixel: float = PIXEL, shape: tuple[int, int] = SHAPE, places: np.ndarray = PLACES
) -> np.ndarray:
    """Dark Gaussian spots of a particle's size in noise; a black area in one corner."""
    image = 100 + np.random.default_rng(3).normal(0, 2 / pixel, shape)
    sigma = DIAMETER / 5 / pixel
    reach = round(4 * sigma)
    offsets = np.arange(-reach, reach + 1)
    for y, x in np.rint(places / pixel).astype(int):
        rows, columns = y + offsets, x + offsets
        rows = rows[(rows >= 0) & (rows < shape[0])]
        columns = columns[(columns >= 0) & (columns < shape[1])]
        squared = (rows[:, None] - y) ** 2 + (columns[None, :] - x) ** 2
        image[np.ix_(rows, columns)] -= np.exp(-squared / (2 * sigma**2))
    return image.astype(np.float32)


class Project:
    """A folder with one average, and what picking makes of it."""

    def __init__(self, root: Path, image: np.ndarray, pixel: float = PIXEL) -> None:
        self.paths = ProjectPaths(root)
        self.pixel, self.shape = pixel, image.shape
        self.settings = PickingSettings(diameter_angstrom=DIAMETER, min_score=0.6)
        self.put(image)

    def put(self, image: np.ndarray) -> None:
        path = self.paths.average("spots")
        path.parent.mkdir(exist_ok=True)
        write_mrc(path, image, self.pixel, mode="float32")

    def pick(
        self,
        *,
        threads: int = 2,
        on_progress: Callable[[float], None] = lambda fraction: None,
        **changes: Any,
    ) -> PickingResult:
        settings = self.settings.model_copy(update=changes)
        item = Item.movie(self.paths.root / "spots.tif")  # there is no such file: nobody reads it
        with open_bench(
            item, self.paths, Config(), "cpu", threads=threads, on_progress=on_progress
        ) as bench:
            bench.results["average"] = AverageResult(
                pixel_size=self.pixel,
                shape_yx=(self.shape[0], self.shape[1]),
                n_frames=1,
                average_path="average/spots.mrc",
            )
            return picking.run(item, bench, settings)

    def star(self, result: PickingResult) -> Any:
        return starfile.read(self.paths.root / result.picks_path)

    def positions(self, result: PickingResult) -> np.ndarray:
        """(n, 2) y, x in Å, as another program reads them."""
        table = self.star(result)
        return np.column_stack([table.rlnCoordinateY, table.rlnCoordinateX]) * self.pixel


@pytest.fixture
def project(tmp_path: Path) -> Project:
    image = picture()
    image[DIRTY] -= 40
    return Project(tmp_path, image)


def clean_places() -> np.ndarray:
    corner = np.array([850, 650]) * PIXEL - DIAMETER
    return PLACES[~(corner < PLACES).all(axis=1)]


def recall(found: np.ndarray, places: np.ndarray, near: float = 24.0) -> float:
    distances = np.hypot(*(places[:, None] - found[None]).transpose(2, 0, 1))
    return float((distances.min(axis=1) < near).mean())


# --- what comes out -------------------------------------------------------------------


def test_particles_are_found_where_they_are_and_not_in_dirt(project: Project) -> None:
    result = project.pick()
    found = project.positions(result)
    assert result.n_particles == len(found)
    assert recall(found, clean_places()) == 1
    assert recall(clean_places(), found) > 0.95
    dirt = (found > np.array([850, 650]) * PIXEL).all(axis=1)
    assert not dirt.any()
    assert result.mask_percent == pytest.approx(100 * 300 * 300 / (1200 * 1000), rel=0.3)
    table = project.star(result)
    assert set(table.rlnMicrographName) == {"spots.mrc"}
    assert (np.diff(table.rlnAutopickFigureOfMerit) <= 0).all()
    assert table.rlnAutopickFigureOfMerit.min() >= 0.6


@pytest.mark.parametrize("pixel", [0.4, 0.83, 1.35, 3.0, 5.1, 8.0, 9.5])
def test_any_pixel_size(tmp_path: Path, pixel: float) -> None:
    field = np.array([1700.0, 1500.0])
    shape = tuple(int(n) for n in np.round(field / pixel))
    places = PLACES[(field - 100 > PLACES).all(axis=1)]
    project = Project(tmp_path, picture(pixel, shape, places), pixel)
    result = project.pick()
    assert recall(project.positions(result), places) == 1
    assert any("BoxNet works at 8" in note for note in result.notes) == (pixel > 8)


@pytest.mark.parametrize("shape", [(300, 200), (65, 900), (1031, 777), (640, 5000)])
def test_any_size_of_image(tmp_path: Path, shape: tuple[int, int]) -> None:
    places = PLACES[(np.array(shape) * PIXEL - 100 > PLACES).all(axis=1)]
    project = Project(tmp_path, picture(shape=shape, places=places))
    result = project.pick()
    found = project.positions(result)
    assert len(places) == 0 or recall(found, places) == 1
    assert (found >= 0).all() and (found <= np.array(shape) * PIXEL).all()


@pytest.mark.parametrize(("pixel", "said"), [(16.5, "Lower input.binning"), (0.1, "covers 100 x")])
def test_what_cannot_be_picked_in_is_refused_clearly(
    tmp_path: Path, pixel: float, said: str
) -> None:
    project = Project(tmp_path, picture(2.0, (1200, 1000)), pixel)
    with pytest.raises(StageError, match=said):
        project.pick()


def test_negative_stain_has_bright_particles(tmp_path: Path) -> None:
    project = Project(tmp_path, 200 - picture())
    assert project.pick().n_particles == 0
    result = project.pick(invert_contrast=True)
    assert recall(project.positions(result), PLACES) == 1


def test_the_mask_is_as_warp_has_it(project: Project) -> None:
    result = project.pick()
    stored = tifffile.imread(project.paths.root / result.mask_path)
    assert stored.dtype == np.float32 and set(np.unique(stored)) == {0, 1}
    mask = stored[::-1]  # rows of TIFF files are flipped
    assert mask.shape == (300, 250)
    assert mask[225:275, 175:225].all() and not mask[:200].any()
    for_the_app = np.load(project.paths.mask_preview("spots"))
    assert for_the_app.dtype == np.uint8
    np.testing.assert_array_equal(for_the_app, mask)


def test_candidates_and_the_apps_rule_give_the_same_picks(project: Project) -> None:
    result = project.pick()
    candidates = np.load(project.paths.candidates("spots"))
    assert candidates.dtype == np.float32 and candidates.shape == (result.n_candidates, 4)
    mask = np.load(project.paths.mask_preview("spots"))
    chosen = choose(
        candidates,
        mask,
        result.pixel_size,
        DIAMETER,
        0.6,
        0,
        mask_pixel_yx=result.mask_pixel_yx,
    )
    np.testing.assert_allclose(chosen.positions_yx_angstrom, project.positions(result), atol=1e-4)


def test_nothing_found_is_a_file_that_says_so(tmp_path: Path) -> None:
    project = Project(tmp_path, picture(places=np.zeros((0, 2))))
    result = project.pick()
    assert result.n_particles == 0 and result.mean_score is None and result.mask_percent == 0
    text = (tmp_path / result.picks_path).read_text()
    assert "_rlnCoordinateX #1" in text
    assert len(starfile.read(tmp_path / result.picks_path)) == 0


def test_a_name_with_blanks_is_picked_too(tmp_path: Path) -> None:
    project = Project(tmp_path, picture())
    result = project.pick()
    path = project.paths.picks("a b", "m")
    from warptui.engine.formats.star.picks import write_picks

    write_picks(path, np.array([[1.0, 2.0]]), np.array([0.9]), "a b.mrc")
    table = starfile.read(path, always_dict=True)[""]
    assert list(table.columns) == ["rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit"]
    assert result.n_particles


# --- the diameter ---------------------------------------------------------------------


def test_a_diameter_far_from_the_particles_is_told(project: Project) -> None:
    size = project.pick().implied_diameter_angstrom
    assert size is not None
    assert not project.pick(diameter_angstrom=size).notes
    for wrong in (size / 2, size * 1.8):
        result = project.pick(diameter_angstrom=wrong)
        (note,) = result.notes
        assert f"about {result.implied_diameter_angstrom:.0f} Å across" in note
        assert f"{wrong:g}" in note
        assert result.implied_diameter_angstrom == pytest.approx(size, rel=0.1)


def test_a_score_that_nothing_has_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DarkSpots, "steepness", 2.0)  # no spot is a particle beyond any doubt
    best = np.load(project.paths.candidates("spots"))[:, 2].max() if project.pick() else 1
    result = project.pick(min_score=1.0)
    assert best < 1  # else this picture tests nothing
    assert result.n_particles == 0
    assert "no candidate has the score 1" in result.notes[-1]


def test_picks_keep_their_distance_from_the_mask(project: Project) -> None:
    near, far = project.pick(), project.pick(min_mask_distance_angstrom=400.0)
    assert 0 < len(project.positions(far)) < near.n_particles  # the same file, written last
    gap = np.array([850, 650]) * PIXEL - project.positions(far)
    outside = np.hypot(*np.maximum(gap, 0).T)
    assert outside.min() > 380


# --- once is enough -------------------------------------------------------------------


def test_other_thresholds_take_no_network_and_no_average(project: Project) -> None:
    before = project.pick()
    calls = DarkSpots.calls
    stamp = os.stat(project.paths.average("spots")).st_mtime_ns  # noqa: PTH116
    written = project.paths.mask("spots").stat().st_mtime_ns
    project.paths.average("spots").write_bytes(b"x" * project.paths.average("spots").stat().st_size)
    os.utime(project.paths.average("spots"), ns=(stamp, stamp))  # unread, it makes no difference
    stricter = project.pick(min_score=0.9)
    wider = project.pick(diameter_angstrom=400.0)
    project.pick(min_mask_distance_angstrom=100.0)
    assert DarkSpots.calls == calls
    assert stricter.n_candidates == before.n_candidates
    assert (wider.n_particles or 0) < (before.n_particles or 0)
    assert project.paths.mask("spots").stat().st_mtime_ns == written
    assert project.pick() == before


@pytest.mark.parametrize("what", ["average", "contrast", "candidates", "mask", "key"])
def test_what_the_network_saw_is_looked_at_again_when_it_changed(
    project: Project, what: str
) -> None:
    before = project.pick()
    calls = DarkSpots.calls
    changes: dict[str, Any] = {}
    match what:
        case "average":
            project.put(picture(places=PLACES[:5]))
        case "contrast":
            changes = {"invert_contrast": True}
        case "candidates":
            project.paths.candidates("spots").write_bytes(b"\x93NUMPY torn")
        case "mask":
            project.paths.mask_preview("spots").unlink()
        case "key":
            project.paths.candidates_key("spots").write_text("{torn")
    after = project.pick(**changes)
    assert DarkSpots.calls > calls
    assert (after == before) == (what not in ("average", "contrast"))


def test_another_model_file_is_another_model(project: Project, tmp_path: Path) -> None:
    stored = read_boxnet(bundled_folder() / "boxnet.safetensors")
    first = project.pick()
    calls = DarkSpots.calls
    write_boxnet(tmp_path / "models" / "own.safetensors", stored.weights, 8, {"who": "me"})
    second = project.pick(model="own")
    assert DarkSpots.calls > calls and first.model_hash != second.model_hash
    assert second.picks_path == "matching/spots_own.star" and second.suffix == "own"
    assert (tmp_path / first.picks_path).exists()  # picks of an earlier model stay
    third = project.pick(model=str(tmp_path / "models" / "own.safetensors"))
    assert third.picks_path == second.picks_path and third.model_hash == second.model_hash


def test_the_same_picks_on_every_run_and_with_any_number_of_threads(project: Project) -> None:
    stars = []
    for threads in (1, 2, 3, 2):
        project.paths.candidates_key("spots").unlink(missing_ok=True)
        result = project.pick(threads=threads)
        stars.append((project.paths.root / result.picks_path).read_bytes())
    assert len(set(stars)) == 1


def test_it_can_be_stopped(project: Project) -> None:
    def stop(fraction: float) -> None:
        if fraction > 0.15:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        project.pick(on_progress=stop)
    assert read_candidates(project.paths, "spots") is None
    assert not project.paths.picks("spots", "boxnet").exists()


# --- edits ----------------------------------------------------------------------------


def test_edits_are_applied_and_false_positives_listed(project: Project) -> None:
    before = project.positions(project.pick())
    wrong, missed = before[3], (100.0, 100.0)
    write_edits(
        project.paths.edits("spots"),
        Edits(
            added=(Spot(y_angstrom=missed[0], x_angstrom=missed[1]),),
            removed=(Spot(y_angstrom=wrong[0], x_angstrom=wrong[1]),),
        ),
    )
    calls = DarkSpots.calls
    result = project.pick()
    after = project.positions(result)
    assert DarkSpots.calls == calls
    assert (result.n_added, result.n_removed) == (1, 1) and result.edits
    np.testing.assert_allclose(after[0], missed)
    np.testing.assert_allclose(after[1:], np.delete(before, 3, axis=0), atol=1e-4)
    listed = project.paths.false_positives("spots", "boxnet")
    table = starfile.read(listed)
    assert (table.rlnCoordinateY * PIXEL).tolist() == pytest.approx([wrong[0]], abs=1e-3)
    project.paths.edits("spots").unlink()
    again = project.pick()
    assert not listed.exists() and again.n_removed == 0 and not again.edits


def test_an_item_keeps_its_own_threshold(project: Project) -> None:
    strict = project.pick(min_score=0.99)
    write_edits(project.paths.edits("spots"), Edits(min_score=0.99))
    own = project.pick(min_score=0.5)
    assert own.n_particles == strict.n_particles and own.min_score == 0.99


def test_edits_that_cannot_be_read_stop_this_item(project: Project) -> None:
    path = project.paths.edits("spots")
    path.parent.mkdir(exist_ok=True)
    path.write_text("{")
    with pytest.raises(InputError, match=r"spots_edits\.json"):
        project.pick()


def test_a_trial_writes_nothing_of_what_is_stored(project: Project, tmp_path: Path) -> None:
    project.pick()
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    item, folder = Item.movie(tmp_path / "spots.tif"), tmp_path / "trial"
    for changes in ({"min_score": 0.9}, {"invert_contrast": True}):
        with open_trial_bench(
            item, project.paths, Config(), "cpu", threads=2, on_progress=lambda fraction: None,
            folder=folder,
        ) as bench:  # fmt: skip
            bench.results["average"] = AverageResult(
                pixel_size=PIXEL, shape_yx=SHAPE, n_frames=1, average_path="average/spots.mrc"
            )
            result = picking.run(item, bench, project.settings.model_copy(update=changes))
        assert len(np.load(bench.pictures["picks"])) == result.n_particles
    assert np.load(bench.pictures["mask"]).shape == (300, 250)
    assert kept == {
        path: path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file() and folder not in path.parents
    }


# --- bad input ------------------------------------------------------------------------


def test_a_model_that_is_absent(project: Project) -> None:
    with pytest.raises(InputError, match=r"no model 'other'.*one of: boxnet"):
        project.pick(model="other")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: data[: len(data) // 2], "damaged"),
        (lambda data: b"", "damaged"),
        (lambda data: b"\x00" * 500, "damaged"),
        (lambda data: data.replace(b'"format":"1"', b'"format":"9"'), "format 9"),
        (lambda data: data.replace(b'"kind":"BoxNet"', b'"kind":"Oxnet!"'), "no BoxNet model"),
        (lambda data: data.replace(b'"width":"8"', b'"width":"4"'), "do not fit"),
    ],
)
def test_a_model_that_cannot_be_used(
    project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[bytes], bytes],
    said: str,
) -> None:
    monkeypatch.undo()
    whole = (bundled_folder() / "boxnet.safetensors").read_bytes()
    path = tmp_path / "models" / "bad.safetensors"
    path.parent.mkdir()
    path.write_bytes(spoil(whole))
    assert path.read_bytes() != whole
    with pytest.raises(InputError, match=said) as told:
        project.pick(model="bad")
    assert "bad.safetensors" in str(told.value)


def test_an_average_that_is_not_finite(project: Project) -> None:
    with mrcfile.mmap(project.paths.average("spots"), "r+") as file:
        file.data[5, 7] = np.nan
    with pytest.raises(StageError, match=r"spots\.tif: the average has values that are not finite"):
        project.pick()


def test_an_average_without_contrast(project: Project) -> None:
    with mrcfile.mmap(project.paths.average("spots"), "r+") as file:
        file.data[:] = 7
    with pytest.raises(StageError, match="7 everywhere"):
        project.pick()


def test_an_average_that_is_gone(project: Project) -> None:
    project.paths.average("spots").unlink()
    with pytest.raises(InputError, match="is gone; process the item again"):
        project.pick()


# --- other programs -------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("relion_preprocess") is None, reason="RELION is not installed")
def test_relion_extracts_what_was_picked(project: Project, tmp_path: Path) -> None:
    result = project.pick()
    folder = tmp_path / "relion"
    (folder / "average").mkdir(parents=True)
    shutil.copy(project.paths.average("spots"), folder / "average" / "spots.mrc")
    shutil.copy(tmp_path / result.picks_path, folder / "average" / "spots_boxnet.star")
    (folder / "micrographs.star").write_text(
        "# version 30001\n\ndata_optics\n\nloop_\n_rlnOpticsGroupName #1\n_rlnOpticsGroup #2\n"
        "_rlnMicrographPixelSize #3\n_rlnVoltage #4\n_rlnSphericalAberration #5\n"
        f"_rlnAmplitudeContrast #6\nopticsGroup1 1 {PIXEL} 300 2.7 0.1\n\n\n"
        "# version 30001\n\ndata_micrographs\n\nloop_\n_rlnMicrographName #1\n"
        "_rlnOpticsGroup #2\naverage/spots.mrc 1\n\n"
    )
    done = subprocess.run(
        [
            "relion_preprocess", "--i", "micrographs.star", "--coord_suffix", "_boxnet.star",
            "--coord_dir", "./", "--part_star", "particles.star", "--part_dir", "out/",
            "--extract", "--extract_size", "120", "--norm", "--bg_radius", "45",
        ],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    particles = starfile.read(folder / "particles.star")["particles"]
    assert len(particles) == result.n_particles > 20
    stack = np.concatenate([mrcfile.read(path) for path in (folder / "out").rglob("*.mrcs")])
    middle = stack[:, 55:65, 55:65].mean()
    assert middle < stack[:, :20].mean() - 0.5  # the dark spots are in the middle of the boxes


def test_the_marks_tell_the_diameter() -> None:
    y, x = np.mgrid[:200, :200]
    marks = np.hypot(y % 40 - 20, x % 40 - 20) <= 5  # of half a particle's radius
    probabilities = np.where(marks, 0.99, 0.005)
    found = find_components(np.stack([1 - 0.005 - probabilities, probabilities, 0 * y + 0.005]))
    areas = found.areas_px.astype(float)
    table = np.column_stack([found.centres_yx_px, found.scores, areas]).astype(np.float32)
    chosen = choose(table, None, 8.0, 160.0, 0.5, 0)
    assert picking._implied_diameter_angstrom(chosen) == pytest.approx(160, rel=0.06)
    few = choose(table[:9], None, 8.0, 160.0, 0.5, 0)
    assert picking._implied_diameter_angstrom(few) is None
