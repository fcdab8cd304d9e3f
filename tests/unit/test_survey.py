"""What a folder holds before there are settings."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from warptui import cli
from warptui.commands.setup.survey import find_gains, find_layout
from warptui.engine.config import file
from warptui.engine.errors import EngineError
from warptui.engine.formats.mrc import write_mrc
from warptui.screens.setup.survey import survey


def write_tiff(path: Path, n_frames: int = 4, shape: tuple[int, int] = (16, 20)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = np.random.default_rng(1).integers(0, 5, (n_frames, *shape), dtype=np.uint8)
    tifffile.imwrite(path, frames, photometric="minisblack")
    return path


def write_sum(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mrc(path, np.ones((16, 20), np.float32), 1.0)
    return path


@pytest.fixture
def epu(tmp_path: Path) -> Path:
    for square in ("GridSquare_1", "GridSquare_2"):
        data = tmp_path / "epu" / "Images-Disc1" / square / "Data"
        write_tiff(data / f"FoilHole_{square[-1]}_Data_1_Fractions.tiff")
        write_sum(data / f"FoilHole_{square[-1]}_Data_1.mrc")
    return tmp_path / "epu"


@pytest.fixture
def serialem(tmp_path: Path) -> Path:
    for number in range(3):
        write_tiff(tmp_path / "sem" / "frames" / f"g_{number}.tif")
    write_sum(tmp_path / "sem" / "frames" / "CountRef_1.mrc")
    write_sum(tmp_path / "sem" / "grid_map.mrc")
    return tmp_path / "sem"


def test_epus_fractions_are_found_in_all_grid_squares_without_their_sums(epu: Path) -> None:
    layout = find_layout(epu)
    assert (layout.folder, layout.recursive) == (epu / "Images-Disc1", True)
    assert (layout.pattern, layout.n_movies) == (("*_fractions.tiff",), 2)
    assert "2 of *.mrc" in layout.notes[0]


def test_with_one_grid_square_so_far_others_are_expected(tmp_path: Path) -> None:
    write_tiff(tmp_path / "Images-Disc1" / "GridSquare_1" / "Data" / "a_Fractions.tiff")
    layout = find_layout(tmp_path)
    assert (layout.folder, layout.recursive) == (tmp_path / "Images-Disc1", True)


def test_serialems_frames_are_told_from_maps_and_references(serialem: Path) -> None:
    layout = find_layout(serialem)
    assert (layout.folder, layout.recursive) == (serialem / "frames", False)
    assert (layout.pattern, layout.n_movies) == (("*.tif",), 3)


def test_movies_in_the_folder_itself_need_no_words(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif")
    layout = find_layout(tmp_path)
    assert (layout.folder, layout.recursive, layout.pattern, layout.notes) == (
        tmp_path, False, (), (),
    )  # fmt: skip
    assert find_layout(tmp_path / "a.tif").n_movies == 0


def test_results_of_a_session_are_no_movies(tmp_path: Path) -> None:
    (tmp_path / "config.toml").touch()
    write_sum(tmp_path / "average" / "a.mrc")
    write_tiff(tmp_path / "a.tif")
    assert find_layout(tmp_path).n_movies == 1


def test_gain_references_that_fit_come_first_and_others_say_what_would_fit(tmp_path: Path) -> None:
    movie = write_tiff(tmp_path / "frames" / "a.tif")
    tifffile.imwrite(tmp_path / "a_gain.tif", np.ones((20, 16), np.float32))
    tifffile.imwrite(tmp_path / "b_gain.tif", np.ones((16, 20), np.float32))
    (tmp_path / "c.gain").write_text("no image")
    gains = find_gains(movie, (16, 20), "tif", [])
    assert [(gain.path.name, gain.fits) for gain in gains] == [
        ("b_gain.tif", True), ("a_gain.tif", False), ("c.gain", False),
    ]  # fmt: skip
    assert "gain_transpose" in gains[1].text


def test_init_finds_the_movies_below_and_writes_what_it_told(
    epu: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["init", str(tmp_path / "p"), "--input", str(epu)]
    assert cli.main([*arguments, "--dry-run", "--json"]) == 0
    said = capsys.readouterr()
    assert "would write" in said.err
    assert not (tmp_path / "p").exists()
    told = json.loads(said.out)
    assert cli.main(arguments) == 0
    given = file.read_config(tmp_path / "p").input
    assert given.folder == told["settings"]["input"]["folder"] == str(epu / "Images-Disc1")
    assert (given.recursive, given.pattern) == (True, ("*_fractions.tiff",))


def test_what_the_user_says_about_names_counts_most(
    epu: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["init", str(tmp_path / "p"), "--input", str(epu), "--pattern", "*.eer"]
    assert cli.main(arguments) == 0
    given = file.read_config(tmp_path / "p").input
    assert (given.folder, given.recursive, given.pattern) == (str(epu), False, ("*.eer",))
    assert "no movie is in" in capsys.readouterr().err


def test_the_app_asks_in_a_process_of_its_own(serialem: Path, tmp_path: Path) -> None:
    told = survey(tmp_path / "p", serialem, {})
    assert told.facts == {
        "format": "tiff", "n_frames": 4, "width": 20, "height": 16, "n_movies": 3,
    }  # fmt: skip
    assert Path(told.movie).name == "g_0.tif"
    assert [Path(gain["path"]).name for gain in told.gains if gain["fits"]] == ["CountRef_1.mrc"]
    assert not (tmp_path / "p").exists()
    with pytest.raises(EngineError, match="expected a folder that is there"):
        survey(tmp_path / "p", tmp_path / "nowhere", {})


def test_without_a_terminal_the_message_says_to_use_init(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([str(tmp_path)]) == 2
    assert "warptui init" in capsys.readouterr().err


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_without_settings_opens_the_first_page_and_then_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    from warptui import app
    from warptui.screens import leaving
    from warptui.screens.setup import screen

    opened: list[Path] = []

    def page(folder: Path) -> object:
        class Answer:
            made: Path | None = None

            def run(self) -> None:
                if made:
                    (tmp_path / "p").mkdir()
                    (tmp_path / "p" / "config.toml").touch()
                    self.made = tmp_path / "p"

        return Answer()

    monkeypatch.setattr(cli, "_can_show", lambda: True)
    monkeypatch.setattr(screen, "FirstRunApp", page)
    run: Callable[..., int] = lambda project, *_: opened.append(project) or 0  # noqa: E731
    monkeypatch.setattr(app, "run_app", run)
    monkeypatch.setattr(leaving, "leave", sys.exit)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp/w")
    if made:
        with pytest.raises(SystemExit, match=r"^0$"):
            cli.main([str(tmp_path)])
    else:
        assert cli.main([str(tmp_path)]) == 0
    assert opened == ([tmp_path / "p"] if made else [])
