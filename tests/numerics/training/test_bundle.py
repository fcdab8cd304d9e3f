"""Bundles hold what was put in, and say when they do not."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from training_project import make_example

from warptui.engine.errors import InputError, TrainingError
from warptui.engine.training.bundle import (
    STEPS_PER_SIGMA,
    Entry,
    Origin,
    merge,
    read_bundle,
    read_manifest,
    species_of,
    write_bundle,
)
from warptui.engine.training.corpus import N_SCENES, read_corpus

ORIGIN = Origin("A. Nobody", "CC0-1.0", 1.05, "EMPIAR-1")


def test_what_comes_out_is_what_went_in(tmp_path: Path) -> None:
    example = make_example(1)
    path = tmp_path / "one.boxset"
    digest = write_bundle(path, [Entry(example, ORIGIN)])
    (entry,) = read_bundle(path)
    assert entry.origin == ORIGIN and entry.example.species == "blob"
    assert np.abs(entry.example.image - example.image).max() <= 0.51 / STEPS_PER_SIGMA
    assert (entry.example.labels == example.labels).all()
    assert (entry.example.certainty == example.certainty).all()
    assert (entry.example.centres_yx_px == example.centres_yx_px).all()
    again = tmp_path / "two.boxset"
    assert write_bundle(again, [Entry(example, ORIGIN)]) == digest


def test_damage_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.boxset"
    write_bundle(path, [Entry(make_example(1), ORIGIN)])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="damaged"):
        read_bundle(path)
    other = tmp_path / "b.boxset"
    with zipfile.ZipFile(other, "w") as bundle, zipfile.ZipFile(tmp_path / "c", "w"):
        bundle.writestr("manifest.json", "{}")
    with pytest.raises(InputError, match="no bundle of examples"):
        read_bundle(other)
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(tmp_path / "absent")


def test_a_changed_example_does_not_fit_its_checksum(tmp_path: Path) -> None:
    path, forged = tmp_path / "a.boxset", tmp_path / "forged.boxset"
    write_bundle(path, [Entry(make_example(1), ORIGIN)])
    write_bundle(tmp_path / "b.boxset", [Entry(make_example(2), ORIGIN)])
    with (
        zipfile.ZipFile(path) as one,
        zipfile.ZipFile(tmp_path / "b.boxset") as two,
        zipfile.ZipFile(forged, "w") as out,
    ):
        out.writestr("manifest.json", one.read("manifest.json"))
        out.writestr("0000.npz", two.read("0000.npz"))
    with pytest.raises(InputError, match=r"checksum of 0000.npz"):
        read_bundle(forged)


def test_a_curator_merges_and_doubles_are_left_out(tmp_path: Path) -> None:
    one, two, all_ = (tmp_path / f"{name}.boxset" for name in ("one", "two", "all"))
    write_bundle(one, [Entry(make_example(seed), ORIGIN) for seed in (1, 2)])
    write_bundle(two, [Entry(make_example(seed), ORIGIN) for seed in (2, 3)])
    assert merge([one, two], all_) == (3, 1)
    assert len(read_bundle(all_)) == 3
    (species,) = species_of(read_manifest(all_))
    assert species["species"] == "blob" and species["micrographs"] == 3
    assert species["contributor"] == ["A. Nobody"]


def test_nothing_makes_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(TrainingError):
        write_bundle(tmp_path / "a", [])


def test_the_curated_set_is_there_and_part_of_it_is_never_learned_from() -> None:
    learned, measured = read_corpus()
    assert len(learned) + len(measured) == N_SCENES
    assert not {e.name for e in learned} & {e.name for e in measured}
    labels = np.concatenate([e.labels.ravel() for e in learned])
    assert {0, 1, 2} == set(np.unique(labels))
    species = {name for e in learned for name in e.species.split(" + ") if name}
    assert len(species) > 12
    for example in learned:
        assert np.isfinite(example.image).all() and abs(np.median(example.image)) < 1
