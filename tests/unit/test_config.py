"""config: wrong settings are named with what is allowed; the user's comments stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warptui.engine.config import file
from warptui.engine.config.sections import FilterSettings
from warptui.engine.config.settings import Config
from warptui.engine.errors import SettingsError

REPOSITORY = Path(__file__).resolve().parents[2]
PATH = Path("/project/config.toml")


def problem(text: str) -> str:
    with pytest.raises(SettingsError) as raised:
        file.parse(text, PATH)
    return str(raised.value)


@pytest.mark.parametrize(
    "text, words",
    [
        ("[motion]\nb_factor = 5", "b_factor = 5: expected a number at least -10000 and at most 0"),
        ("[motion]\nb_factr = -5.0", "b_factr = -5.0: no such setting: did you mean b_factor?"),
        ("[input]\nvoltage = 300", "input.voltage = 300: no such setting: it belongs to [optics]"),
        ("[average]\nzzz = 1", "[average] has enabled, skip_first"),
        ("[optic]\ncs = 2.7", "[optic] is no section: did you mean [optics]?"),
        ("[qwerty]\ncs = 2.7", "[qwerty] is no section: known are input, optics"),
        ("pixel_size = 1.0", "pixel_size is outside of a section: it belongs to [input]"),
        ("input = 3", "input = 3: expected a section, [input]"),
        ('[input]\npixel_size = "1,5"', 'input.pixel_size = "1,5": expected a number'),
        (
            "[optics]\namplitude_contrast = 1.2",
            "optics.amplitude_contrast = 1.2: expected a number at least 0 and at most 1",
        ),
        ("[optics]\namplitude_contrast = -0.1", "expected a number at least 0 and at most 1"),
        ("[input]\npixel_size = nan", "input.pixel_size = nan: expected a number"),
        ("[input]\npixel_size = -1", "expected a number at least 0 and at most 1000 (Å/px)"),
        ("[input]\nrecursive = 1", "input.recursive = 1: expected true or false"),
        ("[input]\nfolder = 1979-05-27", "input.folder = 1979-05-27: expected a text"),
        ("[input]\npattern = []", "input.pattern = []: expected at least one"),
        ('[input]\npattern = "*.tif"', 'input.pattern = "*.tif": expected a list'),
        ("[input]\neer_upsampling = 3", "at least 1 and at most 2"),
        ("[input]\neer_frames_per_group = 1.5", "expected a whole number"),
        ("[motion]\nlocal_grid = [5, 5]", "motion.local_grid = [5, 5]: expected a list of 3"),
        ("[motion]\nlocal_grid = [0, 5, 3]", "three whole numbers from 1 to 64"),
        ("[motion]\nlocal_grid = [5, 5, 65]", "three whole numbers from 1 to 64"),
        (
            "[motion]\nfit_min_resolution = 20.0\nfit_max_resolution = 20.0",
            "motion.fit_max_resolution = 20: expected less than motion.fit_min_resolution = 20",
        ),
        ('[average]\ndose_weighting = "warp"', 'one of "gaussian", "critical", "none"'),
        ('[compute]\ndevices = "gpu"', 'compute.devices = "gpu": expected auto, cpu, or a list'),
        ('[compute]\ndevices = ["auto"]', "expected auto, cpu, or a list"),
        ("[compute]\ndevices = [1]", "compute.devices = [1]: expected auto, cpu, or a list"),
        ("[keys]\nquit = 3", "keys.quit = 3: expected the name of a key"),
        ("[filters]\nmotion_max = -1", "expected a number at least 0 and at most 1000 (Å/frame)"),
        ("[filters]\nparticles_min = 1.5", "particles_min = 1.5: expected a whole number"),
        (
            "[filters]\ndefocus_min_um = 3.0\ndefocus_max_um = 2.0",
            "filters.defocus_min_um = 3: expected at most filters.defocus_max_um = 2",
        ),
        ("[input\n", "not valid TOML"),
        ("[input]\ngain = 'a'\ngain = 'b'", "not valid TOML"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_with_what_is_allowed(text: str, words: str):
    assert words in problem(text)


def test_every_wrong_setting_is_named_at_once():
    found = problem("[motion]\nb_factor = 5\n[input]\nbinning = 0.5\n[oops]\n")
    assert len(found.splitlines()) == 3
    assert all(line.startswith(f"{PATH}: ") for line in found.splitlines())


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("fit_min_resolution = 4.0\nfit_max_resolution = 30.0", "ctf.fit_max_resolution = 30.0:"),
        ("defocus_min_um = 6.0", "ctf.defocus_min_um = 6.0:"),
        ("fit_min_resolution = 3.0", "ctf.fit_max_resolution = 4.0:"),
        ("grid = [0, 5, 1]", "ctf.grid = [0, 5, 1]:"),
    ],
)
def test_settings_that_contradict_each_other_are_named(text: str, key: str):
    assert key in problem(f"[ctf]\n{text}")


def test_every_limit_judges_a_value_of_some_stage():
    everything = dict.fromkeys(FilterSettings.model_fields, 1)
    text = "".join(f"{key} = {value}\n" for key, value in everything.items())
    loaded = file.parse(f"[filters]\n{text}", PATH)
    assert loaded.config.filters.limits() == everything
    assert loaded.notes == ()
    off = file.parse("[filters]\nmask_max_percent = 9\n[picking]\nenabled = false\n", PATH)
    assert off.notes == ("filters.mask_max_percent has no effect: [picking] is not enabled",)


def test_a_limit_on_a_stage_that_is_switched_off_is_mentioned():
    loaded = file.parse("[filters]\nmotion_max = 1.5\n[motion]\nenabled = false\n", PATH)
    assert loaded.notes == ("filters.motion_max has no effect: [motion] is not enabled",)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"does not exist: make one with `warptui init"):
        file.load(tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path):
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="cannot be read"):
        file.load(tmp_path)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path):
    (tmp_path / "config.toml").write_text("[optics]\ncs = 0.5\n", encoding="utf-8-sig")
    assert file.read_config(tmp_path).optics.cs == 0.5


def test_paths_are_relative_to_the_folder_of_the_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/me")
    text = '[input]\nfolder = "../raw"\ngain = "~/gain.mrc"\ndefects = "/abs/defects.txt"'
    found = file.parse(text, PATH).config.input
    assert (found.folder, found.gain, found.defects) == (
        "/raw", "/home/me/gain.mrc", "/abs/defects.txt",
    )  # fmt: skip
    assert file.parse("", PATH).config.input.folder == "/project"
    assert file.parse("", PATH).config.input.gain == ""


def test_whole_numbers_do_for_numbers():
    assert file.parse("[optics]\nvoltage = 200", PATH).config.optics.voltage == 200.0


def test_the_file_in_the_repository_is_the_defaults():
    text = (REPOSITORY / "config.toml").read_text(encoding="utf-8")
    assert text == file.config_text(Config())
    loaded = file.parse(text, REPOSITORY / "config.toml")
    assert loaded.notes == ()
    defaults = Config().to_json()
    defaults["input"]["folder"] = str(REPOSITORY)
    assert loaded.config.to_json() == defaults


def test_every_setting_has_its_comment_and_every_number_its_unit():
    for line in file.config_text(Config()).splitlines():
        if " = " in line and not line.startswith(("#", "[")):
            assert " # " in line, line
    assert "# kV: acceleration voltage" in file.config_text(Config())


COMMENTED = """\
# my microscope
[optics]
cs = 2.7            # from the certificate

[input]  # first
gain = "gain.mrc"
dose_per_frame = 1.1

[ctf]
window_px = 1024    # for later
"""


def test_writing_keeps_comments_order_and_what_did_not_change(tmp_path: Path):
    path = tmp_path / "config.toml"
    path.write_text(COMMENTED)
    changes = {
        "optics": {"cs": 0.01},
        "motion": {"local_grid": [1, 1, 1]},
        "input": {"dose_per_frame": 1.1},
    }
    would_be = file.read_config(tmp_path, changes)
    assert path.read_text() == COMMENTED
    changed = file.write_config(tmp_path, changes)
    text = path.read_text()
    assert text.startswith(COMMENTED.replace("cs = 2.7 ", "cs = 0.01 "))
    assert "[motion]\nlocal_grid = [1, 1, 1]" in text
    assert file.read_config(tmp_path) == changed == would_be
    file.write_config(tmp_path, changes)
    assert path.read_text() == text


def test_a_limit_is_written_and_taken_away_again(tmp_path: Path):
    path = tmp_path / "config.toml"
    path.write_text("[filters]  # mine\nmotion_max = 1.5  # strict\n")
    changed = file.write_config(tmp_path, {"filters": {"motion_max": None, "particles_min": 20}})
    assert changed.filters == FilterSettings(particles_min=20)
    assert path.read_text() == "[filters]  # mine\nparticles_min = 20\n"


def test_none_takes_a_key_out_and_its_default_holds(tmp_path: Path):
    path = tmp_path / "config.toml"
    path.write_text(COMMENTED)
    changed = file.write_config(tmp_path, {"input": {"gain": None, "binning": None}})
    assert changed.input.gain == ""
    assert path.read_text() == COMMENTED.replace('gain = "gain.mrc"\n', "")


@pytest.mark.parametrize(
    "text",
    [
        "optics = {cs = 2.7, voltage = 200.0}\n",
        "optics.cs = 2.7\noptics.voltage = 200.0\n",
        "[optics]\r\ncs = 2.7 # ours\r\nvoltage = 200.0\r\n",
        "# nothing but this\n",
        "",
    ],
)
def test_any_way_to_write_a_section_can_be_changed(tmp_path: Path, text: str):
    path = tmp_path / "config.toml"
    path.write_bytes(text.encode())
    before = file.read_config(tmp_path)
    file.write_config(tmp_path, {"optics": {"cs": 0.5, "amplitude_contrast": 0.1}})
    found = file.read_config(tmp_path)
    assert (found.optics.cs, found.optics.amplitude_contrast) == (0.5, 0.1)
    assert found.optics.voltage == before.optics.voltage
    if "\r" in text:
        assert b"cs = 0.5 # ours\r\nvoltage = 200.0\r\n" in path.read_bytes()


def test_an_edit_on_disk_meanwhile_is_kept(tmp_path: Path):
    path = tmp_path / "config.toml"
    path.write_text("[optics]\ncs = 2.7\n")
    file.read_config(tmp_path)
    path.write_text("[optics]\ncs = 2.7\nvoltage = 120.0  # the old one\n")
    assert file.write_config(tmp_path, {"optics": {"cs": 1.0}}).optics.voltage == 120.0
    assert path.read_text() == "[optics]\ncs = 1.0\nvoltage = 120.0  # the old one\n"


@pytest.mark.parametrize(
    "text, changes, words, keys",
    [
        ("[optics]\ncs = 'big'\n", {"motion": {"b_factor": -5.0}}, "optics.cs", {"optics.cs"}),
        ("[optics]\n", {"optics": {"cs": -1.0}}, "expected a number at least 0", {"optics.cs"}),
        ("[optics]\n", {"optics": {"sc": 1.0}}, "no such setting", {"optics.sc"}),
        ("[optics]\n", {"optik": {"cs": 1.0}}, "did you mean [optics]?", {"optik"}),
        ("[optics\n", {"optics": {"cs": 1.0}}, "not valid TOML", set()),
        (
            "[motion]\nfit_min_resolution = 100.0\n",
            {"motion": {"fit_max_resolution": 200.0}},
            "expected less than motion.fit_min_resolution = 100",
            {"motion.fit_max_resolution"},
        ),
    ],
)  # fmt: skip
def test_a_wrong_file_or_change_is_refused_and_nothing_written(
    tmp_path: Path, text: str, changes: Any, words: str, keys: set[str]
):
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as raised:
        file.write_config(tmp_path, changes)
    assert words in str(raised.value)
    assert set(raised.value.problems) == keys
    assert path.read_text() == text


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "config.toml").write_text("[optics]\n")

    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file, "write_text", full)
    with pytest.raises(SettingsError, match="cannot be written: No space left"):
        file.write_config(tmp_path, {"optics": {"cs": 1.0}})


def test_writing_keeps_who_may_read_and_write(tmp_path: Path):
    path = tmp_path / "config.toml"
    path.write_text("[optics]\n")
    path.chmod(0o664)
    file.write_config(tmp_path, {"optics": {"cs": 1.0}})
    assert path.stat().st_mode & 0o777 == 0o664


values: dict[str, Any] = {
    "input": st.fixed_dictionaries({}, optional={
        "pixel_size": st.floats(0, 1000), "binning": st.floats(1, 64), "recursive": st.booleans(),
        "pattern": st.lists(st.text(min_size=1), min_size=1, max_size=3),
        "eer_frames_per_group": st.integers(1, 1000),
    }),
    "average": st.fixed_dictionaries({}, optional={"skip_first": st.integers(0, 1000)}),
    "motion": st.fixed_dictionaries({}, optional={
        "local_grid": st.tuples(*[st.integers(1, 64)] * 3).map(list),
        "b_factor": st.floats(-10000, 0),
    }),
    "filters": st.fixed_dictionaries({}, optional={
        "motion_max": st.floats(0, 1000), "particles_min": st.integers(0, 1000),
    }),
    "compute": st.fixed_dictionaries({}, optional={
        "devices": st.sampled_from(["auto", "cpu", ["cuda:0", "cuda:1"]]),
    }),
    "keys": st.dictionaries(st.text(min_size=1), st.text(min_size=1), max_size=3),
}  # fmt: skip


@given(st.fixed_dictionaries(values))
def test_any_settings_come_back_from_their_text(sections: dict[str, Any]):
    wanted = Config.from_json(sections)
    found = file.parse(file.config_text(wanted), PATH).config
    expected = wanted.to_json()
    expected["input"]["folder"] = "/project"
    assert found.to_json() == expected
