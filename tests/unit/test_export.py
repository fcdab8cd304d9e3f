"""`export`: what is selected, as files for other programs, and what is said of the rest."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import starfile

from tests.beam_patterns import write_epu
from warptui import cli
from warptui.engine.config import file
from warptui.engine.formats.mrc import write_mrc
from warptui.engine.model.item import Choice
from warptui.engine.model.stored import StoredItem
from warptui.engine.planning.plan import References, make_record, plan
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store, fingerprint

SHAPE = {"pixel_size": 1.25, "shape_yx": [16, 16]}
RESULTS: dict[str, dict[str, Any]] = {
    "motion": {
        **SHAPE,
        "early_motion": 0.5,
        "n_frames": 3,
        "track_yx_angstrom": [[0.0, 0.0]] * 3,
        "global_yx_angstrom": [[0.0, 0.0]],
        "local_grid": [1, 1, 1],
    },
    "average": {**SHAPE, "n_frames": 3},
    "ctf": {"defocus_um": 1.5, "resolution": 4.0, **SHAPE},
    "picking": {"n_particles": 100, **SHAPE},
    "particles": {},
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with three processed movies: a is excluded by hand, the average of c is gone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    raw, folder = tmp_path / "raw", tmp_path / "p"
    raw.mkdir()
    frames = np.random.default_rng(0).integers(1, 9, (3, 16, 16)).astype(np.int16)
    for name in "abc":
        write_mrc(raw / f"{name}.mrc", frames, 1.25, mode="int16")
    assert cli.main(["init", str(folder), "--input", str(raw)]) == 0
    settings = file.read_config(folder)
    store = Store(ProjectPaths(folder))
    (folder / "average").mkdir()
    for number, name in enumerate("abc", 1):
        path = raw / f"{name}.mrc"
        item = StoredItem(path.name, number, raw_path=str(path))
        mark = fingerprint(path)
        for step in plan(item, settings, References(), mark).steps:
            record = make_record(
                step.stage, item, settings, References(), mark, result=RESULTS[step.stage],
                finished_at=1.0, seconds=1.0, device="cpu", program_version="0",
            )  # fmt: skip
            item = item.with_record(record)
        if name == "a":
            item = StoredItem(**{**vars(item), "choice": Choice.EXCLUDE})
        if name != "c":
            write_mrc(folder / "average" / f"{name}.mrc", frames[0].astype(np.float32), 1.25)
        store.save(item)
    store.close()
    return folder


def test_selected_items_are_listed_and_the_rest_is_said(
    project: Path, capsys: pytest.CaptureFixture[str]
):
    capsys.readouterr()
    code = cli.main(["export", "micrographs", str(project), "--without-ctf", "--json"])
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert code == 1  # c could not be told
    assert (found["exported"], found["selected"]) == (["b.mrc"], 2)
    assert "average" in found["left_out"]["c.mrc"]
    assert "left out: c.mrc" in said.err and "1 of 2 selected" in said.err
    rows = starfile.read(project / "micrographs.star")["micrographs"]
    assert rows["rlnMicrographName"].tolist() == ["average/b.mrc"]


def test_the_list_goes_where_it_is_asked_for(project: Path, tmp_path: Path):
    (project / "average" / "c.mrc").write_bytes((project / "average" / "b.mrc").read_bytes())
    output = tmp_path / "out" / "list.star"
    call = ["export", "micrographs", str(project), "--without-ctf", "--output", str(output)]
    assert cli.main(call) == 0
    assert len(starfile.read(output)["micrographs"]) == 2


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (["report", "PROJECT"], "report.html"),
        (["export", "micrographs", "PROJECT", "--without-ctf"], "motion/b.star"),
    ],
    ids=["report", "micrographs"],
)
def test_a_full_disk_is_told_with_the_file_and_what_to_do(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    call: list[str], name: str,
):  # fmt: skip
    before = {path for path in project.rglob("*") if path.is_file()}

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    capsys.readouterr()
    assert cli.main([str(project) if word == "PROJECT" else word for word in call]) == 2
    said = capsys.readouterr().err
    assert f"warptui: {project / name}: disk full: make room, then call it again" in said
    after = {path for path in project.rglob("*") if path.is_file()}
    assert {path.suffix for path in after - before} <= {".lock"}


def test_optics_groups_by_beam_shift_are_shown_as_a_table(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (project / "average" / "c.mrc").write_bytes((project / "average" / "b.mrc").read_bytes())
    write_epu(tmp_path / "xml" / "GridSquare_1" / "b.mrc", 0.125, -0.5)
    call = ["export", "micrographs", str(project), "--without-ctf"]
    shifts = ["--beam-shift-folder", str(tmp_path / "xml"), "--beam-shift-distance", "0.02"]
    assert cli.main([*call, "--optics-groups", "beam_shift", *shifts]) == 0
    said = capsys.readouterr().err
    assert "1        1        0.125         -0.5  EPU units" in said
    assert "2        1   without a beam shift" in said and "c.mrc without a beam shift" in said
    found = starfile.read(project / "micrographs.star")
    assert found["micrographs"]["rlnOpticsGroup"].tolist() == [1, 2]
    assert found["optics"]["rlnOpticsGroupName"].tolist() == ["opticsGroup1", "opticsGroup2"]
    write_epu(tmp_path / "xml" / "c.mrc", 0.13, -0.51)
    file.write_config(project, {"export": {"optics_groups": "beam_shift"}})
    assert cli.main([*call, *shifts, "--json"]) == 0
    (group,) = json.loads(capsys.readouterr().out)["groups"]["groups"]
    assert (group["number"], group["n"]) == (1, 2)
    assert cli.main([*call, "--optics-groups", "one", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["groups"] == {}
    wrong = [*call, "--optics-groups", "beam_shift", "--beam-shift-distance", "near"]
    assert cli.main(wrong) != 0 and "'near' is not a number" in capsys.readouterr().err


@pytest.mark.parametrize("call", [["export"], ["export", "nothing"]])
def test_what_is_to_be_exported_must_be_said(call: list[str]):
    assert cli.main(call) == 2
