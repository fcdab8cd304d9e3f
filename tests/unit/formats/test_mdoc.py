"""mdocs: any order, missing keys, Windows paths, partial files."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warptui.engine.errors import InputError
from warptui.engine.formats.acquisition.mdoc import (
    basename,
    find_mdoc,
    movie_facts,
    parse_mdoc,
    read_mdoc,
)

FRAME_SET = {
    "GainReference": r"D:\refs\SuperRef_a.dm4",
    "DefectFile": "defects_a.txt",
    "TiltAngle": "-3.01",
    "PixelSpacing": "0.82",
    "Binning": "1",
    "ExposureDose": "40.0",
    "SubFramePath": r"X:\Users\Some One\raw\movie 1.tif",
    "NumSubFrames": "40",
    "FrameDosesAndNumber": "0.98 40",
    "DateTime": "25-Sep-23  14:13:26",
}


def text_of(entries: dict[str, str], head: str = "Voltage = 300\n") -> str:
    return (
        head + "\n[FrameSet = 0]\n" + "".join(f"{key} = {entries[key]}\n" for key in entries) + "\n"
    )


def facts_of(tmp_path, entries, name="movie 1.tif"):
    (tmp_path / (name + ".mdoc")).write_text(text_of(entries))
    return movie_facts(tmp_path / name)


@given(st.permutations(sorted(FRAME_SET)))
def test_the_order_of_keys_does_not_matter(order):
    mdoc = parse_mdoc(text_of({key: FRAME_SET[key] for key in order}))
    assert mdoc.sections[0].entries == FRAME_SET


def test_a_movie_learns_everything_from_its_frame_set(tmp_path):
    facts = facts_of(tmp_path, FRAME_SET)
    assert facts is not None
    assert facts.pixel_size == 0.82
    assert facts.n_frames == 40
    assert facts.dose_per_frame == pytest.approx(0.98)
    assert facts.voltage == 300
    assert facts.tilt_angle_deg == -3.01
    assert facts.gain_reference == "SuperRef_a.dm4"
    assert facts.defect_file == "defects_a.txt"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0.98),
        ({"FrameDosesAndNumber": "1.0 10  0.5 30"}, 0.625),
        ({"FrameDosesAndNumber": "0 40"}, 1.0),  # zero means unknown: the exposure's dose then
        ({"FrameDosesAndNumber": "garbage"}, 1.0),
        ({"FrameDosesAndNumber": "0 40", "ExposureDose": "0"}, None),
    ],
)
def test_dose_per_frame(tmp_path, changes, expected):
    facts = facts_of(tmp_path, FRAME_SET | changes)
    assert facts is not None
    assert facts.dose_per_frame == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("missing", sorted(FRAME_SET))
def test_no_key_is_required(tmp_path, missing):
    entries = {key: value for key, value in FRAME_SET.items() if key != missing}
    assert facts_of(tmp_path, entries) is not None


@pytest.mark.parametrize(
    ("binning", "shape", "expected"),
    [
        (1, (3838, 3710), 0.82),  # K2 counted
        (1, (7676, 7420), 0.41),  # super-resolution frames of a counted exposure
        (0.5, (8184, 11520), 0.82),  # the exposure was super-resolution itself
        (0.5, (4092, 5760), 1.64),  # its frames were saved counted
        (2, (4092, 5760), 0.41),  # the exposure was binned, frames are not
        (1, (1000, 1000), 0.82),  # unknown camera: as told
    ],
)
def test_pixel_size_follows_the_size_of_the_frames(tmp_path, binning, shape, expected):
    facts = facts_of(tmp_path, FRAME_SET | {"Binning": str(binning)})
    assert facts is not None
    assert facts.frame_pixel_size(shape) == pytest.approx(expected)


def test_a_tilt_series_mdoc_tells_about_the_named_movie_only(tmp_path):
    section = "[ZValue = {}]\nTiltAngle = {}\nSubFramePath = X:\\raw\\t_{}.tif\n"
    series = "".join(section.format(*at) for at in [(0, 0, 0), (1, 3, 1), (1, 3.5, 1)])
    (tmp_path / "t_1.tif.mdoc").write_text(series)
    facts = movie_facts(tmp_path / "t_1.tif")
    assert facts is not None
    assert facts.tilt_angle_deg == 3.5  # of a repeated view the last
    (tmp_path / "other.tif.mdoc").write_text(series)
    assert movie_facts(tmp_path / "other.tif") is None


def test_repeated_sections_are_all_kept():
    mdoc = parse_mdoc("[ZValue = 3]\nA = 1\n[ZValue = 3]\nA = 2\n")
    assert [section.entries["A"] for section in mdoc.sections] == ["1", "2"]
    assert [section.value for section in mdoc.sections] == ["3", "3"]


def test_both_names_beside_a_movie_are_found(tmp_path):
    assert find_mdoc(tmp_path / "a.tif") is None
    assert movie_facts(tmp_path / "a.tif") is None
    (tmp_path / "a.mdoc").write_text(text_of(FRAME_SET))
    assert find_mdoc(tmp_path / "a.tif") == tmp_path / "a.mdoc"
    (tmp_path / "a.tif.mdoc").write_text(text_of(FRAME_SET))
    assert find_mdoc(tmp_path / "a.tif") == tmp_path / "a.tif.mdoc"


@given(st.integers(0, len(text_of(FRAME_SET))))
def test_a_partial_file_tells_only_what_is_whole(cut):
    mdoc = parse_mdoc(text_of(FRAME_SET)[:cut])
    for section in mdoc.sections:
        assert section.entries.items() <= FRAME_SET.items()


@given(st.text(max_size=300))
def test_any_text_parses(text):
    parse_mdoc(text)


def test_windows_line_ends_and_a_byte_order_mark_are_no_part_of_values(tmp_path):
    path = tmp_path / "a.mdoc"
    path.write_bytes(b"\xef\xbb\xbf" + text_of(FRAME_SET).replace("\n", "\r\n").encode())
    mdoc = read_mdoc(path)
    assert mdoc.globals == {"Voltage": "300"}
    assert mdoc.sections[0].entries == FRAME_SET


@pytest.mark.parametrize(
    "path", [r"X:\a b\c.tif", r"\\host\share\\c.tif", "/data/c.tif", "c.tif", r"X:\a/c.tif"]
)
def test_paths_of_other_computers_give_their_base_name(path):
    assert basename(path) == "c.tif"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("25-Sep-23  14:13:26", datetime(2023, 9, 25, 14, 13, 26)),
        ("11-Aug-2023  17:44:56", datetime(2023, 8, 11, 17, 44, 56)),
        ("2023-08-11 17:44:56", datetime(2023, 8, 11, 17, 44, 56)),
        ("", None),
        ("yesterday", None),
        ("99-Xyz-23  14:13:26", None),
    ],
)
def test_times_are_read_in_any_locale_or_are_none(text, expected):
    mdoc = parse_mdoc(f"[ZValue = 0]\nDateTime = {text}\n")
    assert mdoc.sections[0].time == expected


def test_a_file_too_large_for_an_mdoc_is_refused(tmp_path):
    path = tmp_path / "a.mdoc"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(InputError, match="too large"):
        read_mdoc(path)


SHARED = {
    "20220605_75157_20220605-aav2spr_1-1_counted_frames.mrc.mdoc": (1, None),
    "2023-09-25_14.13.07_Grid9-_template_0035.tif.mdoc": (1, None),
    "L1_ts_001.mrc.mdoc": (41, 94.0),
    "TS_42.mrc.mdoc": (36, 84.3),
    "frame_set_multiple.mdoc": (21, None),
    "frame_set_single.mdoc": (1, None),
    "img_h1_s2_i374_movie_00001_Jul30_07.56.47.tif.mdoc": (1, None),
    "montage_section.mdoc": (63, -86.7),
    "montage_section_multiple.mdoc": (100, 85.5),
    "murfey_test_1.mdoc": (11, 83.8),
    "tilt_series.mdoc": (41, 85.3),
    "tomo_TS_01.mrc.mdoc": (41, 85.3),
}


@pytest.mark.shared
@pytest.mark.parametrize("name", SHARED)
def test_real_files_parse_whole(shared_data, name):
    path = shared_data / "metadata" / "mdoc" / name
    mdoc = read_mdoc(path)
    n_sections, axis = SHARED[name]
    lines = path.read_text().splitlines()
    told = sum(line.startswith(("[ZValue", "[FrameSet", "[MontSection")) for line in lines)
    assert len(mdoc.sections) == told == n_sections
    assert mdoc.tilt_axis_deg == axis
    n_keys = sum("=" in line and not line.startswith(("[", "T =")) for line in lines)
    assert len(mdoc.globals) + sum(len(section.entries) for section in mdoc.sections) == n_keys
    for section in mdoc.of_kind("ZValue") + mdoc.of_kind("FrameSet"):
        if "DateTime" in section.entries:
            assert section.time is not None
        assert section.number("TiltAngle") is not None
