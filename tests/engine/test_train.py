"""`warptui train` without an engine, as a person calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "numerics" / "training"))

from training_project import Project, write_net

from warptui.cli import main
from warptui.commands.train.training import progress_line
from warptui.engine.model.training import TrainingStatus

QUICK = ("--epochs", "2", "--batch", "2", "--corpus-percent", "0", "--from", "tiny")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    text = '[input]\nfolder = "."\npattern = ["m*.mrc"]\n[compute]\ndevices = "cpu"\nthreads = 1\n'
    made.paths.config.write_text(text)
    write_net(made.paths.model("tiny"))
    for seed in (0, 1):
        made.add(seed)
    return made


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_training_from_beginning_to_use(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    root = str(project.root)
    assert main(["train", root, *QUICK, "--name", "next", "--json"]) == 0
    said = capfd.readouterr()
    assert "1 micrograph with 8 particles, 1 held out; at most 1 steps on cpu" in said.err
    assert "verdict: no clear difference" in said.err
    assert "new network, held out: precision" in said.err
    record = json.loads(said.out)
    assert record["phase"] == "done" and record["report"]["n_held_out"] == 1
    assert main(["train", root, "--use-model", "next"]) == 0
    assert 'model = "next"' in project.paths.config.read_text()
    assert main(["train", root, "--models"]) == 0
    table = capfd.readouterr().out.splitlines()
    assert any(line.startswith("*") and "next" in line and "ready" in line for line in table)
    assert main(["train", root, "--discard", "next"]) == 2
    assert "in use" in capfd.readouterr().err
    assert main(["train", root, "--use-model", "tiny"]) == 0
    assert main(["train", root, "--discard", "next"]) == 0
    assert not project.paths.model("next").exists()


def test_what_cannot_begin_is_status_2(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    root = str(project.root)
    cases = {
        ("--items", "nobody"): "no item is named 'nobody'",
        ("--from", "nobody"): "no model 'nobody'",
        ("--name", "tiny"): "there is a model tiny already",
        ("--resume", "never"): "no training to continue",
        ("--epochs", "0"): "training.epochs = 0",
        ("--cancel",): "nothing is being trained",
        ("--merge", "a.boxset"): "--merge needs --output",
        ("--merge", "a.boxset", "--output", "b.boxset"): "a.boxset: cannot be read",
        ("--bundle", "x.boxset"): "--species is missing",
        ("--from-scratch",): "--from-scratch needs --data",
    }
    for options, words in cases.items():
        start = () if "--from" in options else ("--from", "tiny")
        assert main(["train", root, *start, *options]) == 2, options
        assert words in capfd.readouterr().err, options


def test_a_project_that_is_at_work_is_refused(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    code = (
        "import sys; from pathlib import Path; "
        "from warptui.engine.project.lock import ProjectLock; "
        "ProjectLock(Path(sys.argv[1]), print); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(project.paths.lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        assert main(["train", str(project.root), *QUICK]) == 2
        holder.stdin.close()
    said = capfd.readouterr().err
    assert f"process {holder.pid}" in said and "another training or an engine" in said


def test_bundles_are_made_merged_and_listed(
    project: Project, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root, one, all_ = str(project.root), tmp_path / "one.boxset", tmp_path / "all.boxset"
    call = ["train", root, "--bundle", str(one), "--species", "blob", "--licence", "CC0-1.0"]
    assert main([*call, "--contributor", "A. Nobody"]) == 0
    assert "2 micrographs, 16 particles" in capfd.readouterr().err
    assert main(["train", "--merge", str(one), str(one), "--output", str(all_)]) == 0
    assert "2 micrographs, 2 that were there twice left out" in capfd.readouterr().err
    assert main(["train", "--list", str(all_)]) == 0
    assert "blob" in capfd.readouterr().out
    assert main(["train", "--list", "--json"]) == 0
    assert len(json.loads(capfd.readouterr().out)) > 12


def test_the_line_that_tells_how_far_it_is() -> None:
    status = TrainingStatus(
        "next", "running", step=5, n_steps=10, epoch=50.2, n_epochs=100, loss=0.1234,
        seconds_left=75.0, message="training; processing waits until it is done; memory ran out",
    )  # fmt: skip
    assert progress_line(status, 200) == (
        "[##########..........] step 5/10 · epoch 50/100 · loss 0.123 · at most 1:15 min left · "
        "memory ran out"
    )
