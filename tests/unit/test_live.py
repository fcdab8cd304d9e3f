"""The live lists: everything that is selected, whole at every moment, within bounds."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import starfile

from tests.beam_patterns import EPU_XML, afis, write_epu
from tests.item_stars import stored_item, write_item
from tests.work import counted
from warptui.engine.config.sections import ExportSettings
from warptui.engine.config.settings import Config
from warptui.engine.exporters.merging import alike, write_gathered
from warptui.engine.exporters.row_cache import Spool
from warptui.engine.exporters.rows import rows_of, source_of
from warptui.engine.exporting.live import LiveListWriter
from warptui.engine.exporting.live_lists import LiveListService
from warptui.engine.formats.star.picks import write_picks
from warptui.engine.formats.star.rows import split_star
from warptui.engine.project.paths import ProjectPaths

QUICK = ExportSettings(live_seconds=0.2, last_items=2)
BY_SHIFT = QUICK.model_copy(update={"optics_groups": "beam_shift"})
OPTICS = {"voltage": 300.0, "cs": 2.7, "amplitude_contrast": 0.07}


def nothing(name: str) -> None:
    raise AssertionError(f"{name} was loaded")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProjectPaths:
    monkeypatch.setattr("warptui.engine.exporting.live.SHARE", 1.0)
    return ProjectPaths(tmp_path)


def until(true, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def names_in(path: Path) -> list[str]:
    return [Path(name).stem for name in starfile.read(path)["particles"]["rlnMicrographName"]]


def rows(live: LiveListWriter) -> int:
    return live.look()[0].rows if live.look() else 0


def test_what_is_selected_stands_in_the_list_in_the_order_in_which_it_came(project) -> None:
    live = LiveListWriter(project, "net", QUICK, nothing)
    sources = {s.name: s for s in (write_item(project.root, k, 3) for k in (1, 2, 3))}
    live.update(sources)
    until(lambda: rows(live) == 9)
    early = write_item(project.root, 0, 2)  # an older movie that was done last
    live.update({early.name: early})
    until(lambda: rows(live) == 11)
    order = ["m00001"] * 3 + ["m00002"] * 3 + ["m00003"] * 3 + ["m00000"] * 2
    assert names_in(project.live_list("net")) == order
    assert names_in(project.live_last("net")) == ["m00003"] * 3 + ["m00000"] * 2
    live.update({"m00002.mrc": None})
    until(lambda: rows(live) == 8)
    live.update({"m00002.mrc": sources["m00002.mrc"]})
    until(lambda: rows(live) == 11)
    assert names_in(project.live_list("net")) == order
    edited = write_item(project.root, 2, 1, mark=7.0)
    live.update({edited.name: edited})
    until(lambda: rows(live) == 9)
    found = starfile.read(project.live_list("net"))["particles"]
    assert found["rlnCoordinateY"].tolist().count(7.0) == 1
    live.close()
    again = LiveListWriter(
        project, "net", QUICK, nothing
    )  # another engine goes on with the same order
    again.update({**sources, early.name: early, edited.name: edited})
    until(lambda: rows(again) == 9)
    assert names_in(project.live_list("net"))[-2:] == ["m00000"] * 2
    again.close()
    assert not list(project.root.rglob("*.warptui-tmp"))


def test_boxes_of_another_size_are_an_optics_group_and_those_without_a_ctf_stay_out(
    project,
) -> None:
    live = LiveListWriter(project, "net", QUICK, nothing)
    made = [
        write_item(project.root, 1, 2), write_item(project.root, 2, 2, box=64),
        write_item(project.root, 3, 2, with_ctf=False),
    ]  # fmt: skip
    live.update({source.name: source for source in made})
    until(lambda: rows(live) == 4)
    found = starfile.read(project.live_list("net"))
    assert found["optics"]["rlnImageSize"].tolist() == [128, 64]
    assert found["particles"]["rlnOpticsGroup"].tolist() == [1, 1, 2, 2]
    assert "1 items left out: no CTF" in live.look()[0].reason
    live.configure(QUICK.model_copy(update={"star_version": "3.0"}))
    until(lambda: b"data_optics" not in project.live_list("net").read_bytes())
    old = starfile.read(project.live_list("net"))
    assert "rlnOpticsGroup" not in old and old["rlnDetectorPixelSize"].tolist() == [1.5] * 4
    assert old["rlnVoltage"].tolist() == [300.0] * 4
    live.close()


def test_readers_never_meet_half_a_list(project) -> None:
    live = LiveListWriter(project, "net", QUICK, nothing)
    sources = [write_item(project.root, k, 10) for k in range(60)]
    done, counts, problems = threading.Event(), [], []
    path = project.live_list("net")

    def read() -> None:
        last = False
        while not (last and len(counts) >= 300):
            last = done.is_set()  # the last look begins after the last list
            try:
                data = path.read_bytes()
                n = split_star(data, "list").n if data else -1
            except FileNotFoundError:
                continue
            except Exception as problem:  # noqa: BLE001 - any is a failure
                problems.append(problem)
                return
            counts.append(n)
            time.sleep(0.003)

    reader = threading.Thread(target=read)
    reader.start()
    for first in range(0, 60, 6):
        live.update({source.name: source for source in sources[first : first + 6]})
        time.sleep(0.15)
    until(lambda: rows(live) == 600)
    done.set()
    reader.join()
    live.close()
    assert not problems and counts == sorted(counts) and counts[-1] == 600
    assert len(set(counts)) > 3


def test_a_full_disk_leaves_the_list_as_it_was_and_is_told(
    project, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = LiveListWriter(project, "net", QUICK, nothing)
    live.update({"m00001.mrc": write_item(project.root, 1, 3)})
    until(lambda: rows(live) == 3)
    before = project.live_list("net").read_bytes()
    monkeypatch.setattr("warptui.engine.exporting.live.RETRY_S", 0.1)
    real = write_gathered

    def full(target: Path, *_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr("warptui.engine.exporting.live.write_gathered", full)
    second = write_item(project.root, 2, 3)
    live.update({second.name: second})
    until(lambda: live.look()[0].state == "failed")
    assert "No space left" in live.look()[0].reason and live.look()[0].rows == 3
    assert project.live_list("net").read_bytes() == before
    monkeypatch.setattr("warptui.engine.exporting.live.write_gathered", real)
    until(lambda: live.look()[0].state == "live" and rows(live) == 6)
    live.close()


def test_an_item_whose_file_is_gone_is_left_out_and_named(project) -> None:
    live = LiveListWriter(project, "net", QUICK, nothing)
    gone = write_item(project.root, 2, 3)
    (project.root / gone.path).unlink()
    live.update({"m00001.mrc": write_item(project.root, 1, 3), gone.name: gone})
    until(lambda: rows(live) == 3)
    assert "m00002.mrc left out" in live.look()[0].reason
    live.close()


def test_picks_alone_have_their_local_ctf_and_follow_edits(project) -> None:
    write_picks(
        project.picks("a", "net"), np.array([[5.0, 90.0], [95.0, 3.0]]), [0.99, 0.96], "a.mrc"
    )
    ctf = {
        "defocus_um": 1.5, "astigmatism_um": 0.0, "astigmatism_angle_deg": 0.0, "resolution": 4.0,
        "grid": (2, 2, 1), "grid_defocus_um": [1.0, 1.0, 2.0, 2.0],
    }  # fmt: skip
    results = {
        "average": {"pixel_size": 1.0, "shape_yx": (100, 100), "average_path": "average/a.mrc"},
        "picking": {"suffix": "net", "picks_path": "matching/a_net.star", "edits": ""},
        "ctf": ctf,
    }
    item = stored_item("a.mrc", 1, **results)
    source = source_of(item, "net", OPTICS, extracting=False)
    found = rows_of(source, project, lambda name: item)
    table = found.body.decode().split("\n")
    assert found.n == 2 and "rlnImageName" not in found.head.labels
    u = [float(line.split()[found.head.labels.index("rlnDefocusU")]) for line in table[:2]]
    assert u == pytest.approx([10000 + 1e4 * 5 / 99, 10000 + 1e4 * 95 / 99], abs=1)
    assert dict(found.head.optics)["rlnMicrographPixelSize"] == "1.000000"
    edited = stored_item("a.mrc", 1, **{**results, "picking": {**results["picking"], "edits": "x"}})
    assert source_of(edited, "net", OPTICS, extracting=False).key != source.key
    assert source_of(item, "other", OPTICS, extracting=False) is None
    assert source_of(item, "net", OPTICS, extracting=True) is None


def test_the_spool_survives_damage_and_is_written_anew_when_much_of_it_is_old(
    project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warptui.engine.exporters.row_cache.LEAST_WASTE", 4000)
    path = project.live_rows("net")
    spool = Spool(path)
    for mark in range(30):
        sources = [write_item(project.root, k, 5, mark=float(mark)) for k in (1, 2)]
        spool.put(
            (s.name, s.key, split_star((project.root / s.path).read_bytes(), "x")) for s in sources
        )
    assert path.stat().st_size < 12000
    write_gathered(
        project.root / "x.star", spool, list(spool.items), like=spool.items["m00001.mrc"].head
    )
    assert set(starfile.read(project.root / "x.star")["particles"]["rlnCoordinateY"]) == {29.0}
    spool.close()
    with path.open("ab") as file:
        file.write(b'{"name": "half')
    spool = Spool(path)
    assert list(spool.items) == ["m00001.mrc", "m00002.mrc"]
    kept = spool.items["m00002.mrc"]
    with path.open("r+b") as file:
        file.seek(kept.offset)
        file.write(b"9")
    with pytest.raises(Exception, match="damaged"):
        spool.read("m00002.mrc")
    assert "m00002.mrc" not in spool.items
    spool.close()


def test_what_becomes_of_items_is_told_to_the_lists(project) -> None:
    """A choice or a limit that takes an item out of the selection takes it out of the list."""
    made = write_item(project.root, 1, 3)
    results = {
        "picking": {"suffix": "boxnet"},
        "particles": {"suffix": "boxnet", "picks_hash": "1", "star_path": made.path},
    }
    entries = {
        name: SimpleNamespace(
            stored=stored_item(name, k, **results), selection=SimpleNamespace(selected=True)
        )
        for k, name in enumerate(("m00001.mrc", "b.mrc"))
    }
    wanted = SimpleNamespace(enabled={"picking", "particles"})
    table = SimpleNamespace(entries=entries, target=wanted)
    items = SimpleNamespace(table=table, touched=set())
    lists = LiveListService(project, items, nothing)
    config = Config(export=QUICK)
    lists.apply(config)
    lists.update()
    assert not items.touched
    until(lambda: lists.look() and lists.look()[0].rows == 6)
    assert lists.look()[0].path == str(project.root / "particles_boxnet.star")
    assert lists.look()[1].path == str(project.root / "particles_boxnet_last.star")
    entries["b.mrc"].selection.selected = False
    items.touched.add("b.mrc")
    lists.update()
    until(lambda: lists.look()[0].rows == 3)
    del entries["m00001.mrc"]
    items.touched.add("m00001.mrc")
    lists.update()
    until(lambda: lists.look()[0].rows == 0)
    assert b"_rlnImageName" in (project.root / "particles_boxnet.star").read_bytes()
    lists.apply(Config(export=ExportSettings(live=False)))
    assert lists.look() == ()
    lists.close()


def groups_in(path: Path) -> dict[str, int]:
    """Number of the optics group of each micrograph in a list."""
    found = starfile.read(path)
    optics, particles = found["optics"], found["particles"]
    numbers = optics["rlnOpticsGroup"].tolist()
    assert numbers == sorted(set(particles["rlnOpticsGroup"]))
    assert optics["rlnOpticsGroupName"].tolist() == [f"opticsGroup{n}" for n in numbers]
    names = [Path(name).stem for name in particles["rlnMicrographName"]]
    return dict(zip(names, particles["rlnOpticsGroup"].tolist(), strict=True))


def test_groups_by_beam_shift_stay_while_the_list_grows_and_when_engines_change(project) -> None:
    there, truth = afis(2, 40, 0.05)
    made = [write_item(project.root, k, 1) for k in range(40)]
    for source, (x, y) in zip(made, there, strict=True):
        write_epu(Path(source.raw_path), x, y)
    path, seen = project.live_list("net"), {}
    live = LiveListWriter(project, "net", BY_SHIFT, nothing)
    for first in (0, 5, 20, 32):
        live.update({s.name: s for s in made[first : first + 15]})
        n = min(first + 15, 40)
        until(lambda: rows(live) == n)  # noqa: B023 - called at once
        found = groups_in(path)
        assert all(found[name] == number for name, number in seen.items())
        if first:  # before there is no telling them apart
            seen = found
    assert [seen[f"m{k:05d}"] for k in range(40)] == (truth + 1).tolist()
    told = live.groups()
    assert [row["n"] for row in told["groups"]] == [10] * 4 and len(told["points"]) == 40
    assert "4 optics groups by beam shift, of 10 items each" in live.look()[0].reason
    assert set(groups_in(project.live_last("net")).items()) <= set(seen.items())
    live.update({s.name: None for s in made[:36]})  # one of each is left
    until(lambda: rows(live) == 4)
    assert groups_in(path).items() <= seen.items()
    live.close()
    again = LiveListWriter(project, "net", BY_SHIFT, nothing)
    for source in made:
        Path(source.raw_path).with_suffix(".xml").unlink()  # all is known already
    again.update({s.name: s for s in reversed(made)})
    until(lambda: rows(again) == 40)
    assert groups_in(path) == seen
    again.configure(QUICK)
    until(lambda: not again.groups() and set(groups_in(path).values()) == {1})
    again.close()
    assert not project.live_groups("net").exists()


def test_items_without_a_beam_shift_are_a_group_of_their_own_and_named(
    project, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warptui.engine.exporting.live.HEAL_S", 0.2)
    there, _ = afis(2, 20, 0.05)
    made = [write_item(project.root, k, 2) for k in range(22)]
    for source, (x, y) in zip(made[:20], there, strict=True):
        write_epu(Path(source.raw_path), x, y)
    bad = write_epu(Path(made[21].raw_path), 0.0, 0.0)
    whole = bad.read_text()
    bad.write_text(whole[:200])
    live = LiveListWriter(project, "net", BY_SHIFT, nothing)
    live.update({s.name: s for s in made})
    until(lambda: rows(live) == 44)
    found = groups_in(project.live_list("net"))
    assert found["m00020"] == found["m00021"] == 5
    reason = live.look()[0].reason
    assert "m00020.mrc and 1 more without a beam shift" in reason and "m00020.xml" in reason
    assert "m00020.mrc and 1 more: no beam shift was found" in caplog.text
    bad.write_text(EPU_XML.format(x=there[2][0], y=there[2][1]))  # it was not complete yet
    until(lambda: groups_in(project.live_list("net"))["m00021"] == found["m00002"])
    assert "m00020.mrc without a beam shift" in live.look()[0].reason
    live.close()


def test_what_could_not_be_read_is_in_the_list_as_soon_as_it_can(
    project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("warptui.engine.exporting.live.HEAL_S", 0.2)
    read = counted(monkeypatch, LiveListWriter, "_rows")
    live = LiveListWriter(project, "net", QUICK, nothing)
    first, second = (write_item(project.root, number, 3) for number in (1, 2))
    star = project.root / first.path
    whole = star.read_bytes()
    star.write_bytes(whole[:300])
    live.update({first.name: first})
    until(lambda: live.look() and live.look()[0].state == "failed")  # there is no list yet
    assert "m00001.mrc left out" in live.look()[0].reason
    live.update({second.name: second})
    until(lambda: rows(live) == 3)
    assert live.look()[0].state == "live" and "m00001.mrc left out" in live.look()[0].reason
    until(lambda: sum(source.name == first.name for _, source in read) > 4)  # again and again
    assert caplog.text.count("m00001.mrc: not in the live list") == 1
    star.write_bytes(whole)
    until(lambda: rows(live) == 6)
    assert not live.look()[0].reason and "m00001.mrc: is in the live list again" in caplog.text
    live.close()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("relion_star_handler") is None, reason="RELION is not installed")
def test_relion_reads_a_list_with_groups_by_beam_shift(project) -> None:
    there, _ = afis(3, 45, 0.05)
    made = [write_item(project.root, k, 2) for k in range(45)]
    for source, (x, y) in zip(made, there, strict=True):
        write_epu(Path(source.raw_path), x, y)
    live = LiveListWriter(project, "net", BY_SHIFT, nothing)
    live.update({s.name: s for s in made})
    until(lambda: rows(live) == 90)
    live.update({s.name: None for s in made[2::9]})  # a group that is not there leaves a gap
    until(lambda: rows(live) == 80)
    live.close()
    chosen = ["--select", "rlnOpticsGroup", "--minval", "5", "--maxval", "5"]
    name = project.live_list("net").name
    command = ["relion_star_handler", "--i", name, "--o", "some.star", *chosen]
    subprocess.run(command, cwd=project.root, check=True, capture_output=True)
    found = starfile.read(project.root / "some.star")
    assert len(found["particles"]) == 10
    assert "opticsGroup9" in found["optics"]["rlnOpticsGroupName"].tolist()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("relion_star_handler") is None, reason="RELION is not installed")
def test_relion_reads_lists_of_both_versions(project) -> None:
    spool = Spool(project.live_rows("net"))
    for k, box in ((1, 128), (2, 64)):
        source = write_item(project.root, k, 3, box=box)
        spool.put([(source.name, "", split_star((project.root / source.path).read_bytes(), "x"))])
    like, names, _ = alike(spool, list(spool.items))
    assert like is not None
    for version in ("3.1", "3.0"):
        write_gathered(project.root / f"{version}.star", spool, names, like=like, version=version)
    spool.close()
    chosen = ["--o", "some.star", "--select", "rlnCoordinateX", "--minval", "15"]
    for command in (
        ["relion_star_handler", "--i", "3.1.star", *chosen],
        ["relion_convert_star", "--i", "3.0.star", "--o", "new.star"],
    ):
        subprocess.run(command, cwd=project.root, check=True, capture_output=True)
    assert len(starfile.read(project.root / "some.star")["particles"]) == 4
    new = starfile.read(project.root / "new.star")
    assert len(new["particles"]) == 6 and new["optics"]["rlnImagePixelSize"].tolist() == [1.5]


def test_a_mistake_in_the_program_is_told_where_the_list_stands(project, monkeypatch) -> None:
    live = LiveListWriter(project, "net", QUICK, nothing)
    first, second = (write_item(project.root, number, 3) for number in (1, 2))
    live.update({first.name: first})
    until(lambda: rows(live) == 3)
    before = project.live_list("net").read_bytes()

    def mistaken(*_args: object, **_more: object) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr("warptui.engine.exporting.live.write_gathered", mistaken)
    live.update({second.name: second})
    until(lambda: live.look()[0].state == "failed")
    assert "stays as it was" in live.look()[0].reason and "odd" in live.look()[0].reason
    assert project.live_list("net").read_bytes() == before
    live.close()
