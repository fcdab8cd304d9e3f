"""Words in names: the same answers as looking into each name."""

from __future__ import annotations

import numpy as np
import pytest

from tests.screens.fake_engine import synthetic_rows
from warptui.engine.api.events import ItemChanged, ItemRemoved, Snapshot
from warptui.engine.model.item import State
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.screens.link.mirror import Mirror
from warptui.screens.link.name_search import NameSearch

ODD = ["a.tif", "Σίσυφος_ΟΔΟΣ.mrc", "two\nlines.tif", "x\udcff.tif", "", "Ärger_01.TIF", "a"]


@pytest.mark.parametrize(
    "word", ["a", "A", "tif", "οδος", "ΣΊΣ", "lines", "\udcff", "ä", "zzz", "f1"]
)
@pytest.mark.parametrize("names", [ODD, ODD[:2], ["a"], []])
def test_the_same_as_looking_into_each_name(names: list[str], word: str) -> None:
    expected = [word.lower() in name.lower() for name in names]
    assert NameSearch(names).containing(word).tolist() == expected


def test_a_word_is_not_found_across_two_names() -> None:
    assert not NameSearch(["abc", "def"]).containing("cd").any()
    assert not NameSearch(["x", "aaab"]).containing("bx").any()  # nor round the end


def test_everything_contains_nothing() -> None:
    assert NameSearch(["a", "b"]).containing("").all()


def test_the_mirror_finds_names_and_reasons_as_they_change() -> None:
    mirror = Mirror()
    mirror.apply([Snapshot(tuple(synthetic_rows(300)), EngineStatus("idle", "/p", "/in"))])

    def found(word: str) -> list[str]:
        return [mirror.names[n] for n in np.flatnonzero(mirror.containing(word))]

    assert found("TRUNCATED") == [row.name for row in mirror.rows if "truncated" in row.reason]
    assert found("data_0007") == ["FoilHole_2900_Data_0007.tif"]
    mirror.apply([ItemChanged(ItemRow("New_Name.tif", 1000, State.FAILED, reason="No Beam"))])
    assert found("new_n") == found("beam") == ["New_Name.tif"]
    mirror.apply([ItemChanged(ItemRow("New_Name.tif", 1000, State.DONE))])
    assert found("new_n") == ["New_Name.tif"]
    assert found("beam") == []
    mirror.apply([ItemRemoved("New_Name.tif"), ItemRemoved(mirror.names[0])])
    assert found("new_n") == []
    assert found("data_0007") == ["FoilHole_2900_Data_0007.tif"]
