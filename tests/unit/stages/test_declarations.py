"""What stages declare: keys of [filters], files on disk, and what follows from them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from warptui.engine.config.checks import allowed, unit
from warptui.engine.config.sections import FilterSettings, filter_settings
from warptui.engine.project.temporary_files import PRODUCT_FOLDERS
from warptui.engine.stages.registry import STAGES

# key, help, example, unit, bounds in words: users have these in their files
FILTERS = """\
defocus_min_um | minimum defocus | 0.3 | µm | a number at least -100 and at most 100 (µm)
defocus_max_um | maximum defocus | 5.0 | µm | a number at least -100 and at most 100 (µm)
astigmatism_max_sigma | maximum distance of the astigmatism from the session's mean | 3.0 | σ \
| a number at least 0 and at most 1000 (σ)
astigmatism_max_um | maximum astigmatism | 0.1 | µm | a number at least 0 and at most 100 (µm)
phase_shift_min_deg | minimum phase shift | 0.0 | ° | a number at least 0 and at most 180 (°)
phase_shift_max_deg | maximum phase shift | 180.0 | ° | a number at least 0 and at most 180 (°)
resolution_max | maximum resolution estimate; larger is excluded | 8.0 | Å \
| a number at least 0 and at most 1000 (Å)
ctf_confidence_min | minimum confidence in the CTF | 0.9 |  | a number at least 0 and at most 1
quality_min | minimum ice quality | 0.2 |  | a number at least 0 and at most 1
ice_ring_max | maximum ice ring; 1 = no ring | 1.5 |  | a number at least 0 and at most 1000
motion_max | maximum early motion | 1.5 | Å/frame | a number at least 0 and at most 1000 (Å/frame)
total_motion_max | maximum total motion | 50.0 | Å | a number at least 0 and at most 100000 (Å)
shift_error_max | maximum error of the shifts | 1.0 | Å | a number at least 0 and at most 1000 (Å)
motion_confidence_min | minimum confidence in the motion | 0.9 |  \
| a number at least 0 and at most 1
electrons_min | minimum number of electrons | 10.0 | e/px \
| a number at least 0 and at most 1e+06 (e/px)
electrons_max | maximum number of electrons | 60.0 | e/px \
| a number at least 0 and at most 1e+06 (e/px)
particles_min | minimum number of particles | 1 |  | a whole number at least 0 and at most 1e+07
particles_max | maximum number of particles | 2000 |  | a whole number at least 0 and at most 1e+07
extracted_min | minimum number of extracted particles | 1 |  \
| a whole number at least 0 and at most 1e+07
mask_max_percent | maximum masked area | 10.0 | % | a number at least 0 and at most 100 (%)
"""
# Files of an item NAME and the model boxnet: users, Warp and RELION rely on them.
FILES = """\
average/NAME.mrc
average/odd/NAME.mrc
average/even/NAME.mrc
thumbnails/NAME.npy
powerspectrum/NAME.mrc
thumbnails/spectrum/NAME.npy
deconv/NAME.mrc
thumbnails/candidates/NAME.npy
thumbnails/candidates/NAME.json
mask/NAME.tif
thumbnails/mask/NAME.npy
matching/NAME_boxnet.star
matching/NAME_boxnet_falsepositives.star
particles/NAME_boxnet.mrcs
particles/NAME_boxnet_odd.mrcs
particles/NAME_boxnet_even.mrcs
particles/NAME_boxnet.star
"""
PRODUCTS = [product for stage in STAGES for product in stage.products]


def test_the_limits_are_those_that_files_of_users_have():
    found = []
    for key, info in FilterSettings.model_fields.items():
        example = (info.examples or [])[0]
        found.append(f"{key} | {info.description} | {example!r} | {unit(info)} | {allowed(info)}\n")
        assert info.default is None
        assert info.annotation == (int | None if "whole" in allowed(info) else float | None)
        assert isinstance(info.json_schema_extra, dict)
        assert info.json_schema_extra["affects"] is False
    assert "".join(found) == FILTERS


def test_each_limit_judges_one_value():
    keys = Counter(
        key
        for stage in STAGES
        for entry in stage.summaries()
        for key in (entry.filter_min, entry.filter_max)
        if key
    )
    assert keys == Counter(list(FilterSettings.model_fields))
    assert list(filter_settings(STAGES[:1]).model_fields) == [
        "motion_max", "total_motion_max", "shift_error_max", "motion_confidence_min",
    ]  # fmt: skip


def test_products_have_the_names_that_other_programs_rely_on():
    found = [p.path(Path(), "NAME", "boxnet" if p.by_model else "") for p in PRODUCTS]
    assert "".join(f"{path.as_posix()}\n" for path in found) == FILES


def test_no_two_products_have_one_name():
    assert max(Counter(product.name for product in PRODUCTS).values()) == 1


def test_leftovers_are_looked_for_where_products_are():
    assert set(PRODUCT_FOLDERS) == {
        "average", "powerspectrum", "matching", "deconv", "thumbnails", "mask", "motion", "models",
        "particles",
    }  # fmt: skip


def test_each_role_belongs_to_one_value():
    roles = Counter(role for stage in STAGES for role in stage.roles())
    assert roles and max(roles.values()) == 1


def test_stages_know_nothing_of_the_sections_around_them():
    folder = Path(__file__).parents[3] / "warptui" / "engine" / "stages"
    sources = [path.read_text() for path in folder.rglob("*.py")]
    assert len(sources) > 10
    assert not [text for text in sources if "warptui.engine.config" in text]
