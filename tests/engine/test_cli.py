"""The command line as a person or a script meets it: words, exit statuses, data."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from warptui import cli
from warptui.client import Client
from warptui.commands import offline
from warptui.commands.items import run as processing
from warptui.commands.items import status as status_command
from warptui.commands.setup import card, demo, doctor
from warptui.engine.config import file
from warptui.engine.formats.mrc import write_mrc
from warptui.engine.model import codec
from warptui.engine.model.item import Choice, State
from warptui.engine.model.notices import Notice
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.summary import Summary
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store

LIVE = Path(__file__).parents[1] / "engine" / "live"
SOURCES = os.pathsep.join([str(LIVE), str(LIVE.parents[2])])  # not what is installed

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def private_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test meets an engine or an index of somebody else."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with tempfile.TemporaryDirectory(prefix="wt") as runtime:  # short, as sockets demand
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        yield


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        code = cli.main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def write_movie(path: Path, pixel_size: float = 1.25, n_frames: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = np.random.default_rng(len(path.name)).integers(1, 9, (n_frames, 16, 16))
    write_mrc(path, frames.astype(np.int16), pixel_size, mode="int16")
    return path


@pytest.fixture
def project(tmp_path: Path, run: Run) -> Path:
    """A project with three movies that no engine has seen."""
    for name in ("a.mrc", "b.mrc", "c d.mrc"):
        write_movie(tmp_path / "raw" / name)
    assert run("init", tmp_path / "p", "--input", tmp_path / "raw")[0] == 0
    path = tmp_path / "p" / "config.toml"
    text = path.read_text().replace("settle_seconds = 3.0", "settle_seconds = 0.2")
    text = text.replace("poll_seconds = 3.0", "poll_seconds = 0.2")
    path.write_text(text.replace('devices = "auto"', 'devices = "cpu"'))
    return tmp_path / "p"


def test_help_and_version(run: Run):
    code, out, _ = run("--help")
    assert code == 0
    assert all(verb in out for verb in cli.VERBS)
    assert "examples:" in out and "exit status:" in out
    assert run("--version")[1].startswith("warptui ")
    for verb in cli.VERBS:
        code, out, _ = run(verb, "--help")
        assert (code, out.startswith(f"usage: warptui {verb}")) == (0, True)


def test_a_misspelt_verb_is_guessed(run: Run):
    code, out, err = run("statsu")
    assert (code, out) == (2, "")
    assert "did you mean `warptui status`?" in err


@pytest.mark.parametrize("arguments", [["run", "--nosuch"], ["select", "p"], ["select", "p", "a"]])
def test_a_wrong_call_has_status_two(run: Run, arguments: list[str]):
    assert run(*arguments)[0] == 2


@pytest.mark.parametrize("verb", ["", "run", "status", "engine", "start"])
def test_without_settings_every_verb_says_how_to_make_them(run: Run, verb: str, tmp_path: Path):
    code, out, err = run(*([verb] if verb else []), tmp_path)
    assert (code, out) == (2, "")
    assert "warptui init" in err


@pytest.mark.parametrize("verb", ["run", "status", "engine", "start"])
def test_wrong_settings_are_told_before_anything_starts(run: Run, verb: str, project: Path):
    (project / "config.toml").write_text("[optics]\nvoltage = 5\n")
    code, out, err = run(verb, project)
    assert (code, out) == (2, "")
    assert "optics.voltage = 5: expected a number at least 10 and at most 2000 (kV)" in err


def test_init_reads_the_first_movie(run: Run, tmp_path: Path):
    write_movie(tmp_path / "raw" / "b.mrc", pixel_size=1.5)
    write_movie(tmp_path / "raw" / "a.mrc", pixel_size=0.885)
    given = ("--voltage", 200, "--diameter-angstrom", 150)
    code, out, err = run("init", tmp_path / "p", "--input", tmp_path / "raw", *given)
    assert "diameter_angstrom = 150.0" in (tmp_path / "p" / "config.toml").read_text()
    assert (code, out) == (0, "")
    assert "a.mrc: mrc, 3 frames of 16 x 16 px" in err
    assert "input.pixel_size = 0.885 (from the header of a.mrc)" in err
    assert "dose per frame unknown" in err
    found = file.read_config(tmp_path / "p")
    assert (found.input.pixel_size, found.optics.voltage) == (0.885, 200.0)
    assert found.input.folder == str(tmp_path / "raw")
    assert "# kV: acceleration voltage" in (tmp_path / "p" / "config.toml").read_text()


MDOC = """\
Voltage = 200
[FrameSet = 0]
PixelSpacing = 1.7
NumSubFrames = 3
FrameDosesAndNumber = 1.5 3
SubFramePath = D:\\frames\\a.mrc
GainReference = gain_file.mrc
"""


def test_init_believes_the_mdoc_before_the_header_and_the_user_before_both(
    run: Run, tmp_path: Path
):
    write_movie(tmp_path / "raw" / "a.mrc", pixel_size=1.0)
    (tmp_path / "raw" / "a.mrc.mdoc").write_text(MDOC)
    (tmp_path / "raw" / "gain_file.mrc").write_bytes(b"")
    code, _, err = run("init", tmp_path / "p", "--input", tmp_path / "raw", "--dose-per-frame", 2)
    assert code == 0, err
    found = file.read_config(tmp_path / "p")
    assert found.input.pixel_size == 1.7
    assert found.input.dose_per_frame == 2.0
    assert found.optics.voltage == 200.0
    assert found.input.gain == str(tmp_path / "raw" / "gain_file.mrc")
    assert "input.dose_per_frame = 1.5" not in err


def test_init_writes_paths_inside_the_project_relative(run: Run, tmp_path: Path):
    write_movie(tmp_path / "p" / "raw" / "a.mrc")
    write_movie(tmp_path / "p" / "gain_reference.mrc")
    gain = tmp_path / "p" / "gain_reference.mrc"
    assert run("init", tmp_path / "p", "--input", tmp_path / "p" / "raw", "--gain", gain)[0] == 0
    text = (tmp_path / "p" / "config.toml").read_text()
    assert 'folder = "raw"' in text and 'gain = "gain_reference.mrc"' in text


def test_init_never_overwrites(run: Run, project: Path):
    before = (project / "config.toml").read_bytes()
    code, _, err = run("init", project, "--input", project)
    assert (code, "never overwritten" in err) == (2, True)
    assert (project / "config.toml").read_bytes() == before


def test_init_refuses_what_is_not_allowed_and_writes_nothing(run: Run, tmp_path: Path):
    code, _, err = run("init", tmp_path / "p", "--input", tmp_path, "--binning", 0.5)
    assert (code, "input.binning = 0.5: expected a number at least 1" in err) == (2, True)
    assert run("init", tmp_path / "p", "--input", tmp_path / "missing")[0] == 2
    assert not (tmp_path / "p").exists()


def test_init_in_an_empty_folder_says_what_is_unknown(run: Run, tmp_path: Path):
    (tmp_path / "raw").mkdir()
    code, out, err = run("init", tmp_path / "p", "--input", tmp_path / "raw", "--json")
    assert code == 0
    assert "no movie is in" in err and "pixel size unknown" in err
    assert json.loads(out)["config"] == str(tmp_path / "p" / "config.toml")


def test_status_prints_notices_that_nobody_has_seen():
    notice = Notice(1, 0.0, "failed_item", "error", "a.tif failed: torn\noff", "a.tif")
    status = EngineStatus("running", "/p", "/r", notices=(notice,))
    (line,) = [line for line in status_command.lines(status) if line.startswith("notice")]
    assert line.endswith(r"a.tif failed: torn\noff")
    assert codec.encode(status)["notices"][0]["rule"] == "failed_item"


def test_status_without_an_engine_lists_what_waits_for_one(run: Run, project: Path):
    code, out, _ = run("status", project, "--json", "--items")
    assert code == 0
    found = json.loads(out)
    assert (found["state"], found["counts"]["queued"]) == ("no engine", 3)
    assert [row["name"] for row in found["items"]] == ["a.mrc", "b.mrc", "c d.mrc"]
    assert "items" not in json.loads(run("status", project, "--json")[1])
    code, out, _ = run("status", project, "--items")
    assert "items     3 queued" in out and "c d.mrc" in out


def test_status_mentions_settings_that_have_no_effect_on_stderr(run: Run, project: Path):
    config = project / "config.toml"
    config.write_text(config.read_text().replace('scheduler = ""', 'scheduler = "slurm"'))
    _, out, err = run("status", project, "--json")
    json.loads(out)
    assert err.count("compute.scheduler") == 1


def test_select_without_an_engine_is_stored(run: Run, project: Path):
    code, out, err = run("select", project, "a.mrc", "c*", "--exclude", "--json")
    assert (code, err) == (0, "2 items: exclude\n")
    assert json.loads(out) == {"choice": "exclude", "items": ["a.mrc", "c d.mrc"]}
    store = Store(ProjectPaths(project))
    found = {name: item.choice for name, item in store.load_all().items()}
    store.close()
    assert found == {"a.mrc": Choice.EXCLUDE, "c d.mrc": Choice.EXCLUDE}
    assert json.loads(run("status", project, "--json")[1])["choices"]["exclude"] == 2
    assert run("select", project, "a", "--auto")[0] == 0
    assert json.loads(run("status", project, "--json")[1])["choices"]["exclude"] == 1


def test_select_changes_nothing_when_one_name_is_unknown(run: Run, project: Path):
    code, _, err = run("select", project, "a.mrc", "bb.mrc", "--exclude")
    assert (code, "no item is named 'bb.mrc': did you mean 'b.mrc'?" in err) == (2, True)
    assert json.loads(run("status", project, "--json")[1])["choices"]["exclude"] == 0


def test_steering_without_an_engine(run: Run, project: Path):
    code, _, err = run("stop", project)
    assert (code, "nothing to stop" in err) == (0, True)
    for verb in ("pause", "resume"):
        code, _, err = run(verb, project)
        assert (code, "no engine runs" in err) == (2, True)


def pretended(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program with stages that only pretend, as a process of its own."""
    environment = {**os.environ, "WARPTUI_STAGES": "pretend_stages", "PYTHONPATH": SOURCES,
                   "PRETEND_FOLDER": str(project)}  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "warptui", *arguments],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_run_processes_everything_once(project: Path):
    done = pretended(project, "run", str(project), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["done"] == 3
    assert "3/3 done" in done.stderr
    assert all((project / "average" / f"{name}.mrc").exists() for name in ("a", "b", "c d"))
    written = {path: path.stat().st_mtime_ns for path in project.glob("*.xml")}
    assert len(written) == 3
    again = pretended(project, "run", str(project))
    assert (again.returncode, again.stdout) == (0, "")
    assert {path: path.stat().st_mtime_ns for path in project.glob("*.xml")} == written
    status = json.loads(pretended(project, "status", str(project), "--json", "--items").stdout)
    assert status["counts"]["done"] == 3
    assert {row["state"] for row in status["items"]} == {"done"}


@pytest.mark.slow
def test_run_lists_what_failed_and_has_status_one(project: Path, tmp_path: Path):
    write_movie(tmp_path / "raw" / "corrupt.mrc")
    done = pretended(project, "run", str(project), "--json")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert [entry["name"] for entry in answer["failed"]] == ["corrupt.mrc"]
    assert "failed: corrupt.mrc: frame 3 of 7 does not decode" in done.stderr
    assert pretended(project, "run", str(project)).returncode == 1


def test_run_refuses_a_gain_reference_that_is_not_there(project: Path, run: Run):
    path = project / "config.toml"
    path.write_text(path.read_text().replace('gain = ""', 'gain = "lost.mrc"'))
    code, _, err = run("run", project)
    assert code == 2
    assert "input.gain" in err and "lost.mrc" in err


@pytest.mark.slow
def test_a_detached_engine_is_steered(project: Path):
    try:
        assert "the engine runs" in pretended(project, "start", str(project)).stderr
        done = pretended(project, "run", str(project))
        assert (done.returncode, "an engine runs" in done.stderr) == (0, True)
        assert pretended(project, "pause", str(project)).returncode == 0
        assert json.loads(pretended(project, "status", str(project), "--json").stdout)["state"] == (
            "paused"
        )
        path = project / "config.toml"
        path.write_text(path.read_text().replace("skip_first = 0", "skip_first = 1"))
        assert pretended(project, "resume", str(project)).returncode == 0
        assert pretended(project, "run", str(project)).returncode == 0
        with Client.connect(project) as client:  # the edit was taken up and acted upon
            assert client.item("b.mrc").settings["average"]["average"]["skip_first"] == 1
            assert client.item("b.mrc").row.state is State.DONE
        assert pretended(project, "select", str(project), "a.mrc", "--exclude").returncode == 0
        rows = json.loads(pretended(project, "status", str(project), "--json", "--items").stdout)
        choices = {row["name"]: row["choice"] for row in rows["items"]}
        assert choices == {"a.mrc": "exclude", "b.mrc": "auto", "c d.mrc": "auto"}
        second = pretended(project, "engine", str(project))
        assert second.returncode == 2
    finally:
        stopped = pretended(project, "stop", str(project))
    assert "the engine stopped" in stopped.stderr


def test_the_progress_line_fits_and_tells_rate_and_rest():
    status = EngineStatus(
        "running", "/p", "/p/raw", {"done": 10, "failed": 1, "queued": 9}, rate_per_hour=540.0,
        message="two\nlines",
    )  # fmt: skip
    line = processing.progress_line(status, 200)
    assert line.startswith("[#############...........] 10/20 done · 1 failed · 540/h · 1:00 left")
    assert "\n" not in line
    assert len(processing.progress_line(status, 40)) == 40
    assert processing.progress_line(EngineStatus("idle", "", ""), 80).endswith("0/0 done")


@pytest.mark.parametrize("counts, state, finished", [
    ({"done": 2}, "idle", True),
    ({"done": 1}, "idle", False),  # a file that the engine has not seen yet
    ({"done": 2, "waiting": 1}, "idle", False),
    ({"done": 2}, "running", False),
    ({"done": 2}, "disk full", False),
    ({"failed": 1, "missing": 1}, "idle", True),
])  # fmt: skip
def test_finished_means_that_nothing_is_left(counts: dict[str, int], state: str, finished: bool):
    assert processing.is_finished(EngineStatus(state, "", "", counts), 2) is finished


def test_unknown_numbers_are_dashes_and_control_characters_visible():
    rows = [ItemRow("a\nb.mrc", 1, State.FAILED, reason="x\x1b[2J", summary={"m.v": None}),
            ItemRow("c.mrc", 2, State.DONE, summary={"m.v": 0.123})]  # fmt: skip
    found = status_command.table(rows, (Summary("m.v", "value", "Å", digits=2),))
    assert found[0] == ["name", "state", "choice", "value (Å)", "reason"]
    assert found[1] == ["a\\nb.mrc", "failed", "auto", "        -", "x\\x1b[2J"]
    assert found[2][3] == "     0.12"


def test_movies_are_found_as_the_engine_finds_them(project: Path, tmp_path: Path):
    raw = tmp_path / "raw"
    for name in ("x.txt", ".hidden.mrc", "part.mrc.tmp"):
        (raw / name).write_text("")
    (raw / "folder.mrc").mkdir()
    write_movie(raw / "sub" / "e.mrc")
    given = file.read_config(project).input
    assert [path.name for path in offline.find_movies(given)] == ["a.mrc", "b.mrc", "c d.mrc"]
    deep = given.model_copy(update={"recursive": True})
    assert "e.mrc" in [path.name for path in offline.find_movies(deep)]


def findings(out: str) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in json.loads(out)}


def test_doctor_tells_what_is_wrong(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "probe_torch", lambda: [doctor.Finding("torch", "pretended")])
    code, out, _ = run("doctor", project, "--json")
    found = findings(out)
    assert "3 movies there" in found["input"]["text"]
    assert found["settings"]["text"] == "config.toml is right"
    assert found["pixel_size"]["text"] == "1.25"
    assert "no dose weighting" in found["dose_per_frame"]["text"]
    write_movie(project / "gain.mrc", n_frames=1)
    path = project / "config.toml"
    path.write_text(path.read_text().replace('gain = ""', 'gain = "gain.mrc"'))
    assert "SHA-256" in found["picking.model"]["text"]
    own = path.read_text().replace('model = "boxnet"', 'model = "mine"')
    path.write_text(own)
    code, out, _ = run("doctor", project, "--json")
    named = findings(out)["picking.model"]
    assert (code, named["problem"]) == (2, True)
    assert "no model 'mine'" in named["text"] and "boxnet" in named["text"]
    path.write_text(own.replace('model = "mine"', 'model = "boxnet"'))
    assert "fits a.mrc" in findings(run("doctor", project, "--json")[1])["gain"]["text"]
    write_mrc(project / "gain.mrc", np.ones((8, 16), np.float32), 1.0)
    code, out, _ = run("doctor", project, "--json")
    assert (code, findings(out)["gain"]["problem"]) == (2, True)
    path.write_text("[optics]\nvoltage = 1\n")
    code, out, _ = run("doctor", project)
    assert code == 2
    assert "! settings" in out and "optics.voltage = 1" in out


def test_doctor_works_without_a_project(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "probe_torch", lambda: [doctor.Finding("torch", "pretended")])
    _, out, _ = run("doctor", tmp_path)
    assert "warptui init" in out
    assert "glyphs" in out and "⣿" in out


def test_a_broken_torch_does_not_break_the_doctor():
    crash = (sys.executable, "-c", "import os; os.kill(os.getpid(), 11)")
    (found,) = doctor.probe_torch(crash)
    assert found.problem and "signal 11" in found.text
    (found,) = doctor.probe_torch((sys.executable, "-c", "raise ImportError('no libcuda')"))
    assert found.problem and "no libcuda" in found.text


def test_the_demo_processes_while_movies_arrive(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With a simulator that only copies: the real one is slow, and tested elsewhere."""
    copy = (
        "import json, sys, time, shutil; from pathlib import Path\n"
        "out = Path(sys.argv[1]); (out / 'movies').mkdir()\n"
        f"raw = Path({str(tmp_path / 'raw')!r})\n"
        "facts = {'pixel_size': 1.5, 'dose_per_frame': 0.5, 'truncated': 'm1-corrupt.mrc'}\n"
        "(out / 'simulation.json').write_text(json.dumps(facts))\n"
        "shutil.copy(raw / 'a.mrc', out / 'gain.mrc')\n"
        "for number in range(int(sys.argv[2])):\n"
        "    shutil.copy(raw / 'b.mrc', out / 'movies' / f'.{number}.tmp')\n"
        "    name = f'm{number}-corrupt.mrc' if number == 1 else f'm{number}.mrc'\n"
        "    (out / 'movies' / f'.{number}.tmp').rename(out / 'movies' / name)\n"
        "    time.sleep(float(sys.argv[3]))\n"
    )
    monkeypatch.setattr(demo, "SIMULATE", copy)
    monkeypatch.setenv("WARPTUI_STAGES", "pretend_stages")
    monkeypatch.setenv("PYTHONPATH", SOURCES)
    monkeypatch.syspath_prepend(str(LIVE))
    monkeypatch.setenv("PRETEND_FOLDER", str(tmp_path))
    folder = tmp_path / "demo"
    code = demo.demo(folder, n_movies=3, delay_s=0.5, show_app=False, as_json=False)
    assert code == 0  # what fails on purpose is no failure of the demo
    assert len(list((folder / "average").glob("*.mrc"))) == 2
    settings = file.read_config(folder).input
    assert (settings.pixel_size, settings.dose_per_frame) == (1.5, 0.5)
    assert settings.gain == str(folder / "gain.mrc")


def test_a_simulation_that_dies_is_told_with_its_last_words(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(demo, "SIMULATE", "raise MemoryError('too little of it')")
    code, _, err = run("demo", tmp_path / "demo", "--no-app")
    assert (code, "too little of it" in err) == (2, True)


def test_numbers_have_a_point_under_a_german_locale(project: Path):
    environment = {**os.environ, "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"}
    done = subprocess.run(
        [sys.executable, "-m", "warptui", "status", str(project), "--items"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "," not in done.stdout.split("disk")[1].splitlines()[0]


def test_output_may_be_cut_off(project: Path):
    command = f"{shutil.which('head')} -c 1"
    done = subprocess.run(
        f"'{sys.executable}' -m warptui status '{project}' --items | {command}",
        shell=True, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("term", "no_color", "expected"),
    [
        ("xterm-256color", False, "quadrant"),
        ("xterm", False, "braille"),
        ("xterm", True, "braille"),
    ],
)
def test_the_card_names_the_way_of_drawing_that_the_app_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, term, no_color, expected
):
    for name in ("COLORTERM", "NO_COLOR", "TEXTUAL_COLOR_SYSTEM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", term)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("locale.getpreferredencoding", lambda _=False: "UTF-8")
    card.print_card()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert f"The app takes: {expected}." in plain
    assert f"{expected} <- app" in plain
    assert max(len(line) for line in plain.splitlines()) <= 80
    for way in ("quadrant", "half block", "braille", "ascii"):
        assert way in plain
