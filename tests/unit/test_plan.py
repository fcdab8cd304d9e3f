"""plan: what must run, and why; nothing else, and nothing twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from warptui.engine.config.settings import Config
from warptui.engine.model.item import MOVIE
from warptui.engine.model.stored import StoredItem
from warptui.engine.planning.plan import (
    Ready,
    References,
    Step,
    UpToDate,
    make_record,
    plan,
    refusal,
    wanted_hash,
)
from warptui.engine.stages.base import Needs, Stage, StageResult, StageSettings
from warptui.engine.stages.movie.average import AverageSettings
from warptui.engine.stages.registry import STAGES

FINGERPRINT = "1000:abc"
REFERENCES = References({"input.gain": "gain1", "input.defects": "defects1"})


def with_model(content_hash: str) -> References:
    """The references with another content of the network that picks."""
    return References({**REFERENCES.hashes, "picking.model": content_hash})


def config(**sections: dict[str, Any]) -> Config:
    return Config.from_json(sections)


def processed(
    settings: Config,
    references: References = REFERENCES,
    fingerprint: str = FINGERPRINT,
    item: StoredItem | None = None,
    only: tuple[str, ...] = (),
    at: float = 100.0,
) -> StoredItem:
    """The item after the engine did what the plan says."""
    item = item or StoredItem("a.mrc", 1, raw_path="/raw/a.mrc")
    for number, step in enumerate(plan(item, settings, references, fingerprint).steps):
        if only and step.stage not in only:
            continue
        record = make_record(
            step.stage,
            item,
            settings,
            references,
            fingerprint,
            result={},
            finished_at=at + number,
            seconds=1.0,
            device="cpu",
            program_version="0",
        )
        item = item.with_record(record)
    return item


def reasons(item: StoredItem | None, settings: Config, **now: Any) -> dict[str, str]:
    steps = plan(
        item, settings, now.get("references", REFERENCES), now.get("fingerprint", FINGERPRINT)
    ).steps
    return {step.stage: step.reason for step in steps}


def test_a_new_item_runs_every_stage_in_order():
    assert plan(None, Config(), REFERENCES, FINGERPRINT) == Ready(
        (
            Step("motion", "never run"),
            Step("average", "never run"),
            Step("ctf", "never run"),
            Step("picking", "never run"),
            Step("particles", "never run"),
        )
    )


def test_a_processed_item_needs_nothing():
    assert reasons(processed(Config()), Config()) == {}


def test_only_the_stage_whose_setting_changed_runs_and_those_that_need_it():
    item = processed(Config())
    assert reasons(item, config(average={"skip_first": 2})) == {
        "average": "average.skip_first 0 -> 2",
        "picking": "needs average, which must run",
        "particles": "needs average, which must run",
    }
    assert reasons(item, config(motion={"b_factor": -500.0})) == {
        "motion": "motion.b_factor -100 -> -500",
        "average": "needs motion, which must run",
        "ctf": "needs motion, which must run",
        "picking": "needs average, which must run",
        "particles": "needs motion, which must run",
    }
    assert reasons(item, config(ctf={"window_px": 256})) == {
        "ctf": "ctf.window_px 512 -> 256",
        "particles": "needs ctf, which must run",  # each has its own
    }
    assert reasons(item, config(particles={"box_size_px": 128})) == {
        "particles": "particles.box_size_px 0 -> 128"
    }


def test_the_average_matters_to_the_ctf_only_where_it_is_read():
    for changed in ({"ctf": {"use_average": True}}, {"average": {"deconvolve": True}}):
        before = config(**changed)
        average = {**changed.get("average", {}), "skip_first": 2}
        found = reasons(processed(before), config(**{**changed, "average": average}))
        assert found["ctf"] == "needs average, which must run"
    stronger = config(average={"deconvolve": True, "deconvolution_strength": 0.8})
    item = processed(config(average={"deconvolve": True}))
    assert reasons(item, stronger) == {
        "ctf": "average.deconvolution [1, 1, 300] -> [0.8, 1, 300]",
        "particles": "needs ctf, which must run",  # their list alone, not the images
    }


def test_all_changes_of_a_stage_are_named():
    before = config(motion={"b_factor": -100.0, "local_grid": [5, 5, 3]})
    changed = config(motion={"b_factor": -500.0, "local_grid": [3, 3, 3]})
    assert reasons(processed(before), changed)["motion"] == (
        "motion.b_factor -100 -> -500, motion.local_grid [5, 5, 3] -> [3, 3, 3]"
    )


def test_settings_that_change_no_result_make_nothing_outdated():
    changed = config(
        input={"folder": "/elsewhere", "pattern": ["*.tif"], "recursive": True, "poll_seconds": 9},
        compute={"devices": "cpu", "threads": 7},
    )
    assert reasons(processed(Config()), changed) == {}


def test_a_pixel_size_outdates_what_reads_the_frames():
    found = reasons(processed(Config()), config(input={"pixel_size": 1.5}))
    assert found["motion"] == "input.pixel_size 0 -> 1.5"
    assert found["average"] == "input.pixel_size 0 -> 1.5"


def test_a_replaced_gain_reference_is_named():
    item = processed(config(input={"gain": "gain.mrc"}))
    found = reasons(
        item,
        config(input={"gain": "gain.mrc"}),
        references=References({"input.gain": "gain2", "input.defects": "defects1"}),
    )
    assert found["motion"] == "gain reference replaced"
    found = reasons(
        item,
        config(input={"gain": "gain.mrc"}),
        references=References({"input.gain": "gain1", "input.defects": "defects2"}),
    )
    assert found["motion"] == "defect map replaced"


def test_a_gain_reference_that_only_moved_changes_nothing():
    item = processed(config(input={"gain": "/a/gain.mrc"}))
    assert reasons(item, config(input={"gain": "/b/gain.mrc"})) == {}


def test_another_gain_reference_is_a_changed_setting():
    item = processed(config(input={"gain": "/a/gain.mrc"}))
    found = reasons(
        item,
        config(input={"gain": "/b/other.mrc"}),
        references=References({"input.gain": "gain2", "input.defects": "defects1"}),
    )
    assert found["motion"] == "input.gain '/a/gain.mrc' -> '/b/other.mrc'"


def test_an_unreadable_gain_reference_is_no_reason_to_doubt_what_is_done():
    item = processed(config(input={"gain": "gain.mrc"}))
    assert reasons(item, config(input={"gain": "gain.mrc"}), references=References()) == {}


def test_a_replaced_raw_file_outdates_everything_and_a_missing_one_nothing():
    item = processed(Config())
    assert set(reasons(item, Config(), fingerprint="1000:other").values()) == {"raw file replaced"}
    assert reasons(item, Config(), fingerprint="") == {}


def test_a_new_version_of_a_stage_is_named():
    newer = tuple(
        stage._replace(version=2) if stage.name == "motion" else stage for stage in STAGES
    )
    steps = plan(processed(Config()), Config(), REFERENCES, FINGERPRINT, MOVIE, newer).steps
    assert steps[0] == Step("motion", f"stage version {STAGES[0].version} -> 2")
    assert steps[1] == Step("average", "needs motion, which must run")


def test_a_switched_off_stage_never_runs_and_what_used_it_runs_without_it():
    off = config(motion={"enabled": False})
    never = "never run"
    assert reasons(None, off) == {
        "average": never,
        "ctf": never,
        "picking": never,
        "particles": never,
    }
    item = processed(Config())
    gone, again = "motion was switched off", "needs average, which must run"
    expected = {"average": gone, "ctf": gone, "picking": again, "particles": gone}
    assert reasons(item, off) == expected
    without = processed(off, item=item)
    assert reasons(without, off) == {}
    back = "motion was switched on"
    expected = {"average": back, "ctf": back, "picking": again, "particles": back}
    assert reasons(without, Config()) == expected


def test_an_average_from_an_earlier_motion_is_made_again_after_a_crash_between_them():
    item = processed(Config())
    changed = config(motion={"b_factor": -500.0})
    crashed = processed(changed, item=item, only=("motion",), at=200.0)
    stale = "made from an earlier run of motion"
    again = "needs average, which must run"
    expected = {"average": stale, "ctf": stale, "picking": again, "particles": stale}
    assert reasons(crashed, changed) == expected


def test_a_replaced_model_file_concerns_the_picking_and_what_is_cut_out():
    before, after = (with_model(name) for name in ("one", "other"))
    item = processed(Config(), before)
    assert reasons(item, Config(), references=before) == {}
    now = reasons(item, Config(), references=after)
    cut = {"particles": "needs picking, which must run"}
    assert now == {"picking": "BoxNet model replaced", **cut}
    assert wanted_hash(Config(), before) != wanted_hash(Config(), after)  # failures are retried
    # a model that cannot be read now is the next run's error, no reason to doubt what is there
    assert reasons(item, Config(), references=with_model("")) == {}
    named = config(picking={"model": "own"})
    told = "picking.model 'boxnet' -> 'own'"
    assert reasons(item, named, references=after) == {"picking": told, **cut}
    off = config(picking={"enabled": False})
    gone = {"particles": "picking was switched off"}
    assert reasons(item, off, references=after) == gone


def test_picks_that_were_edited_are_cut_out_anew():
    item = processed(Config())
    edited = replace(item.records["picking"], result={"edits": "abc"})
    changed = replace(item, records={**item.records, "picking": edited})
    assert reasons(changed, Config()) == {"particles": "what picking found was edited since"}
    assert reasons(processed(Config(), item=changed, at=300.0), Config()) == {}


def test_thresholds_of_the_picking_make_no_earlier_stage_outdated():
    item = processed(Config())
    for key, value in (("min_score", 0.5), ("diameter_angstrom", 150.0)):
        assert list(reasons(item, config(picking={key: value}))) == ["picking", "particles"]


def test_a_setting_that_a_record_does_not_know_had_its_default():
    item = processed(Config())
    motion = item.records["motion"]
    settings = {key: value for key, value in motion.settings.items() if key != "patch_size_px"}
    older = replace(item, records={**item.records, "motion": replace(motion, settings=settings)})
    assert "motion" not in reasons(older, Config())
    assert reasons(older, config(motion={"patch_size_px": 768}))["motion"] == (
        "motion.patch_size_px 512 -> 768"
    )


def test_a_problem_of_the_metadata_is_the_reason():
    item = StoredItem("a.mrc", 0, problem="processed by Warp, not by warptui")
    assert reasons(item, Config())["motion"] == "processed by Warp, not by warptui"


def test_a_section_may_be_narrowed_to_single_settings():
    narrow = (STAGES[0]._replace(sections=("input", "optics.voltage")),)
    record = make_record(
        "motion", None, Config(), REFERENCES, FINGERPRINT, result={}, finished_at=1.0,
        seconds=1.0, device="cpu", program_version="0", stages=narrow,
    )  # fmt: skip
    item = StoredItem("a.mrc", 1).with_record(record)

    def steps(settings: Config) -> tuple[Step, ...]:
        return plan(item, settings, REFERENCES, FINGERPRINT, stages=narrow).steps

    assert steps(config(optics={"cs": 0.01})) == ()
    assert steps(config(optics={"voltage": 200.0}))[0].reason == "optics.voltage 300 -> 200"


def test_only_what_can_change_a_result_changes_the_name_of_what_is_wanted():
    wanted = wanted_hash(Config(), REFERENCES)
    assert wanted_hash(config(compute={"threads": 1}, input={"folder": "/x"}), REFERENCES) == wanted
    assert wanted_hash(config(average={"skip_last": 1}), REFERENCES) != wanted
    assert wanted_hash(config(motion={"enabled": False}), REFERENCES) != wanted
    assert (
        wanted_hash(Config(), References({"input.gain": "gain2", "input.defects": "defects1"}))
        != wanted
    )
    off = config(average={"enabled": False})
    off_and_changed = config(average={"enabled": False, "skip_last": 1})
    assert wanted_hash(off, REFERENCES) == wanted_hash(off_and_changed, REFERENCES)


def test_two_files_that_would_share_their_results_are_not_both_taken():
    taken = {"NAME": Path("/raw/NAME.mrc")}
    assert "NAME.mrc" in refusal(Path("/raw/NAME.tif"), taken)
    assert "came first" in refusal(Path("/raw/sub/NAME.mrc"), taken)
    assert refusal(Path("/raw/NAME.mrc"), taken) == ""
    assert refusal(Path("/raw/OTHER.mrc"), taken) == ""


def test_names_without_room_for_results_are_refused_and_odd_ones_are_not():
    assert "at most 251" in refusal(Path("/raw") / ("x" * 252 + ".gz"), {})
    assert "UTF-8" in refusal(Path("/raw") / "bad\udcff.mrc", {})
    for name in (
        "a b.mrc",
        "a'\"#.mrc",
        "a\nb.mrc",
        "é\u0301ü漢.mrc",
        "-rf.mrc",
        "x" * 251 + ".mrc",
    ):
        assert refusal(Path("/raw") / name, {}) == ""


settings_changes = st.fixed_dictionaries(
    {},
    optional={
        "motion": st.fixed_dictionaries(
            {},
            optional={
                "enabled": st.booleans(),
                "b_factor": st.floats(-1e4, 0),
                "local_grid": st.lists(st.integers(1, 9), min_size=3, max_size=3),
            },
        ),
        "average": st.fixed_dictionaries(
            {}, optional={"enabled": st.booleans(), "skip_first": st.integers(0, 5)}
        ),
        "input": st.fixed_dictionaries(
            {}, optional={"pixel_size": st.floats(0, 10), "gain": st.sampled_from(["", "g", "h"])}
        ),
        "optics": st.fixed_dictionaries({}, optional={"voltage": st.floats(100, 300)}),
    },
)
references = st.builds(
    lambda gain, defects: References({"input.gain": gain, "input.defects": defects}),
    st.sampled_from(["", "1", "2"]),
    st.sampled_from(["", "1"]),
)


@given(
    st.lists(
        st.tuples(settings_changes, references, st.sampled_from(["f", "g"])), min_size=1, max_size=4
    )
)
def test_doing_what_the_plan_says_leaves_nothing_to_do(history: list[Any]):
    item: StoredItem | None = None
    for number, (changes, known, fingerprint) in enumerate(history):
        settings = config(**changes)
        item = processed(settings, known, fingerprint, item, at=1000.0 * number)
        assert plan(item, settings, known, fingerprint) == UpToDate()


@given(settings_changes, settings_changes, st.sampled_from(["", "motion", "average"]))
def test_a_crash_after_any_stage_costs_only_the_rest(
    first: dict[str, Any], second: dict[str, Any], last_saved: str
):
    item = processed(config(**first))
    wanted = config(**second)
    order = [stage.name for stage in STAGES]
    saved = tuple(order[: order.index(last_saved) + 1]) if last_saved else ("none",)
    before = set(reasons(item, wanted))
    crashed = processed(wanted, item=item, only=saved, at=500.0)
    assert set(reasons(crashed, wanted)) == before - set(saved)


class ExtraSettings(StageSettings):
    """A stage that reads the average only to deconvolve it."""


EXTRA = Stage(
    "extra",
    MOVIE,
    ExtraSettings,
    StageResult,
    lambda item, bench, settings: StageResult(),
    needs=Needs(("average",)),
    sections=("input", "average.deconvolution"),
    needs_with=lambda config: ("average",) if config.stage("average").deconvolve else (),
)
WITH_EXTRA = (STAGES[0], STAGES[1], EXTRA)


def extra_reasons(before: dict[str, Any], now: dict[str, Any]) -> dict[str, str]:
    """What runs when the settings of the average change from ``before`` to ``now``."""

    def settings(average: dict[str, Any]) -> Config:
        return Config(stages={"average": AverageSettings(**average), "extra": ExtraSettings()})

    item = StoredItem("a.mrc", 1, raw_path="/raw/a.mrc")
    old, new = settings(before), settings(now)
    for step in plan(item, old, REFERENCES, FINGERPRINT, stages=WITH_EXTRA).steps:
        record = make_record(
            step.stage, item, old, REFERENCES, FINGERPRINT, result={}, finished_at=1.0,
            seconds=1.0, device="cpu", program_version="0", stages=WITH_EXTRA,
        )  # fmt: skip
        item = item.with_record(record)
    item = StoredItem.from_json(json.loads(json.dumps(item.to_json())))  # as it is read back
    assert plan(item, old, REFERENCES, FINGERPRINT, stages=WITH_EXTRA) == UpToDate()
    steps = plan(item, new, REFERENCES, FINGERPRINT, stages=WITH_EXTRA).steps
    return {step.stage: step.reason for step in steps}


def test_a_setting_may_concern_another_stage_than_that_of_its_section():
    on = {"deconvolve": True}
    assert extra_reasons({}, on) == {"extra": "average.deconvolution [] -> [1, 1, 300]"}
    stronger = {**on, "deconvolution_strength": 1.5}
    assert list(extra_reasons(on, stronger)) == ["extra"]
    assert extra_reasons({}, {"deconvolution_strength": 1.5}) == {}  # nothing is deconvolved


def test_a_need_that_is_none_with_these_settings_makes_nothing_outdated():
    assert list(extra_reasons({}, {"skip_first": 1})) == ["average"]
    on = {"deconvolve": True}
    assert list(extra_reasons(on, {**on, "skip_first": 1})) == ["average", "extra"]
