"""Beam shifts from EPU's XML and SerialEM's mdoc files: found wherever they are, never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.beam_patterns import EPU_XML, write_epu
from warptui.engine.errors import InputError
from warptui.engine.formats.acquisition.beam_shift import EPU, SERIALEM, BeamShift, BeamShiftFiles

EXPOSURE = "FoilHole_18890345_Data_18881924_18881926_20200320_090200"
MDOC = "[FrameSet = 0]\nSubFramePath = X:\\raw\\a_0001.tif\nImageShift = 1.43117 -0.941825\n"


@pytest.mark.parametrize(
    "ending",
    [
        "_fractions.tiff",
        "_Fractions.mrc",
        "_EER.eer",
        ".eer",
        "_fractions.tif",
        ".mrc",
        "-frames.tif",
    ],
)
def test_an_exposures_xml_is_found_whatever_its_movie_is_called(tmp_path: Path, ending) -> None:
    (tmp_path / f"{EXPOSURE}.xml").write_text(EPU_XML.format(x="-0.000474", y="2.1E-03"))
    assert BeamShiftFiles().read(tmp_path / (EXPOSURE + ending)) == BeamShift(
        -0.000474, 0.0021, EPU
    )


def test_in_another_folder_and_only_once_it_is_there(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("warptui.engine.formats.acquisition.beam_shift.AFRESH_S", 0.0)
    movie = tmp_path / "movies" / f"{EXPOSURE}_fractions.tiff"
    elsewhere = tmp_path / "EPU" / "Images-Disc1" / "GridSquare_1" / "Data"
    files = BeamShiftFiles(tmp_path / "EPU")
    with pytest.raises(InputError, match=f"{EXPOSURE}.xml"):
        files.read(movie)
    write_epu(elsewhere / movie.name, 0.25, -0.5)
    assert files.read(movie) == BeamShift(0.25, -0.5, EPU)
    write_epu(movie, 1.0, 2.0)  # what lies beside the movie is about it
    assert files.read(movie) == BeamShift(1.0, 2.0, EPU)


def test_an_mdoc_tells_the_image_shift(tmp_path: Path) -> None:
    movie, files = tmp_path / "a_0001.tif", BeamShiftFiles()
    for name in ("a_0001.tif.mdoc", "a_0001.mdoc"):
        path = tmp_path / name
        path.write_text(MDOC)
        assert files.read(movie) == BeamShift(1.43117, -0.941825, SERIALEM)
        path.unlink()
    path = tmp_path / "elsewhere" / "a_0001.tif.mdoc"
    path.parent.mkdir()
    path.write_text(MDOC)
    assert BeamShiftFiles(tmp_path / "elsewhere").read(movie).unit == SERIALEM


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "damaged or not complete"),
        (EPU_XML[:300], "damaged or not complete"),
        (EPU_XML.format(x="0,25", y="0.1"), "no two numbers"),
        (EPU_XML.format(x="nan", y="0.1"), "no two numbers"),
        (EPU_XML.format(x="", y="0.1"), "no two numbers"),
        (EPU_XML.replace("BeamShift", "Other"), "no BeamShift"),
        ("<Movie CTFResolutionEstimate='4'/>", "no mdoc with"),  # Warp's, of the same name
    ],
)
def test_what_tells_nothing_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "m.xml").write_text(text)
    with pytest.raises(InputError, match=said) as problem:
        BeamShiftFiles().read(tmp_path / "m.mrc")
    assert "m.xml" in str(problem.value)


def test_an_mdoc_with_half_a_shift_is_named(tmp_path: Path) -> None:
    (tmp_path / "a_0001.tif.mdoc").write_text(MDOC.replace("1.43117 ", ""))
    with pytest.raises(InputError, match=r"a_0001\.tif\.mdoc"):
        BeamShiftFiles().read(tmp_path / "a_0001.tif")


@pytest.mark.shared
def test_files_of_real_sessions(shared_data: Path) -> None:
    files = BeamShiftFiles()
    found = {
        path.stem.split("_")[1]: files.read(path.with_name(f"{path.stem}_fractions.tiff"))
        for path in (shared_data / "metadata" / "epu").glob("*.xml")
    }
    assert found["22011316"] == BeamShift(0.045347690582275391, 0.24170611798763275, EPU)
    assert found["18890345"].y == pytest.approx(0.0021013431251049042)
    assert found["19513699"].x == pytest.approx(-0.094492264091968536)
    movie = shared_data / "metadata/mdoc/2023-09-25_14.13.07_Grid9-_template_0035.tif"
    assert files.read(movie) == BeamShift(1.43117, -0.941825, SERIALEM)
