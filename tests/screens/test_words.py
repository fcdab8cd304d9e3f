"""Names and numbers as words."""

from __future__ import annotations

import pytest

from warptui.screens.words import shorten_name


@pytest.mark.parametrize(
    ("name", "width", "short"),
    [
        ("FoilHole_2931_Data_0412_Fractions", 40, "FoilHole_2931_Data_0412_Fractions"),
        ("FoilHole_2931_Data_0412_Fractions", 25, "FoilHole_2931_Data_0412…"),
        ("FoilHole_2931_Data_0412_EER", 15, "…931_Data_0412…"),
        ("grid1_square2_0412", 10, "…are2_0412"),
        ("a_fractions", 5, "…ions"),
    ],
)
def test_what_all_names_end_with_gives_way_first(name: str, width: int, short: str) -> None:
    assert shorten_name(name, width, "…") == short
