"""Warp's XML: read what Warp wrote, lose nothing, write numbers with a point."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warptui.engine.errors import CorruptError
from warptui.engine.formats.warp import xml
from warptui.engine.formats.warp.xml import Grid


def content(element: ElementTree.Element) -> object:
    """Everything but white space between elements."""
    text = (element.text or "").strip()
    return (element.tag, element.attrib, text, [content(child) for child in element])


@pytest.mark.shared
@pytest.mark.parametrize("name", ["00254.xml", "TS_1.xml", "gs04_ts_003.xml"])
def test_a_file_of_warps_survives_rewriting(shared_data: Path, name: str):
    data = (shared_data / "metadata" / "warp" / name).read_bytes()
    root = xml.parse(data)
    again = xml.to_bytes(root)
    assert content(xml.parse(again)) == content(ElementTree.fromstring(data))
    assert again.rstrip() == data.replace(b"\r\n", b"\n").rstrip()


@pytest.mark.shared
def test_grids_of_warps_files_are_read_with_x_fastest(shared_data: Path):
    root = xml.parse((shared_data / "metadata" / "warp" / "TS_1.xml").read_bytes())
    grid = xml.read_grid(root, "GridMovementX")
    assert grid is not None
    assert (grid.width, grid.height, grid.depth) == (6, 4, 41)
    assert grid.values[:2] == (-1.3210737, -0.3384567)
    assert grid.values[6] == -4.029536  # x 0, y 1


@pytest.mark.shared
def test_parameters_of_warps_files_are_found_by_name(shared_data: Path):
    root = xml.parse((shared_data / "metadata" / "warp" / "TS_1.xml").read_bytes())
    params = xml.read_params(root, "OptionsCTF")
    assert (params["GridDims"], params["PixelSize"]) == ("5,5,1", "0.834")
    assert xml.read_params(root, "OptionsMovement") == {}
    assert xml.is_processed(root)
    assert not xml.is_processed(xml.new_movie())


sizes = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5))


@given(sizes.flatmap(lambda size: st.tuples(
    st.just(size),
    st.lists(st.floats(-1e3, 1e3), min_size=size[0] * size[1] * size[2],
             max_size=size[0] * size[1] * size[2]),
)))  # fmt: skip
def test_a_grid_comes_back(case: tuple[tuple[int, int, int], list[float]]):
    size, values = case
    root = xml.new_movie()
    xml.set_grid(root, "GridMovementX", Grid(*size, tuple(values)))
    found = xml.read_grid(xml.parse(xml.to_bytes(root)), "GridMovementX")
    assert found is not None
    assert (found.width, found.height, found.depth) == size
    assert found.values == pytest.approx(values, abs=1e-9)


def test_a_grid_with_missing_or_odd_nodes_is_refused():
    grid = '<M><GridCTF Width="1" Height="1" Depth="2">{}</GridCTF></M>'
    node = '<Node X="0" Y="0" Z="0" Value="{}"/>'
    for nodes in (node.format("1"), node.format("one"), '<Node X="0" Value="1"/>'):
        with pytest.raises(CorruptError, match="GridCTF"):
            xml.read_grid(ElementTree.fromstring(grid.format(nodes)), "GridCTF")


def test_elements_are_written_in_warps_order_between_those_of_others():
    root = xml.parse(
        b'<Movie UnselectManual="null"><OptionsCTF/><CTF/><GridCTF/><Foreign a="1">x</Foreign>'
        b"<PyramidShiftX/><GridDoseWeights/><OptionsBoxNet/></Movie>"
    )
    xml.set_params(root, "OptionsMovieExport", {"DoAverage": True})
    xml.set_grid(root, "GridMovementX", Grid(1, 1, 1, (0.5,)))
    xml.set_params(root, "OptionsMovement", {"Bfactor": -100.0})
    assert [child.tag for child in root] == [
        "OptionsCTF", "CTF", "GridCTF", "Foreign", "OptionsMovement", "GridMovementX",
        "PyramidShiftX", "GridDoseWeights", "OptionsBoxNet", "OptionsMovieExport",
    ]  # fmt: skip


def test_parameters_of_a_group_that_we_do_not_know_stay():
    root = xml.parse(
        b'<Movie><OptionsMovement><Param Name="New" Value="7"/>'
        b'<Param Name="Bfactor" Value="0"/></OptionsMovement></Movie>'
    )
    xml.set_params(root, "OptionsMovement", {"Bfactor": -5.0})
    assert xml.read_params(root, "OptionsMovement") == {"New": "7", "Bfactor": "-5"}


def test_comments_stay():
    assert b"<!--by hand-->" in xml.to_bytes(xml.parse(b"<Movie><!--by hand--></Movie>"))


@pytest.mark.parametrize(
    "value, text",
    [(True, "True"), (0.5, "0.5"), (-100.0, "-100"), (1e-12, "0"), ((5, 5, 3), "5,5,3"),
     (1234567.25, "1234567.25"), ((1.5, 2.0), "1.5,2"), (-0.0, "0")],
)  # fmt: skip
def test_values_are_written_as_warp_writes_them(value: object, text: str):
    assert xml.format_value(value) == text


def test_names_that_xml_cannot_hold_are_replaced_not_fatal():
    root = xml.new_movie()
    root.set("DataDirectory", xml.format_value("a\x01b\udcff"))
    assert xml.parse(xml.to_bytes(root)).get("DataDirectory") == "a\ufffdb\ufffd"


@pytest.mark.parametrize("text, choice", [
    ("null", None), ("", None), ("True", True), ("False", False), ("true", True),
])  # fmt: skip
def test_the_users_choice_is_read(text: str, choice: bool | None):
    assert xml.read_unselect_manual(ElementTree.Element("Movie", UnselectManual=text)) is choice


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xef\xbb\xbf",
        b"\0" * 500,
        b"<Movie><GridCTF>",
        b"not xml",
        b'<Movie MeanFrameMovement="0,6"></Movie>',
        b'<Movie><GridCTF><Node X="0" Y="0" Z="0" Value="-176,73" /></GridCTF></Movie>',
        b'<?xml version="1.0" encoding="nonsense"?><Movie/>',
    ],
)
def test_unusable_documents_say_why(data: bytes):
    with pytest.raises(CorruptError, match=r"empty|well-formed|decimal comma"):
        xml.parse(data)


def test_vectors_are_no_decimal_commas():
    xml.parse(
        b'<Movie MagnificationCorrection="1, 0, 0, 1"><CTF><Param Name="BeamTilt" Value="0,0"/>'
        b"</CTF></Movie>"
    )
