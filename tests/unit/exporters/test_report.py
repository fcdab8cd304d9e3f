"""The report: it loads nothing, invents nothing, and many items make no large page."""

from __future__ import annotations

import base64
import csv
import json
import re
import struct
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.beam_patterns import afis
from warptui import cli
from warptui.engine.exporters.base import REPORT, settled
from warptui.engine.exporters.optics_groups.grouping import BeamGroups
from warptui.engine.exporters.report import Facts, svg, write_csv, write_json
from warptui.engine.exporters.report.page import page
from warptui.engine.exporters.report.pictures import png, shrunk
from warptui.engine.exporting.jobs import Exports
from warptui.engine.items.selection import select
from warptui.engine.model.exports import ExportRequest
from warptui.engine.model.item import Choice, State, root_name_of
from warptui.engine.model.item_columns import Columns
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.engine.planning.limits import limits
from warptui.engine.planning.target import summaries
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.registry import STAGES

SUMMARIES = summaries(STAGES)
FILTERS = {"motion_max": 1.5, "resolution_max": 6.0}
VOID = {"meta", "br", "img"}


def row(number: int, **values: float | None) -> ItemRow:
    """An item as the rule makes it."""
    found = {"motion.early_motion": 0.5, "ctf.resolution": 4.0, "ctf.defocus_um": 1.2, **values}
    found |= {"ctf.astigmatism_um": 0.05, "ctf.astigmatism_angle_deg": 7.0 * number}
    item = ItemRow(
        f"m{number:05}.tif", number + 1, State.DONE, summary=found, seconds={"motion": 2.5},
        arrived_at=1.7e9 + 30 * number, finished_at=1.7e9 + 30 * number + 20,
    )  # fmt: skip
    return judged(item)


def judged(item: ItemRow) -> ItemRow:
    set_limits = limits(SUMMARIES, FILTERS)
    values = [item.summary.get(limit.key) for limit in set_limits]
    found = select(item.choice, item.state, has_result=True, values=values, limits=set_limits)
    return replace(item, selected=found.selected, filtered=found.filtered, reason=found.reason)


def facts(rows: list[ItemRow], project: Path = Path("/data/apo"), **status: object) -> Facts:
    said = EngineStatus("idle", str(project), "/raw", summaries=SUMMARIES, filters=FILTERS)
    settings = {"input": {"folder": "/raw", "pixel_size": 1.1}, "filters": FILTERS, "keys": {}}
    return Facts(
        ProjectPaths(project), Columns(rows), replace(said, **status), settings, {}, 1.7e9 + 9e4
    )


class Checker(HTMLParser):
    """Every tag is closed where it was opened; what is loaded is collected."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [v or "" for k, v in attrs if k in ("src", "href", "data", "xlink:href")]
        assert tag not in ("script", "link", "iframe", "object")
        assert not any(key.startswith("on") for key, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def checked(text: str) -> str:
    """The words of a page, after it was found whole and self-contained."""
    found = Checker()
    found.feed(text)
    found.close()
    assert found.open == []
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in found.loaded)
    assert "@import" not in text and "url(" not in text and "http" not in text.replace("http-", "")
    return " ".join(found.text)


def mixed() -> list[ItemRow]:
    rows = [row(n, **{"motion.early_motion": 0.2 + 0.02 * n}) for n in range(100)]
    rows[3] = judged(replace(rows[3], choice=Choice.EXCLUDE))
    rows[99] = judged(replace(rows[99], choice=Choice.INCLUDE))
    rows[5] = replace(rows[5], state=State.FAILED, selected=False, reason="m00005.tif: 3 of 40")
    rows[6] = replace(rows[6], state=State.FAILED, selected=False, reason="m00006.tif: 7 of 40")
    rows[7] = row(7, **{"ctf.resolution": None})
    return rows


def test_a_page_is_whole_loads_nothing_and_says_why_items_are_out() -> None:
    found = facts(mixed())
    said = checked(page(found))
    assert found.exclusions() == [
        ("motion > 1.5 Å/frame", 33, 33),  # 1.52 to 2.16; one of the 34 was included by hand
        ("CTF res > 6 Å", 0, 0),
        ("CTF res unknown, where it is limited", 1, 1),
        ("excluded by hand", 1, 1),
    ]
    assert found.failures() == [("m00005.tif: 3 of 40", 2, "… of …")]
    for words in ("motion > 1.5 Å/frame", "m00005.tif: 3 of 40", "unknown: 1 items", "Worst"):
        assert words in said
    assert "nan" not in said


def test_no_name_and_no_reason_gets_out_of_its_place() -> None:
    bad = '<script>alert("x")</script>&"\'.tif'
    rows = [replace(row(0), name=bad), replace(row(1), state=State.FAILED, reason=bad)]
    said = checked(page(facts(rows, Path('/data/<b>"apo"'), message=bad)))
    assert "alert" in said


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [ItemRow("new.tif", 1, State.WAITING)],
        [row(0)],
        [row(0, **{"motion.early_motion": None}), row(1)],
        [replace(row(n), arrived_at=0.0, finished_at=0.0) for n in range(3)],
    ],
)
def test_there_may_be_little_to_tell(rows: list[ItemRow]) -> None:
    assert "nan" not in checked(page(facts(rows)))


def test_optics_groups_of_the_live_list_are_shown(tmp_path: Path) -> None:
    there, _ = afis(3, 60, 0.05)
    groups = BeamGroups()
    groups.add([(f"m{k}", (x, y, "EPU units")) for k, (x, y) in enumerate(there.tolist())])
    groups.add([("late", None)])
    path = ProjectPaths(tmp_path).live_groups("boxnet")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"groups": groups.to_json(), "numbers": {"1:a": 1, "0:a": 10}}))
    told = facts(mixed(), tmp_path)
    assert "Optics groups" not in checked(page(told))
    by_shift = {"export": {"optics_groups": "beam_shift"}, "picking": {"model": "boxnet"}}
    told = replace(told, settings=told.settings | by_shift)
    text = checked(page(told))
    assert "Optics groups" in text and "EPU units" in text and "without a beam shift" in text
    path.write_text("{")
    assert "cannot be read" in checked(page(told))
    path.unlink()
    assert "Optics groups" not in checked(page(told))


def test_20_000_items_make_a_small_page() -> None:
    rows = [row(n, **{"motion.early_motion": 0.1 * (n % 40)}) for n in range(2000)]
    several = Columns.joined([Columns(rows)] * 10)
    small, large = page(facts(rows)), page(replace(facts([]), items=several))
    checked(large)
    assert len(large) < 1.5 * len(small) < 200_000


VALUES = st.one_of(st.none(), st.floats(-1e4, 1e4, allow_subnormal=False))


@given(st.lists(st.tuples(VALUES, VALUES), max_size=12))
def test_tables_hold_every_value_and_unknown_is_empty(tmp_path_factory, pairs) -> None:
    folder = tmp_path_factory.mktemp("tables")
    rows = [row(n, **{"motion.early_motion": a, "x.y": b}) for n, (a, b) in enumerate(pairs)]
    write_csv(facts(rows), folder / "a.csv")
    write_json(facts(rows), folder / "a.json")
    with (folder / "a.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    record = json.loads((folder / "a.json").read_text(encoding="utf-8"))
    assert len(lines) == len(record["items"]) == len(rows)
    for item, line, entry in zip(rows, lines, record["items"], strict=True):
        assert line["name"] == entry["name"] == item.name
        assert (line["reason"], entry["selected"]) == (item.reason, item.selected)
        for name, key in (("motion.early_motion [Å/frame]", "motion.early_motion"), ("x.y", "x.y")):
            value = item.summary[key]
            if value is None:
                assert line[name] == "" and entry[key] is None
            else:
                assert float(line[name]) == pytest.approx(value, rel=1e-6, abs=1e-30)
                assert entry[key] == pytest.approx(value, rel=1e-6, abs=1e-30)
    assert {entry["key"]: entry["unit"] for entry in record["values"]}["ctf.defocus_um"] == "µm"


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 50))
def test_a_thumbnail_is_the_picture(ny: int, nx: int, side: int) -> None:
    picture = np.arange(ny * nx, dtype=np.uint8).reshape(ny, nx)
    small = shrunk(picture, side)
    assert max(small.shape) <= side
    content = png(picture)
    assert struct.unpack(">II", content[16:24]) == (nx, ny)
    np.testing.assert_array_equal(imagecodecs.png_decode(content), picture)


def test_pictures_have_the_first_row_at_the_bottom(tmp_path: Path) -> None:
    rows = [row(n) for n in range(3)]
    path = ProjectPaths(tmp_path).preview(root_name_of(rows[1].name))
    path.parent.mkdir(parents=True)
    np.save(path, np.array([[0, 0], [255, 255]], dtype=np.uint8))
    text = page(facts(rows, tmp_path))
    checked(text)
    assert text.count("no picture") == 2
    (uri,) = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert base64.b64decode(uri) == png(np.array([[255, 255], [0, 0]], dtype=np.uint8))


@given(st.lists(VALUES, min_size=1, max_size=60), st.booleans())
def test_plots_bear_any_values(values: list[float | None], kept: bool) -> None:
    numbers = np.array(values, dtype=float)
    if not np.isfinite(numbers).any():
        return
    value = svg.Value("x", "Å", numbers, np.full(len(values), kept), (None, 1.0))
    x = np.arange(1.0, len(values) + 1)
    for drawn in (svg.series(value, x, "h"), svg.histogram(value)):
        assert "nan" not in drawn and "inf" not in drawn
        checked(drawn)


def test_a_histogram_counts_every_known_value() -> None:
    numbers = np.array([1.0, 2.0, 2.0, np.nan, 100.0] * 20)
    value = svg.Value("x", "", numbers, np.arange(100) % 2 == 0)
    drawn = svg.histogram(value)
    heights = [
        abs(float(bottom) - float(top))
        for path in re.findall(r'class="bar \w+" d="([^"]+)"', drawn)
        for bottom, top in re.findall(r"M[\d.]+,([\d.]+)V([\d.]+)H", path)
    ]
    scale = 150 - svg.TOP - svg.BOTTOM
    assert sum(heights) * (40 * 1.05) / scale == pytest.approx(80, rel=0.02)


def test_ticks_are_round_and_inside() -> None:
    assert svg.ticks(0.13, 2.2, 4) == pytest.approx([0.5, 1.0, 1.5, 2.0])
    assert [svg.shown(tick, 0.5) for tick in svg.ticks(-1, 1, 4)] == [
        "-1.0", "-0.5", "0.0", "0.5", "1.0",
    ]  # fmt: skip


def test_the_engine_writes_it_as_an_export(tmp_path: Path) -> None:
    found = facts(mixed(), tmp_path)
    request = ExportRequest("report", switches=("tables",))
    assert settled(request).items == "all"
    assert settled(ExportRequest()).items == "selected"
    exports = Exports(ProjectPaths(tmp_path), lambda name: None)
    target = tmp_path / "report.html"
    exports.begin(REPORT.given(lambda: found), request, target, found.items.names, {})
    for writing in exports._running.values():
        writing.thread.join(20)
    (record,) = exports.look()
    assert (record.state, record.rows) == ("done", 100)
    assert record.reason == "beside it report.csv and report.json"
    checked(target.read_text(encoding="utf-8"))


def test_the_command_writes_page_and_tables(tmp_path: Path, capsys) -> None:
    (tmp_path / "config.toml").write_text("[input]\npixel_size = 1.0\n")
    assert cli.main(["report", str(tmp_path), "--csv", "--json"]) == 0
    assert "0 items" in capsys.readouterr().err
    checked((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert json.loads((tmp_path / "report.json").read_text())["items"] == []
    assert (tmp_path / "report.csv").read_text().startswith("name,sequence,state")
    elsewhere = tmp_path / "config.toml" / "page.html"
    assert cli.main(["report", str(tmp_path), "--output", str(elsewhere)]) == 2
    assert cli.main(["report", str(tmp_path), "--output", str(tmp_path / "page.pdf")]) == 2
    assert "expected the name of a page" in capsys.readouterr().err
