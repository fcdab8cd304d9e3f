"""Marks become examples by themselves, and what cannot be used says why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training_project import DIAMETER, PIXEL_SIZE, Project, make_blobs

from tests.work import instructions
from warptui.engine.errors import TrainingError
from warptui.engine.formats.mrc import write_mrc
from warptui.engine.formats.star.tables import Table, write_star
from warptui.engine.model import codec
from warptui.engine.model.edits import Edits, Spot
from warptui.engine.model.training import TrainingRequest
from warptui.engine.training.example import SURE
from warptui.engine.training.example_making import make_example
from warptui.engine.training.labels import LEARN, MEASURE, Rules, describe, find_marked

RULES = Rules(DIAMETER, 0.95)


def marked(project: Project, percent: float = 0.0, **request: object):
    return find_marked(
        project.paths, project.items, codec.decode(TrainingRequest, dict(request)), percent
    )


def spot(y: float, x: float, radius: float = 0.0) -> Spot:
    return Spot(y_angstrom=y * PIXEL_SIZE, x_angstrom=x * PIXEL_SIZE, radius_angstrom=radius)


def test_picks_become_discs_of_half_the_radius(project: Project) -> None:
    project.add(1)
    (one,) = marked(project)
    example = make_example(one, RULES, train_masks=True)
    _, centres = make_blobs(1)
    assert example.image.shape == example.labels.shape == (96, 96)
    assert np.allclose(example.centres_yx_px, centres, atol=1e-3)
    area = (example.labels == 1).sum() / len(centres)
    assert area == pytest.approx(np.pi * 5**2, rel=0.1)  # radius 80 Å, half of it is 5 px
    y, x = np.round(centres[0]).astype(int)
    assert example.labels[y, x] == 1 and example.certainty[y, x] == 1
    assert example.labels[y, x + 8 if x < 80 else x - 8] == 0


def test_false_positives_count_more_uncertain_areas_nothing_and_masks_are_artifacts(
    project: Project,
) -> None:
    project.add(2)
    edits = Edits(
        added=(spot(20, 20),),
        removed=(spot(20, 70),),
        uncertain=(spot(70, 20, 6 * PIXEL_SIZE),),
        certain=(spot(45, 45, 3 * PIXEL_SIZE),),
        training="examples",
    )
    project.edit(2, edits)
    mask = np.zeros((96, 96), np.uint8)
    mask[80:, 80:] = 1
    path = project.paths.mask_preview("m2")
    path.parent.mkdir(parents=True)
    np.save(path, mask)
    (one,) = marked(project)
    example = make_example(one, RULES, train_masks=True)
    assert example.labels[20, 20] == 1 and example.n_particles == 1
    assert example.labels[20, 70] == 0 and example.certainty[20, 70] == SURE
    assert example.certainty[20, 70 + 9] == SURE and example.certainty[20, 70 + 12] == 1
    assert example.certainty[70, 20] == 0 and example.certainty[70, 27] == 1
    assert example.certainty[45, 45] == SURE
    assert example.labels[90, 90] == 2
    assert make_example(one, RULES, train_masks=False).labels[90, 90] == 0
    project.edit(2, edits.model_copy(update={"train_mask": False}))
    assert make_example(marked(project)[0], RULES, train_masks=True).labels[90, 90] == 0


def test_another_pixel_size_keeps_the_places(project: Project) -> None:
    name = project.add(3)
    image, centres = make_blobs(3)
    fine = np.kron(image, np.ones((2, 2), np.float32))  # 4 Å/px
    write_mrc(project.paths.average("m3"), fine, PIXEL_SIZE / 2)
    (one,) = marked(project)
    assert one.name == name
    example = make_example(one, RULES, train_masks=True)
    assert example.image.shape == (96, 96)
    assert np.allclose(example.centres_yx_px, centres, atol=1e-3)


def test_what_cannot_be_used_says_why(project: Project) -> None:
    for seed in range(4):
        project.add(seed)
    project.paths.average("m0").unlink()
    image = make_blobs(1)[0]
    image[5, 5] = np.nan
    path = project.paths.average("m1")
    content = bytearray(path.read_bytes())
    content[-4:] = np.float32(np.nan).tobytes()
    path.write_bytes(content)
    project.paths.edits("m2").write_text("{")
    project.edit(3, Edits(training="examples"))
    found = {one.name: one for one in marked(project)}
    told = {example.name: example for example in describe(list(found.values()), RULES, {})}
    assert "gone" in told["m0.mrc"].problem
    assert "m2_edits.json" in told["m2.mrc"].problem
    assert "no picks" in told["m3.mrc"].problem
    with pytest.raises(TrainingError, match=r"m1.mrc: its average has values that are not finite"):
        make_example(found["m1.mrc"], RULES, train_masks=True)
    with pytest.raises(TrainingError, match=r"m0.mrc: its average .* is gone"):
        make_example(found["m0.mrc"], RULES, train_masks=True)


def test_a_share_is_held_out_where_none_is_named(project: Project) -> None:
    for seed in range(5):
        project.add(seed)
    roles = [one.role for one in marked(project, 20.0)]
    assert roles.count(MEASURE) == 1 and roles.count(LEARN) == 4
    assert [one.role for one in marked(project, 20.0)] == roles
    assert {one.role for one in marked(project, 0.0)} == {LEARN}
    project.add(4, training="held-out")
    assert [one.role for one in marked(project, 60.0)] == [LEARN] * 4 + [MEASURE]


def test_the_only_micrograph_is_never_held_out(project: Project) -> None:
    project.add(0)
    assert [one.role for one in marked(project, 80.0)] == [LEARN]


def test_named_items_take_the_place_of_marked_ones(project: Project) -> None:
    project.add(0)
    project.add(1, training="")
    project.add(2, training="")
    found = marked(project, items=["m1.mrc"], held_out=["m2.mrc"])
    assert [(one.name, one.role) for one in found] == [("m1.mrc", LEARN), ("m2.mrc", MEASURE)]
    with pytest.raises(TrainingError, match=r"no item is called unknown\.mrc"):
        marked(project, items=["unknown.mrc"])


def test_star_files_take_the_place_of_picks(project: Project, tmp_path: Path) -> None:
    project.add(0)
    project.add(1)
    labels = ("rlnMicrographName", "rlnCoordinateX", "rlnCoordinateY")
    write_star(tmp_path / "m0_ref.star", [Table("", labels, [("m0.mrc", 30.0, 50.0)])])
    found = marked(project, positions=str(tmp_path))
    assert "no STAR file" in found[1].problem
    example = make_example(found[0], RULES, train_masks=True)
    assert example.centres_yx_px.tolist() == [[50.0, 30.0]]


def test_work_on_an_example_grows_with_its_particles_and_no_faster(project: Project) -> None:
    def work(number: int, n: int) -> int:
        project.add(number)
        side = 32 * n
        image = np.random.default_rng(0).normal(size=(side, side)).astype(np.float32)
        write_mrc(project.paths.average(f"m{number}"), image, PIXEL_SIZE)
        grid = [(16 + 31 * i, 16 + 31 * j) for i in range(n) for j in range(n)]
        spots = tuple(spot(y, x) for y, x in grid)
        project.edit(number, Edits(added=spots, training="examples"))
        one = next(found for found in marked(project) if found.name == f"m{number}.mrc")
        made = []
        count = instructions(lambda: made.append(make_example(one, RULES, train_masks=True)))
        assert made[0].n_particles == n * n
        return count

    assert work(1, 16) < 4.5 * work(0, 8)


def test_what_is_held_out_by_itself_has_particles(project: Project) -> None:
    for number in range(3):
        project.add(number)
    project.edit(1, Edits(training="examples"))  # in the middle, which else is chosen
    roles = find_marked(project.paths, project.items, TrainingRequest(), 30.0, RULES)
    assert [one.role for one in roles if one.name == "m1.mrc"] == [LEARN]
    assert [one.role for one in roles].count(MEASURE) == 1
