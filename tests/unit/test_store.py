"""store: what is written comes back exactly, and nothing that others wrote is lost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.work import counted
from warptui.engine.config.settings import Config
from warptui.engine.errors import InputError, OutputError
from warptui.engine.formats.warp import xml
from warptui.engine.model.item import Choice
from warptui.engine.model.stored import Failure, StageRecord, StoredItem
from warptui.engine.planning.plan import References, make_record, plan
from warptui.engine.project import item_xml, paths
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store, fingerprint
from warptui.engine.stages.registry import STAGES

pytestmark = pytest.mark.usefixtures("local_state")

N_FRAMES = 5
MOTION: dict[str, Any] = {
    "early_motion": 0.612345678901234,
    "pixel_size": 1.2,
    "shape_yx": [20, 30],
    "dose_per_frame": 1.1,
    "n_frames": N_FRAMES,
    "track_yx_angstrom": [[0.1 * frame, -0.2 * frame] for frame in range(N_FRAMES)],
    "global_yx_angstrom": [[-1.0, 2.0], [0.0, 0.25], [1.0, -2.25]],
    "local_grid": [2, 3, 2],
    "local_x_angstrom": [float(node) for node in range(12)],
    "local_y_angstrom": [-float(node) for node in range(12)],
    "notes": ["dose unknown"],
}
AVERAGE: dict[str, Any] = {"mean_electrons": 31.5, "pixel_size": 1.2, "n_frames": 5, "dose": 5.5}


def item(name: str = "a.mrc", sequence: int = 1, **changes: Any) -> StoredItem:
    """An item with motion and average done."""
    made = StoredItem(name, sequence, raw_path=f"/raw/{name}", fingerprints={"frames": "9:f"})
    for stage, result in (("motion", MOTION), ("average", AVERAGE)):
        record = make_record(
            stage, made, Config(), References({"input.gain": "gain-hash"}), "9:f", result=result,
            finished_at=1700000000.123456 + sequence, seconds=2.5, device="cuda:0",
            program_version="0.1",
        )  # fmt: skip
        made = made.with_record(record)
    return replace(made, **changes)


def reopened(project: ProjectPaths) -> dict[str, StoredItem]:
    other = Store(project)
    try:
        return other.load_all()
    finally:
        other.close()


def test_an_item_comes_back_exactly(store: Store):
    failure = Failure(
        "average", "disk <full> & 'more'\n\x01", 2, 5.5, "log\ttail", "trace", "9:f", "w"
    )
    saved = item(choice=Choice.EXCLUDE, failure=failure)
    assert store.save(saved) == saved
    assert store.load("a.mrc") == saved


def test_all_items_come_back_abridged_and_in_full_one_by_one(store: Store, project: ProjectPaths):
    saved = {f"m{number}.mrc": item(f"m{number}.mrc", number) for number in range(1, 6)}
    for entry in saved.values():
        store.save(entry)
    abridged = {name: entry.abridged() for name, entry in saved.items()}
    assert store.load_all() == abridged
    assert reopened(project) == abridged
    assert all(store.load(name) == entry for name, entry in saved.items())
    result = abridged["m1.mrc"].records["motion"].result
    assert result["early_motion"] == MOTION["early_motion"]
    assert "track_yx_angstrom" not in result


def test_saving_an_abridged_item_keeps_the_long_lists(store: Store):
    store.save(item())
    (abridged,) = store.load_all().values()
    store.save(replace(abridged, choice=Choice.INCLUDE))
    assert store.load("a.mrc") == item(choice=Choice.INCLUDE)


def test_an_abridged_result_whose_file_is_gone_is_run_again(store: Store, project: ProjectPaths):
    store.save(item())
    (abridged,) = store.load_all().values()
    project.metadata("a").unlink()
    written = store.save(abridged)
    steps = plan(written, Config(), References({"input.gain": "gain-hash"}), "9:f").steps
    assert [step.stage for step in steps] == [stage.name for stage in STAGES]


def test_warp_finds_the_motion_in_its_own_terms(store: Store, project: ProjectPaths):
    store.save(item())
    data = project.metadata("a").read_bytes()
    assert data.startswith(b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?>\n<Movie ')
    assert b"\n\t<OptionsMovement>\n\t\t<Param Name=" in data
    root = xml.parse(data)
    assert root.get("DataDirectory") == "/raw"
    assert root.get("UnselectManual") == "null"
    assert root.get("MeanFrameMovement") == "0.6123456789"
    options = xml.read_params(root, "OptionsMovement")
    assert options["GridDims"] == "2,3,3"
    assert options["Bfactor"] == "-100"
    assert options["GainHash"] == "gain-hash"
    assert float(options["RangeMin"]) == pytest.approx(2 * 1.2 / 500)
    assert float(options["RangeMax"]) == pytest.approx(2 * 1.2 / 5)
    assert (options["Dimensions"], options["DosePerAngstromFrame"]) == ("36,24,0", "1.1")
    grid_x, grid_y = (xml.read_grid(root, f"GridMovement{axis}") for axis in "XY")
    assert grid_x is not None and grid_y is not None
    assert (grid_x.width, grid_x.height, grid_x.depth) == (1, 1, 3)
    assert grid_x.values == (2.0, 0.25, -2.25)
    assert grid_y.values == (-1.0, 0.0, 1.0)
    node = root.find("GridLocalMovementX/Node[@X='1'][@Y='2'][@Z='1']")
    assert node is not None and node.get("Value") == "11"  # (1 * 3 + 2) * 2 + 1
    assert xml.read_params(root, "OptionsMovieExport")["SkipFirstN"] == "0"


def test_warp_finds_the_extraction_in_its_own_terms(store: Store, project: ProjectPaths):
    cut = item()
    result = {
        "n_particles": 3, "suffix": "boxnet", "box_size_px": 128, "diameter_angstrom": 150.0,
        "pixel_size": 2.4,
    }  # fmt: skip
    record = make_record(
        "particles", cut, Config(), References({"input.gain": "gain-hash"}), "9:f", result=result,
        finished_at=1.0, seconds=1.0, device="cpu", program_version="0",
    )  # fmt: skip
    store.save(cut.with_record(record))
    root = xml.parse(project.metadata("a").read_bytes())
    options = xml.read_params(root, "OptionsParticlesExport")
    assert (options["Suffix"], options["BoxSize"], options["Diameter"]) == ("boxnet", "128", "150")
    assert (options["Invert"], options["Normalize"], options["PreflipPhases"]) == (
        "True",
        "True",
        "False",
    )
    found = store.load("a.mrc")
    assert found is not None and found.records["particles"] == record


def test_warp_finds_the_picking_in_its_own_terms(store: Store, project: ProjectPaths):
    picked = item()
    result = {
        "n_particles": 3, "mask_percent": 2.5, "model": "boxnet", "suffix": "boxnet",
        "min_score": 0.9, "pixel_size": 1.2, "shape_yx": [20, 30],
    }  # fmt: skip
    record = make_record(
        "picking", picked, Config(), References({"input.gain": "gain-hash"}), "9:f", result=result,
        finished_at=1.0, seconds=1.0, device="cpu", program_version="0",
    )  # fmt: skip
    store.save(picked.with_record(record))
    path = project.metadata("a")
    root = xml.parse(path.read_bytes())
    assert root.get("MaskPercentage") == "2.5"
    options = xml.read_params(root, "OptionsBoxNet")
    assert (options["ModelName"], options["PickingInvert"]) == ("boxnet", "False")
    assert (options["ExpectedDiameter"], options["MinimumScore"]) == ("200", "0.95")
    assert (options["MinimumMaskDistance"], options["ExportParticles"]) == ("0", "False")
    assert (options["GainHash"], options["Dimensions"]) == ("gain-hash", "36,24,0")
    assert xml.read_thresholds(root) == {"boxnet": 0.9}
    names = [child.tag for child in root]
    assert names.index("OptionsBoxNet") < names.index("OptionsMovieExport")
    assert names.index("PickingThresholds") == names.index("Warptui") - 1
    # what Warp keeps there besides stays, and picks of other models keep their thresholds
    xml.set_params(root, "OptionsBoxNet", {"ExportBoxSize": 128})
    xml.set_threshold(root, "other", 0.3)
    path.write_bytes(xml.to_bytes(root))
    found = store.load("a.mrc")
    assert found is not None and found.records["picking"] == record
    again = replace(record, result={**result, "min_score": 0.7})
    store.save(replace(found, records={**found.records, "picking": again}))
    root = xml.parse(path.read_bytes())
    assert xml.read_params(root, "OptionsBoxNet")["ExportBoxSize"] == "128"
    assert xml.read_thresholds(root) == {"other": 0.3, "boxnet": 0.7}


def test_an_unknown_motion_is_not_written_as_a_number(store: Store, project: ProjectPaths):
    unknown = item()
    record = unknown.records["motion"]
    result = {**record.result, "early_motion": None}
    store.save(unknown.with_record(replace(record, result=result)))
    assert "MeanFrameMovement" not in xml.parse(project.metadata("a").read_bytes()).attrib


def test_our_elements_cannot_be_mistaken_for_warps(store: Store, project: ProjectPaths):
    store.save(item(failure=Failure("motion", "x", 1, 1.0)))
    root = xml.parse(project.metadata("a").read_bytes())
    ours = root.find("Warptui")
    assert ours is not None
    inner = {child.tag for child in ours.iter()} - {"Warptui"}
    warps = {*xml.MOVIE_ORDER, "Param", "Node", "Angles", "Dose", "MoviePath", "Threshold"}
    assert inner.isdisjoint(warps)


WARPS = (
    b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?>\n<Movie DataDirectory="/warp" '
    b'UnselectFilter="True" UnselectManual="True" CTFResolutionEstimate="4.1" New="yes">'
    b'<OptionsCTF><Param Name="Window" Value="512" /></OptionsCTF>'
    b'<GridCTF Width="1" Height="1" Depth="1"><Node X="0" Y="0" Z="0" Value="1.25" /></GridCTF>'
    b"<GridBeamTiltX/><PyramidShiftX/><Unheard a='1'><Deep>text</Deep></Unheard></Movie>"
)


def test_a_file_of_warps_is_outdated_and_its_choice_honoured(store: Store, project: ProjectPaths):
    project.metadata("a").write_bytes(WARPS)
    assert store.load_all() == {}  # it names no raw file
    found = store.load("a.tif")
    assert found is not None
    assert (found.name, found.choice, found.records) == ("a.tif", Choice.EXCLUDE, {})
    assert found.problem == "processed by Warp, not by warptui"


def test_what_warp_and_m_wrote_is_kept(store: Store, project: ProjectPaths):
    project.metadata("a").write_bytes(WARPS)
    store.save(item(choice=Choice.INCLUDE))
    root = xml.parse(project.metadata("a").read_bytes())
    assert (root.get("New"), root.get("CTFResolutionEstimate")) == ("yes", "4.1")
    assert root.get("UnselectManual") == "False"
    assert root.findtext("Unheard/Deep") == "text"
    assert xml.read_grid(root, "GridCTF") == xml.Grid(1, 1, 1, (1.25,))
    assert root.find("PyramidShiftX") is not None
    assert root.find("GridBeamTiltX") is not None


def test_a_choice_alone_does_not_make_warps_file_ours(store: Store, project: ProjectPaths):
    project.metadata("a").write_bytes(WARPS)
    store.save(StoredItem("a.tif", 3, Choice.INCLUDE))
    found = store.load_all()["a.tif"]
    assert (found.choice, found.problem) == (Choice.INCLUDE, "processed by Warp, not by warptui")


def test_a_choice_that_warp_made_since_counts(store: Store, project: ProjectPaths):
    store.save(item())
    path = project.metadata("a")
    path.write_bytes(path.read_bytes().replace(b'Manual="null"', b'Manual="False"'))
    assert store.load_all()["a.mrc"].choice is Choice.INCLUDE


@pytest.mark.shared
def test_tilt_series_are_neither_listed_nor_touched(
    store: Store, project: ProjectPaths, shared_data: Path
):
    data = (shared_data / "metadata" / "warp" / "TS_1.xml").read_bytes()
    project.metadata("TS_1").write_bytes(data)
    assert store.load_all() == {}
    assert store.load("TS_1.mrc") is None
    with pytest.raises(OutputError, match="TiltSeries"):
        store.save(item("TS_1.mrc"))
    assert project.metadata("TS_1").read_bytes() == data


DAMAGE = {
    "empty": lambda data: b"",
    "zeros": lambda data: b"\0" * len(data),
    "cut early": lambda data: data[:50],
    "cut in the middle": lambda data: data[: len(data) // 2],
    "cut late": lambda data: data[:-5],
    "noise": lambda data: os.urandom(300),
    "decimal commas": lambda data: re.sub(rb'Value="(-?\d+)\.(\d+)"', rb'Value="\1,\2"', data),
    "records of a newer version": lambda data: data.replace(b'Format="1"', b'Format="99"'),
    "record of wrong types": lambda data: re.sub(
        rb'"finished_at":[0-9.]+', b'"finished_at":null', data
    ),
    "broken record": lambda data: data.replace(b'"finished_at"', b'"finished_when"'),
    "record that is no JSON": lambda data: data.replace(b'{"stage"', b'"stage"'),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_replaced_by_its_backup(store: Store, project: ProjectPaths, kind: str):
    store.save(item(choice=Choice.INCLUDE))
    store.save(item(choice=Choice.INCLUDE, sequence=2))
    path = project.metadata("a")
    path.write_bytes(DAMAGE[kind](path.read_bytes()))
    found = store.load("a.mrc")
    assert found is not None
    assert found.records == item().records
    assert "a.xml" in found.problem and "its backup is used" in found.problem
    assert found.choice is Choice.INCLUDE
    assert store.load_all() == {"a.mrc": found.abridged()}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_without_backup_is_outdated_with_a_reason(
    store: Store, project: ProjectPaths, kind: str
):
    store.save(item())
    store.save(item("b.mrc", 2))
    path = project.metadata("a")
    path.write_bytes(DAMAGE[kind](path.read_bytes()))
    assert set(store.load_all()) == {"b.mrc"}
    found = store.load("a.mrc")
    assert found is not None
    steps = plan(found, Config(), References({"input.gain": "gain-hash"}), "9:f").steps
    assert [step.stage for step in steps] == [stage.name for stage in STAGES]
    assert steps[0].reason.startswith("a.xml: ")


def test_a_damaged_file_is_kept_aside_when_the_item_is_stored_again(
    store: Store, project: ProjectPaths
):
    store.save(item())
    store.save(item(sequence=2))
    backup = project.metadata_backup("a").read_bytes()
    newer = project.metadata("a").read_bytes().replace(b'Format="1"', b'Format="99"')
    project.metadata("a").write_bytes(newer)
    store.save(item(sequence=3))
    assert project.metadata_unreadable("a").read_bytes() == newer
    assert project.metadata_backup("a").read_bytes() == backup
    assert store.load("a.mrc") == item(sequence=3)


def test_the_exclusion_in_a_truncated_file_is_honoured(store: Store, project: ProjectPaths):
    store.save(item(choice=Choice.EXCLUDE))
    path = project.metadata("a")
    path.write_bytes(path.read_bytes()[:700])
    found = store.load("a.mrc")
    assert found is not None
    assert found.choice is Choice.EXCLUDE


def test_the_backup_is_the_previous_readable_version(store: Store, project: ProjectPaths):
    store.save(item())
    first = project.metadata("a").read_bytes()
    assert not project.metadata_backup("a").exists()
    store.save(item(choice=Choice.EXCLUDE))
    assert project.metadata_backup("a").read_bytes() == first
    store.save(item(choice=Choice.EXCLUDE))  # the same again writes nothing
    assert project.metadata_backup("a").read_bytes() == first


def test_a_result_that_is_not_finite_is_refused(store: Store, project: ProjectPaths):
    bad = item()
    result = {**MOTION, "early_motion": float("nan")}
    with pytest.raises(OutputError, match=r"a\.mrc: a result is not finite"):
        store.save(bad.with_record(replace(bad.records["motion"], result=result)))
    assert not project.metadata("a").exists()


def test_a_write_that_fails_leaves_the_previous_version(
    store: Store, project: ProjectPaths, monkeypatch: pytest.MonkeyPatch
):
    store.save(item())
    before = project.metadata("a").read_bytes()

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", no_space)
        with pytest.raises(OSError, match="No space"):
            store.save(item(choice=Choice.EXCLUDE))
    assert project.metadata("a").read_bytes() == before
    assert [path.name for path in project.root.iterdir() if path.is_file()] == ["a.xml"]


@pytest.mark.parametrize("how", ["deleted", "noise", "emptied", "foreign"])
def test_the_index_may_be_lost_at_any_time(store: Store, project: ProjectPaths, how: str):
    store.save(item())
    index = paths.index_path(project.root)
    for path in index.parent.glob(index.name + "*"):
        path.unlink() if how == "deleted" else path.write_bytes(
            {"noise": os.urandom(9000), "emptied": b"", "foreign": b"SQLite format 3\0" * 300}[how]
        )
    assert reopened(project) == {"a.mrc": item().abridged()}
    store.save(item(choice=Choice.EXCLUDE))
    assert store.load_all() == {"a.mrc": item(choice=Choice.EXCLUDE).abridged()}


def test_without_a_place_for_the_index_everything_works(
    project: ProjectPaths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(paths, "index_path", lambda _: tmp_path / "missing" / "x.sqlite")
    store = Store(project)
    store.save(item())
    assert store.load_all() == {"a.mrc": item().abridged()}
    store.close()


def test_a_file_changed_behind_our_back_is_read_again(store: Store, project: ProjectPaths):
    store.save(item())
    assert store.load_all()["a.mrc"].choice is Choice.AUTO
    path = project.metadata("a")
    times = path.stat()
    data = path.read_bytes().replace(b'Manual="null"', b'Manual="True"')
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert store.load_all()["a.mrc"].choice is Choice.EXCLUDE
    path.unlink()
    assert store.load_all() == {}


def test_a_copied_metadata_file_does_not_double_an_item(store: Store, project: ProjectPaths):
    store.save(item())
    project.metadata("copy").write_bytes(project.metadata("a").read_bytes())
    assert set(store.load_all()) == {"a.mrc"}


@pytest.mark.parametrize(
    "name",
    ["a b.mrc", "it's \"#1\".mrc", "line\nbreak.mrc", "é\u0301ü漢字.mrc", "-rf.mrc", "a.b.c.tif",
     "<&>.mrc", "bad\udcff.mrc", "x" * 251 + ".mrc", " lead.mrc", "tab\t.mrc"],
)  # fmt: skip
def test_odd_names_come_back(store: Store, project: ProjectPaths, name: str):
    saved = item(name)
    store.save(saved)
    store.save(replace(saved, choice=Choice.EXCLUDE))
    assert store.load(name) == replace(saved, choice=Choice.EXCLUDE)
    assert set(store.load_all()) == {name}
    assert set(reopened(project)) == {name}


def test_names_that_differ_only_in_unicode_form_are_two_items(store: Store):
    composed, decomposed = "\u00e9.mrc", "e\u0301.mrc"
    store.save(item(composed, 1))
    store.save(item(decomposed, 2))
    assert {name: entry.sequence for name, entry in store.load_all().items()} == {
        composed: 1,
        decomposed: 2,
    }


def test_threads_may_save_and_load_at_once(store: Store):
    def work(first: int) -> None:
        for number in range(first, first + 10):
            store.save(item(f"m{number}.mrc", number + 1))
            store.load_all()

    threads = [threading.Thread(target=work, args=(10 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.load_all()) == 40


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
dictionaries = st.dictionaries(st.text(), json_values, max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        StageRecord, stage=st.text(min_size=1), version=st.integers(1, 9), settings=dictionaries,
        sections=st.dictionaries(st.text(), dictionaries, max_size=2), result=dictionaries,
        finished_at=st.floats(0, 2e9), seconds=st.floats(0, 1e5), device=st.text(),
        program_version=st.text(),
        fingerprints=st.dictionaries(st.text(), st.text(min_size=1), max_size=2),
        needs=st.dictionaries(st.text(), st.text(), max_size=2), abridged=st.just(False),
    ),
    st.sampled_from(Choice),
    st.text(),
)  # fmt: skip
def test_any_record_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, record: StageRecord, choice: Choice, raw_path: str
):
    root = tmp_path_factory.mktemp("any")
    store = Store(ProjectPaths(root))
    try:
        stage = re.sub("[^a-z]", "x", record.stage.lower())
        saved = StoredItem("a.mrc", 1, choice, raw_path.replace("\0", "")).with_record(
            replace(record, stage=stage)
        )
        store.save(saved)
        assert store.load("a.mrc") == saved
    finally:
        store.close()


def test_numbers_have_a_point_under_every_locale(project: ProjectPaths):
    """A program's own locale must not reach the file (and no setlocale may creep in)."""
    code = (
        "import locale, sys; from pathlib import Path\n"
        "try: locale.setlocale(locale.LC_ALL, '')\n"
        "except locale.Error: pass\n"
        "locale.localeconv = lambda: {'decimal_point': ','}\n"
        "sys.path.insert(0, sys.argv[2]); from test_store import *\n"
        "store = Store(ProjectPaths(Path(sys.argv[1]))); store.save(item()); store.close()\n"
    )
    environment = {**os.environ, "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"}
    here = str(Path(__file__).parent)
    subprocess.run(
        [sys.executable, "-c", code, str(project.root), here], env=environment, check=True
    )
    (found,) = reopened(project).values()
    assert found == item().abridged()
    text = project.metadata("a").read_text(encoding="utf-8-sig")
    assert 'MeanFrameMovement="0.6123456789"' in text


def test_a_fingerprint_sees_size_head_and_tail(tmp_path: Path):
    path = tmp_path / "raw.mrc"
    data = os.urandom(3_000_000)

    def of(content: bytes) -> str:
        path.write_bytes(content)
        return fingerprint(path)

    first = of(data)
    assert of(data) == first
    assert of(bytes([data[0] ^ 1]) + data[1:]) != first
    assert of(data[:-1] + bytes([data[-1] ^ 1])) != first
    assert of(data + b"\0") != first
    assert of(b"") != of(b"x")


def test_a_pipe_or_folder_has_no_fingerprint_and_does_not_block(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.mrc")
    with pytest.raises(InputError):
        fingerprint(tmp_path / "pipe.mrc")
    with pytest.raises((InputError, IsADirectoryError)):
        fingerprint(tmp_path)


def test_a_replaced_raw_file_is_noticed_though_its_times_and_size_are_the_same(
    store: Store, project: ProjectPaths
):
    raw = project.root / "raw.mrc"
    raw.write_bytes(b"a" * 1000)
    times = raw.stat()
    first = store.cached_fingerprint(raw)
    assert store.cached_fingerprint(raw) == first
    while raw.stat().st_ctime_ns == times.st_ctime_ns:  # the kernel's clock for it ticks slowly
        raw.write_bytes(b"b" * 1000)
    os.utime(raw, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert store.cached_fingerprint(raw) != first


def test_a_name_that_is_no_text_has_a_fingerprint_too(store: Store, project: ProjectPaths):
    raw = project.root / "bad\udcff.mrc"
    raw.write_bytes(b"x")
    assert store.cached_fingerprint(raw) == store.cached_fingerprint(raw) == fingerprint(raw)


def test_history_does_not_grow_for_ever():
    grown = item()
    for number in range(300):
        record = replace(grown.records["motion"], finished_at=float(number))
        grown = grown.with_record(record)
    assert len(grown.history) == 100
    assert grown.history[-1]["finished_at"] == 299.0


def test_metadata_is_scanned_once_and_then_read_from_the_index(
    store: Store, project: ProjectPaths, monkeypatch: pytest.MonkeyPatch
):
    store.save(item())
    template = project.metadata("a").read_text(encoding="utf-8-sig")
    for number in range(200):
        text = template.replace("a.mrc", f"m{number}.mrc")
        project.metadata(f"m{number}").write_text(text, encoding="utf-8-sig")
    scanned = counted(monkeypatch, item_xml, "scan_item")
    parsed = counted(monkeypatch, xml, "parse")  # all of it: twenty times as long
    found = []
    for expected in (200, 0):  # the first time, and with the index
        scanned.clear()
        other = Store(project)
        found.append(other.load_all())
        other.close()
        assert len(scanned) == expected and not parsed
    assert found[0] == found[1] and len(found[0]) == 201


def test_what_another_program_refined_survives_another_choice(store: Store, project: ProjectPaths):
    store.save(item())
    path = project.metadata("a")
    root = xml.parse(path.read_bytes())
    refined = xml.Grid(1, 1, 1, (7.5,))
    xml.set_grid(root, "GridMovementX", refined)
    path.write_bytes(xml.to_bytes(root))
    store.save(item(choice=Choice.EXCLUDE))
    root = xml.parse(path.read_bytes())
    assert xml.read_grid(root, "GridMovementX") == refined
    assert root.get("UnselectManual") == "True"
    store.save(item(sequence=2))  # another run
    root = xml.parse(path.read_bytes())
    assert xml.read_grid(root, "GridMovementX") != refined
