"""Warp's metadata XML: documents, parameter groups and grids; elements of other programs stay.

Warp finds elements by name anywhere in the document and parameters by name within their group, so
order is free when reading; elements are written in Warp's own order. Units and signs are Warp's:
shifts in Å, to apply to a frame; grid nodes with x fastest, then y, then time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from warptui.engine.errors import CorruptError

Element = ElementTree.Element

MOVIE_ORDER = (
    "OptionsCTF",
    "PS1D",
    "SimulatedBackground",
    "SimulatedScale",
    "CTF",
    "GridCTF",
    "GridCTFDefocusDelta",
    "GridCTFDefocusAngle",
    "GridCTFCs",
    "GridCTFPhase",
    "GridCTFDoming",
    "GridBeamTiltX",
    "GridBeamTiltY",
    "OptionsMovement",
    "GridMovementX",
    "GridMovementY",
    "GridLocalMovementX",
    "GridLocalMovementY",
    "PyramidShiftX",
    "PyramidShiftY",
    "GridAngleX",
    "GridAngleY",
    "GridAngleZ",
    "GridDoseBfacs",
    "GridDoseBfacsDelta",
    "GridDoseBfacsAngle",
    "GridDoseWeights",
    "GridLocationBfacs",
    "GridLocationWeights",
    "OptionsBoxNet",
    "OptionsMovieExport",
    "OptionsParticlesExport",
    "PickingThresholds",
    "Warptui",
)

_COMMA = re.compile(rb'="-?\d+,\d+"')  # a quick search, which also finds vectors of two
# A single number with a decimal comma, where Warp never writes a vector: root attributes (but for
# matrices, which have comma and space) and grid nodes. A program under another locale wrote it.
_COMMA_DECIMAL = re.compile(
    rb"(?:<Node\s[^>]*?\b(?:X|Y|Z|W|Value)|\b(?:CTFResolutionEstimate|MeanFrameMovement|"
    rb'MaskPercentage|Bfactor|Weight|LevelAngleX|LevelAngleY))="-?\d+,\d+"'
)


@dataclass(frozen=True)
class Grid:
    """Nodes of a spline grid from edge to edge; x fastest, then y, then z (time)."""

    width: int
    height: int
    depth: int
    values: tuple[float, ...]


def new_movie() -> Element:
    """The document of an unprocessed item, as Warp writes it."""
    return Element(
        "Movie",
        {
            "DataDirectory": "",
            "UnselectFilter": "False",
            "UnselectManual": "null",
            "CTFResolutionEstimate": "0",
            "MaskPercentage": "-1",
            "Bfactor": "0",
            "Weight": "1",
            "MagnificationCorrection": "1, 0, 0, 1",
        },
    )


def parse(data: bytes) -> Element:
    """Root element of a document, with its comments.

    Raises
    ------
    CorruptError
        If the bytes are empty, truncated, no XML, or carry decimal commas.
    """
    if not data.strip(b"\0 \t\r\n\xef\xbb\xbf"):
        raise CorruptError("the file is empty")
    builder = ElementTree.TreeBuilder(insert_comments=True, insert_pis=True)
    try:
        root = ElementTree.fromstring(data, ElementTree.XMLParser(target=builder))
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise CorruptError(f"not well-formed XML ({error})") from error
    _check_commas(data)
    return root


def scan(data: bytes, name: str) -> tuple[Element, Element] | None:
    """The root without children, and its one child ``name``; the rest is not parsed.

    Three times as fast as `parse`, for listing thousands of files. None for a document of unusual
    form, which may still be valid.

    Raises
    ------
    CorruptError
        If the document is not well-formed or carries decimal commas.
    """
    tag = name.encode()
    start, end = data.find(b"<" + tag), data.find(b"</" + tag + b">")
    opening = re.match(rb"(?:\xef\xbb\xbf)?(?:<\?[^>]*\?>)?\s*(<Movie(?: [^<>]*)?)>", data)
    if opening is None or not 0 < start < end or data.find(b"<" + tag, start + 1) >= 0:
        return None
    try:
        expat.ParserCreate().Parse(data, True)
        _check_commas(data)
        root = ElementTree.fromstring(opening.group(1) + b"/>")
        return root, ElementTree.fromstring(data[start : end + len(tag) + 3])
    except (expat.ExpatError, ElementTree.ParseError) as error:
        raise CorruptError(f"not well-formed XML ({error})") from error


def to_bytes(root: Element) -> bytes:
    """The document in Warp's form: UTF-8 with byte order mark, indented by tabs."""
    ElementTree.indent(root, space="\t")
    text = ElementTree.tostring(root, encoding="unicode")
    document = '<?xml version="1.0" encoding="utf-8"?>\n' + text
    return b"\xef\xbb\xbf" + document.encode("utf-8")


def place(root: Element, element: Element) -> None:
    """Insert ``element`` in Warp's order; replaces an element with this name."""
    for old in root.findall(element.tag):
        root.remove(old)
    # elements that Warp does not know come last, before our own
    rank = MOVIE_ORDER.index(element.tag if element.tag in MOVIE_ORDER else "Warptui")
    last = rank - (element.tag not in MOVIE_ORDER)
    for index, child in enumerate(root):
        if child.tag in MOVIE_ORDER and MOVIE_ORDER.index(child.tag) > last:
            root.insert(index, element)
            return
    root.append(element)


def read_params(root: Element, group: str) -> dict[str, str]:
    """Parameters of an option group by name; empty if the group is missing."""
    element = root.find(f".//{group}")
    if element is None:
        return {}
    return {param.get("Name", ""): param.get("Value", "") for param in element.iterfind("Param")}


def set_params(root: Element, group: str, params: Mapping[str, Any]) -> None:
    """Write an option group; its other parameters stay."""
    element = Element(group)
    for name, text in {**read_params(root, group), **_texts(params)}.items():
        ElementTree.SubElement(element, "Param", {"Name": name, "Value": text})
    place(root, element)


def read_grid(root: Element, name: str) -> Grid | None:
    """Read the grid ``name``; None if the document has no such grid.

    Raises
    ------
    CorruptError
        If nodes are missing or not numbers.
    """
    element = root.find(f".//{name}")
    if element is None:
        return None
    try:
        width, height, depth = (int(element.attrib[key]) for key in ("Width", "Height", "Depth"))
        values = [float("nan")] * (width * height * depth)
        for node in element.iterfind("Node"):
            x, y, z = (int(node.attrib[key]) for key in "XYZ")
            values[(z * height + y) * width + x] = float(node.attrib["Value"])
    except (KeyError, ValueError, IndexError) as error:
        raise CorruptError(f"{name} cannot be read ({error!r})") from error
    if any(value != value for value in values):
        raise CorruptError(f"{name} lacks nodes")
    return Grid(width, height, depth, tuple(values))


def set_grid(root: Element, name: str, grid: Grid) -> None:
    """Write the grid ``name``."""
    sizes = {"Width": grid.width, "Height": grid.height, "Depth": grid.depth}
    margins = {"MarginX": "0", "MarginY": "0", "MarginZ": "0"}
    element = Element(name, {**_texts(sizes), **margins})
    values = iter(grid.values)
    for z in range(grid.depth):
        for y in range(grid.height):
            for x in range(grid.width):
                node = {"X": x, "Y": y, "Z": z, "Value": float(next(values))}
                ElementTree.SubElement(element, "Node", _texts(node))
    place(root, element)


def set_threshold(root: Element, suffix: str, value: float) -> None:
    """Write the lowest score of the picks ``suffix``; lowest scores of other picks stay."""
    element = Element("PickingThresholds")
    for old in root.iterfind(".//PickingThresholds/Threshold"):
        if old.get("Suffix") != suffix:
            element.append(old)
    threshold = {"Suffix": suffix, "Value": value}
    ElementTree.SubElement(element, "Threshold", _texts(threshold))
    place(root, element)


def read_thresholds(root: Element) -> dict[str, float]:
    """Lowest scores of picks, by suffix; values that are not numbers are left out."""
    found = {}
    for element in root.iterfind(".//PickingThresholds/Threshold"):
        with suppress(ValueError):
            found[element.get("Suffix", "")] = float(element.get("Value", ""))
    return found


def read_unselect_manual(root: Element) -> bool | None:
    """The user's choice: True = excluded, False = included, None = automatic."""
    return {"true": True, "false": False}.get(root.get("UnselectManual", "").strip().lower())


def set_unselect_manual(root: Element, unselected: bool | None) -> None:
    """The inverse of `read_unselect_manual`."""
    root.set("UnselectManual", "null" if unselected is None else str(unselected))


def with_unselect_manual(data: bytes, unselected: bool | None) -> bytes | None:
    """Change the user's choice in a document and no other byte, without building its tree.

    None if the document is damaged or of unusual form.
    """
    opening = re.match(rb"(?:\xef\xbb\xbf)?(?:<\?[^>]*\?>)?\s*<Movie [^<>]*>", data)
    found = opening and re.search(rb'\sUnselectManual="[^"]*"', opening.group())
    if not found:
        return None
    try:
        expat.ParserCreate().Parse(data, True)
        _check_commas(data)
    except (expat.ExpatError, CorruptError):
        return None
    value = "null" if unselected is None else str(unselected)
    attribute = b' UnselectManual="%b"' % value.encode()
    return data[: found.start()] + attribute + data[found.end() :]


def is_processed(root: Element) -> bool:
    """Whether any stage of Warp is done: Warp writes a stage's options at its end."""
    return any(
        isinstance(child.tag, str) and child.tag.startswith("Options") for child in root.iter()
    )


def format_value(value: Any) -> str:
    """A value as Warp writes it; numbers never depend on the locale."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return "0" if value == 0 else repr(round(value, 10)).removesuffix(".0")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(format_value(entry) for entry in value)
    return _xml_text(str(value))


def _check_commas(data: bytes) -> None:
    comma = _COMMA_DECIMAL.search(data) if _COMMA.search(data) else None
    if comma:
        found = comma.group().rsplit(b" ", 1)[-1].decode()
        raise CorruptError(f"decimal comma in {found}: written by a program under another locale")


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: format_value(value) for name, value in values.items()}


def _xml_text(text: str) -> str:
    """``text`` without the characters that XML 1.0 cannot hold (some file names have them)."""
    return re.sub("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
