"""What an added stage must reach; run by `test_invented_movie_stage` where it is registered."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from docs import generate
from warptui.commands import offline
from warptui.engine.config import file
from warptui.engine.config.checks import SECTIONS
from warptui.engine.config.settings import Config
from warptui.engine.errors import SettingsError
from warptui.engine.formats.mrc import write_mrc
from warptui.engine.formats.writing import temporary
from warptui.engine.items.detail import read_detail
from warptui.engine.items.table import ItemTable
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store
from warptui.engine.project.temporary_files import find_leftovers
from warptui.engine.stages.registry import STAGES
from warptui.screens.settings.form import Draft, Kind, all_fields
from warptui.screens.stages import VIEWS
from warptui.screens.stages.view import Loaded
from warptui.screens.widgets.pictures.image import Picture

STAGE = STAGES[-1]
OFF = "".join(f"[{name}]\nenabled = false\n" for name in ("ctf", "picking", "particles"))
INPUT = '[input]\nfolder = "raw"\npixel_size = 2.0\nsettle_seconds = 0.0\n'
COMPUTE = '[compute]\ndevices = "cpu"\nthreads = 1\n'
OWN = '[brightness]\nusual = "usual.txt"\n'
SIDE, FRAMES = 128, 6


@dataclass(frozen=True)
class Session:
    """A project that was processed."""

    folder: Path

    def write(self, more: str = "", own: str = OWN) -> None:
        """Write config.toml."""
        (self.folder / "config.toml").write_text(INPUT + COMPUTE + OFF + own + more)

    def table(self) -> ItemTable:
        """All items as an engine would see them now."""
        return offline.load_table(self.folder)[0]

    def call(self, *words: str) -> None:
        """Call a verb of the command line."""
        done = subprocess.run(
            [sys.executable, "-m", "warptui", *words, str(self.folder)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """One small movie of shot noise, brighter on its left, processed by a real engine."""
    made = Session(tmp_path_factory.mktemp("session"))
    (made.folder / "raw").mkdir()
    (made.folder / "usual.txt").write_text("6.0\n")
    random = np.random.default_rng(1)
    rate = np.broadcast_to(np.linspace(1.2, 0.8, SIDE), (FRAMES, SIDE, SIDE))
    frames = random.poisson(rate).astype(np.float32)
    write_mrc(made.folder / "raw" / "a.mrc", frames, 2.0)
    made.write()
    made.call("run")
    return made


def test_its_settings_are_in_the_form_and_in_config_toml():
    own = {field.key: field for field in all_fields() if field.section == "brightness"}
    assert list(own) == ["enabled", "blocks", "low", "high", "usual"]
    assert own["usual"].kind is Kind.PATH and own["blocks"].unit == "blocks"
    text = file.config_text(Config())
    assert "[brightness]" in text and "# blocks: blocks along each side of the picture" in text
    assert "# brightness_min = 5.0" in text  # a limit that is not set, by its example


def test_its_limits_come_after_those_of_the_other_stages():
    keys = list(SECTIONS["filters"].model_fields)
    assert keys[-2:] == ["brightness_min", "unevenness_max"] and "motion_max" in keys[:-2]
    info = SECTIONS["filters"].model_fields["brightness_min"]
    assert (info.description, info.examples) == ("darkest average", [5.0])


def test_contradictions_of_its_settings_are_named(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"brightness\.low = 3: expected less than .*= 1\.5"):
        file.parse("[brightness]\nlow = 3.0\n", tmp_path / "config.toml")
    draft = Draft(all_fields(), {"brightness": {"low": 3.0}}, tmp_path)
    assert "brightness.low" in draft.check()


def test_its_path_is_relative_to_the_project(tmp_path: Path):
    found = file.parse(OWN, tmp_path / "config.toml").config.stage("brightness")
    assert found.model_dump()["usual"] == str(tmp_path / "usual.txt")


def test_it_ran_and_its_result_is_a_column(session: Session):
    table = session.table()
    row = table.row(table.entries["a.mrc"])
    assert str(row.state) == "done"
    assert row.summary["brightness.mean"] == pytest.approx(FRAMES, rel=0.05)
    uneven = row.summary["brightness.unevenness"]
    assert uneven is not None and 0.08 < uneven < 0.16  # a ramp of ±20 %: 0.115
    status = offline.status(session.folder, table, "")
    assert "brightness.mean" in {entry.key for entry in status.summaries}


def test_it_is_planned_again_when_settings_version_or_reference_change(session: Session):
    def reasons() -> dict[str, str]:
        table = session.table()
        return {step.stage: step.reason for step in table.steps(table.entries["a.mrc"])}

    assert reasons() == {}
    session.write(own=OWN + "blocks = 16\n")
    assert reasons() == {"brightness": "brightness.blocks 8 -> 16"}
    session.write()
    (session.folder / "usual.txt").write_text("7.0\n")
    assert reasons() == {"brightness": "file with the usual brightness replaced"}
    (session.folder / "usual.txt").write_text("6.0\n")
    (session.folder / "moved.txt").write_text("6.0\n")
    session.write(own=OWN.replace("usual.txt", "moved.txt"))
    assert reasons() == {}  # the content decides
    session.write(own=OWN + "[average]\nskip_first = 1\n")
    assert reasons()["brightness"] == "needs average, which must run"
    session.write()
    assert reasons() == {}


def test_a_limit_on_its_value_takes_items_out(session: Session):
    session.write("[filters]\nbrightness_min = 100.0\n")
    table = session.table()
    row = table.row(table.entries["a.mrc"])
    assert row.filtered and "bright " in row.reason and "< 100 e/px" in row.reason
    session.write()
    assert table.row(table.entries["a.mrc"]).filtered
    again = session.table()
    assert again.row(again.entries["a.mrc"]).selected


def test_its_part_of_warps_xml_is_written_before_our_own(session: Session):
    text = (session.folder / "a.xml").read_text(encoding="utf-8-sig")
    assert '<Param Name="Mean" Value="' in text.partition("<OptionsBrightness>")[2]
    assert text.index("OptionsMovieExport") < text.index("OptionsBrightness")
    assert text.index("OptionsBrightness") < text.index("<Warptui")


def test_the_item_screen_shows_its_picture(session: Session):
    table = session.table()
    known = table.known_detail(table.entries["a.mrc"])
    paths = ProjectPaths(session.folder)
    store = Store(paths)
    detail = read_detail(known, paths, store.load)
    store.close()
    assert detail.path("brightness map").endswith("thumbnails/brightness/a.npy")
    view = next(view for view in VIEWS if view.stage == "brightness")
    (pane,) = view.panes
    picture = pane.content(Loaded(detail, {"brightness": view.read(detail)}))
    assert isinstance(picture, Picture) and picture.pixels.shape == (8, 8)
    assert picture.pixels[:, 0].mean() > picture.pixels[:, -1].mean() + 50
    absent = pane.content(Loaded(replace(detail, paths={}), {"brightness": {}}))
    assert absent == "no brightness map yet"


def test_its_leftovers_are_found(tmp_path: Path):
    left = temporary(STAGE.products[0].path(tmp_path, "a"))
    left.parent.mkdir(parents=True)
    left.touch()
    assert [*find_leftovers(tmp_path)] == [left]


def test_the_report_shows_its_values(session: Session):
    session.call("report")
    page = (session.folder / "report.html").read_text()
    assert "bright, e/px" in page and "uneven" in page
    assert "darkest average" not in page  # no limit is set


def test_its_settings_and_values_are_rows_of_the_generated_pages():
    settings, values = generate.settings_page(), generate.values_page()
    assert "| `brightness.blocks` | `8` | blocks | blocks along each side of the pic" in settings
    assert "| `filters.unevenness_max` | not set |  | most uneven lighting |" in settings
    assert "| `brightness.mean` | bright | e/px | mean of the average |" in values
