"""A training in words, curves and marks, without an app."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.screens import fake_training
from tests.screens.fake_engine import FakeEngine, synthetic_rows
from warptui.engine.model.training import ModelInfo, TrainingRequest, TrainingStatus
from warptui.screens import words
from warptui.screens.look.glyphs import ASCII, UNICODE
from warptui.screens.look.palette import VARIABLES, _palette
from warptui.screens.training import words as said
from warptui.screens.training.account import Shown, account
from warptui.screens.training.curves import loss_plot, scores_plot
from warptui.screens.training.form import make_request, start_field, training_draft
from warptui.screens.training.pictures import Compared, compare, matched, read_compared
from warptui.screens.widgets.plots.chart import Plot

COLOURS = _palette(tuple(VARIABLES.items()))
KEYS = {"train": "t", "stop": "x", "use": "u", "discard": "d", "resume": "R"}
EXAMPLES = fake_training.examples(synthetic_rows(1284))


def text(shown: Shown, glyphs=UNICODE) -> str:
    lines = account(replace(shown, keys=KEYS), COLOURS, glyphs)
    return "\n".join("".join(part for part, _ in line) for line in lines)


def status(**changes) -> TrainingStatus:
    begun = fake_training.begun(TrainingRequest(), EXAMPLES)
    return replace(fake_training.at(begun, 400), **changes)


def test_examples_without_use_count_nowhere() -> None:
    counts = said.counted(EXAMPLES)
    useful = [example for example in EXAMPLES if not example.problem]
    learn = [example for example in useful if example.role == "examples"]
    assert counts.useless == 1
    assert counts.learn + counts.held_out == len(useful)
    assert counts.positive == sum(example.n_particles for example in learn)
    assert counts.held_out_positive + counts.positive == sum(e.n_particles for e in useful)
    assert said.totals(counts).endswith("1 none")
    assert said.totals(said.counted([])) == "0 learn, 0 held out"


def test_what_a_training_takes_is_told_or_a_dash() -> None:
    told = {"n_steps": 1000, "seconds": 900.0, "device": "cuda:1"}
    assert said.task(told, 8) == "1,000 steps (8,000 windows) on cuda:1, about 15 min"
    assert said.task({"n_steps": 1, "seconds": None}, None) == "1 step, for an unknown time"
    assert words.UNKNOWN in said.task({}, 8)


def test_the_question_says_that_processing_pauses_and_what_is_missing() -> None:
    told = {"model": "boxnet_3", "start_from": "boxnet", "n_steps": 10, "seconds": 60.0,
            "n_examples": 1, "n_particles": 200, "n_held_out": 0,
            "notes": ["the diameter is far from the particles'"]}  # fmt: skip
    asked = said.question(told, 8, runs=True, resume=False)
    assert "Train boxnet_3, starting from boxnet?" in asked
    assert "Processing pauses until it is done, then goes on by itself" in asked
    assert "the new model cannot be judged" in asked
    assert "! the diameter is far" in asked
    assert "1 micrograph with 200 particles" in asked
    paused = said.question({**told, "n_held_out": 2}, 8, runs=False, resume=True)
    assert "stays paused, as it is now" in paused and "Go on training" in paused
    assert "cannot be judged" not in paused


def test_using_a_model_says_what_is_picked_again() -> None:
    model = ModelInfo("boxnet_3", "ready")
    told = {"n_items": 1102, "outdated": {"picking": 1102}, "seconds": 720.0}
    asked = said.use_question(model, told, runs=True, key="s")
    assert "1,102 items are picked again, about 12 min" in asked and "immediately" in asked
    assert "s starts it" in said.use_question(model, told, runs=False, key="s")
    assert "No item becomes outdated" in said.use_question(model, {}, runs=True, key="s")
    wrong = said.use_question(model, {"problems": {"picking.model": "no such"}}, runs=True, key="s")
    assert "! no such" in wrong


def test_a_running_training_says_how_far_it_is_and_how_long_it_takes() -> None:
    shown = Shown(ModelInfo("boxnet_3", "training"), status(), fake_training.metrics(400))
    told = text(shown)
    assert "40 %  about 9 min left" in told
    assert "epoch 40/100  step 400/1,000" in told
    assert "none before it is done" in told and "x stops it" in told
    assert "not begun in this window" in text(replace(shown, begun_here=False))
    assert "not begun in this window" not in told
    unknown = text(replace(shown, status=status(seconds_left=None, loss=None)))
    assert "time left –" in unknown and "loss" not in unknown


def test_held_out_numbers_are_the_ones_that_count_and_unknown_ones_are_dashes() -> None:
    metrics = [{**line, "held_out": None, "held_out_old": None}
               for line in fake_training.metrics(1000)]  # fmt: skip
    done = status(phase="done", n_held_out=0, verdict="")
    told = text(Shown(ModelInfo("boxnet_3", "ready"), done, metrics))
    line = next(line for line in told.split("\n") if " H " in line)
    assert line.count("–") == 2 and "nothing is known" in line
    assert "not known whether it is better" in told
    assert "better on" not in told


def test_the_report_goes_before_what_was_measured_on_the_way() -> None:
    report = {"held_out_before": {"f1": 0.5}, "held_out_after": {"f1": 0.6}, "n_held_out": 1,
              "chosen_by": "F1 on the held-out micrographs"}  # fmt: skip
    rows = said.score_table(fake_training.metrics(1000)[-1], report, "f1", 1)
    assert (rows[0].before, rows[0].now) == (0.5, 0.6)
    assert rows[1].now == fake_training.metrics(1000)[-1]["new_on_new"]["f1"]
    notes = said.doubts(report, 1)
    assert any("one held-out micrograph" in note for note in notes)
    assert any("flatters" in note for note in notes)
    assert not said.doubts({"chosen_by": "the last step"}, 3)


@pytest.mark.parametrize(
    ("changes", "model", "expected", "absent"),
    [
        ({"phase": "failed", "message": "the disk is full", "resumable": True}, "failed",
         ["failed", "! the disk is full", "R continues from its checkpoint"], ["uses it"]),
        ({"phase": "cancelled", "message": "cancelled", "resumable": False}, "cancelled",
         ["stopped", "d discards it"], ["R continues", "uses it"]),
        ({"phase": "done", "verdict": "better"}, "ready",
         ["done", "not used", "u uses it", "d discards it", "better"], ["stops it"]),
        ({"phase": "done", "used": True}, "ready",
         ["used for picking", "no verdict"], ["u uses it", "d discards"]),
    ],
)  # fmt: skip
def test_every_end_says_which_key_does_what(changes, model, expected, absent) -> None:
    info = ModelInfo("boxnet_3", model, used=bool(changes.get("used")))
    told = text(Shown(info, status(**changes), fake_training.metrics(1000)))
    for part in expected:
        assert part in told
    for part in absent:
        assert part not in told


def test_models_without_a_training_of_now_tell_where_they_come_from() -> None:
    earlier, stopped, bundled = fake_training.models()
    assert "on 4 micrographs, 611 particles" in text(Shown(earlier))
    assert "R continues" in text(Shown(stopped)) and "it stopped at step 400" in text(
        Shown(stopped)
    )
    told = text(Shown(bundled))
    assert "comes with the program" in told and "discards" not in told and "uses" not in told
    assert text(Shown()) == " no model is known yet"
    assert "t" not in text(Shown(earlier, lost=True)).split("\n")[-1].split()


def test_the_account_can_be_drawn_in_ascii() -> None:
    bar = said.bar(0.4, 10, ASCII)
    assert bar.isascii() and bar.count("#") == 4 and len(bar) == 10


def test_curves_of_both_networks_have_letters_and_the_old_ones_are_dotted() -> None:
    plot = scores_plot(fake_training.metrics(400), "f1")
    assert isinstance(plot, Plot)
    assert [curve.label for curve in plot.curves] == list("HEChec")
    assert [curve.dotted for curve in plot.curves] == [False] * 3 + [True] * 3
    assert plot.curves[3].y == pytest.approx(0.874)
    one = scores_plot(fake_training.metrics(0), "recall")
    assert isinstance(one, Plot) and all(curve.dotted for curve in one.curves)
    assert one.curves[3].x[-1] == 1
    lines = [{**line, "held_out": None, "held_out_old": None} for line in fake_training.metrics(99)]
    without = scores_plot(lines, "f1")
    assert isinstance(without, Plot) and [c.label for c in without.curves] == list("ECec")
    assert isinstance(scores_plot([], "f1"), str)
    assert isinstance(loss_plot(fake_training.metrics(0)), str)
    loss = loss_plot(fake_training.metrics(100))
    assert isinstance(loss, Plot) and np.isnan(loss.curves[0].y[0])


def test_picks_and_particles_are_matched_one_to_one() -> None:
    truth = np.array([[0.0, 0.0], [100.0, 0.0], [300.0, 0.0]])
    picks = np.array([[10.0, 0.0], [-5.0, 0.0], [120.0, 0.0], [999.0, 0.0]])
    right, seen = matched(picks, truth, 30.0)
    assert right.tolist() == [False, True, True, False]
    assert seen.tolist() == [True, True, False]
    right, seen = matched(np.zeros((0, 2)), truth, 30.0)
    assert not len(right) and not seen.any()


def test_before_and_after_are_of_the_same_micrograph(tmp_path: Path) -> None:
    engine = FakeEngine(60, tmp_path)
    report, compared = read_compared(engine, "boxnet_1")
    assert isinstance(compared, Compared)
    truth = len(np.load(report["truth"]))
    for found, key in ((compared.before, "before"), (compared.after, "after")):
        assert len(found.right) + len(found.wrong) == len(np.load(report[key]))
        assert len(found.right) + len(found.missed) == truth
        assert ((found.right > 0) & (found.right < 1)).all()
    assert len(compared.after.missed) < len(compared.before.missed)
    assert compared.title("after") == "after: F1 0.948"
    marks = compared.picture("before").layers
    assert len({mark.shape for mark in marks}) == len({mark.colour for mark in marks}) == 3
    assert compared.signs.startswith("○ right, × wrong, □ missed; ")


@pytest.mark.parametrize(
    ("report", "said_of"),
    [({}, "nothing is known"), ({"n_held_out": 0, "f1": 1}, "no micrograph was held out")],
)
def test_why_there_are_no_pictures(tmp_path: Path, report, said_of) -> None:
    engine = FakeEngine(60, tmp_path)
    engine.training_report = lambda name: report
    assert said_of in read_compared(engine, "boxnet_1")[1]


def test_damaged_picks_are_a_sentence(tmp_path: Path) -> None:
    engine = FakeEngine(60, tmp_path)
    report = engine.training_report("boxnet_1")
    Path(report["after"]).write_bytes(b"no array")
    engine.training_report = lambda name: report
    assert "cannot be read" in read_compared(engine, "boxnet_1")[1]
    np.save(report["after"], np.zeros(3))
    assert "no table of places" in read_compared(engine, "boxnet_1")[1]
    gone = compare(report, replace(engine.item(report["item"]), paths={}))
    assert isinstance(gone, str) and "its average is gone" in gone
    engine.training_report = lambda name: {**report, "item": "gone.tif"}
    assert "gone.tif" in read_compared(engine, "boxnet_1")[1]


def test_the_request_has_only_what_was_changed(tmp_path: Path) -> None:
    models = fake_training.models()
    draft = training_draft(models, {}, {"training": {"epochs": 50}}, tmp_path)
    assert make_request(draft) == TrainingRequest()
    fields = {field.key: field for field in draft.fields}
    assert draft.value(fields["epochs"]) == 50
    assert start_field(models).choices == ("boxnet_1", "boxnet")
    draft.set(fields["start_from"], fields["start_from"].next("boxnet"))
    draft.set(fields["new_model"], "apof_r1")
    draft.set(fields["corpus_percent"], 30.0)
    assert make_request(draft) == TrainingRequest(
        "apof_r1", "boxnet_1", settings={"corpus_percent": 30.0}
    )
    assert make_request(draft, resume="boxnet_2") == TrainingRequest("boxnet_2", resume=True)
    assert "at least 1" in draft.check((fields["epochs"], 0))["training.epochs"]
