"""From nothing: models and bundles in, a network and its card out; also where it stopped."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from training_project import make_example

from warptui.engine.errors import TrainingError
from warptui.engine.formats.boxnet_model import read_boxnet
from warptui.engine.formats.mrc import write_mrc
from warptui.engine.training import corpus, folder
from warptui.engine.training.bundle import Entry, Origin, write_bundle
from warptui.engine.training.scratch import Plan, train

CPU = torch.device("cpu")


def write_model(path: Path, n: int = 3000) -> None:
    """A ball of carbon of about 42 kDa."""
    random = np.random.default_rng(0)
    places = random.normal(size=(n, 3))
    places *= (
        25 * random.uniform(size=(n, 1)) ** (1 / 3) / np.linalg.norm(places, axis=1, keepdims=True)
    )
    lines = [
        f"ATOM  {i % 99999:5d}  C   ALA A   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           C"
        for i, (x, y, z) in enumerate(places)
    ]
    with gzip.open(path, "wt") as file:
        file.write("\n".join(lines) + "\n")


def plan(tmp_path: Path, **changes: object) -> Plan:
    given = {
        "n_scenes": 4, "n_epochs": 4, "width": 1, "batch": 2, "scene_px": 64, "n_views": 2,
        "n_invented": 2, "window_px": 32, **changes,
    }  # fmt: skip
    return Plan((tmp_path / "data",), tmp_path / "out" / "new.safetensors", **given)  # type: ignore[arg-type]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    write_model(made / "ball.pdb.gz")
    entries = [Entry(make_example(seed), Origin("x", "CC0-1.0")) for seed in range(7)]
    write_bundle(made / "real.boxset", entries)
    return made


@pytest.mark.slow
def test_a_network_from_models_and_bundles(tmp_path: Path, data: Path) -> None:
    said: list[str] = []
    made = plan(tmp_path, n_invented=6)  # so many that one is drawn
    assert train(made, CPU, said.append) is not None
    stored = read_boxnet(made.output)
    assert stored.width == 1
    assert set(stored.card["species"]) == {"ball", "blob", "invented"}
    assert (stored.card["n_examples"], stored.card["n_validated"]) == (10, 1)
    assert "10 micrographs to learn from, 1 to validate, 20 steps" in said
    assert folder.read_metrics(made.folder / "metrics.jsonl")[-1]["step"] == 20


@pytest.mark.slow
def test_it_goes_on_where_it_was_stopped(tmp_path: Path, data: Path) -> None:
    stop_after = 3
    steps = iter(range(100))
    stopped = train(plan(tmp_path), CPU, lambda text: None, lambda: next(steps) >= stop_after)
    assert stopped is None and not plan(tmp_path).output.exists()
    said: list[str] = []
    assert train(plan(tmp_path), CPU, said.append) is not None
    assert "going on from step 4" in said
    assert not any(text.startswith("simulating") for text in said)


def test_a_checkpoint_of_another_training_is_not_gone_on_with(tmp_path: Path, data: Path) -> None:
    assert train(plan(tmp_path), CPU, lambda text: None, lambda: True) is None
    for changes in ({"width": 2}, {"n_epochs": 8}, {"first_rate": 0.1}):
        with pytest.raises(TrainingError, match="of another training than this command"):
            train(plan(tmp_path, **changes), CPU, lambda text: None)


def test_a_density_map_is_a_model_too(tmp_path: Path) -> None:
    grid = np.indices((32, 32, 32)) - 15.5
    ball = (np.sqrt((grid**2).sum(axis=0)) < 7).astype(np.float32)
    write_mrc(tmp_path / "map.mrc", ball, 5.0)
    (particle,) = corpus.read_models([tmp_path])
    assert particle.mass_kda == pytest.approx(4 / 3 * np.pi * 35**3 * 0.81e-3, rel=0.1)


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(TrainingError, match="0 models"):
        train(plan(tmp_path), CPU, lambda text: None)
    with pytest.raises(TrainingError, match="is not there"):
        train(Plan((tmp_path / "no",), tmp_path / "a.safetensors"), CPU, lambda text: None)


def test_the_same_arguments_give_the_same_micrographs(tmp_path: Path, data: Path) -> None:
    particles = corpus.read_models([data])
    one, two = (
        next(iter(corpus.make_scenes(particles, 1, 64, n_views=2, seed=3))) for _ in range(2)
    )
    assert (one.image == two.image).all() and (one.labels == two.labels).all()
