"""A verdict is never better than the numbers."""

from __future__ import annotations

import numpy as np

from warptui.engine.training.example import Tally, count_matches, total
from warptui.engine.training.verdict import other_score, verdict

OLD = Tally(100, 100, 95, 1, 1)


def of(f1: float, n: int = 400) -> Tally:
    return Tally(n, n, round(f1 * n))


def test_a_clear_gain_is_better() -> None:
    said = verdict(of(0.87), of(0.95), 3, OLD, OLD, of(0.99))
    assert said == "better on your micrographs: F1 0.950 instead of 0.870 on 3 held-out ones"


def test_a_small_gain_is_no_difference() -> None:
    assert verdict(of(0.93), of(0.94), 2, OLD, OLD, of(0.99)).startswith("no clear difference")
    few = verdict(of(0.7, 20), of(0.85, 20), 1, OLD, OLD, of(0.99))
    assert few.startswith("no clear difference") and "only 20 particles" in few


def test_a_loss_is_said() -> None:
    assert verdict(of(0.95), of(0.85), 2, OLD, OLD, of(0.99)).startswith("worse")


def test_without_held_out_particles_nothing_is_known() -> None:
    for before, after in ((None, None), (Tally(3, 0, 0), Tally(0, 0, 0))):
        said = verdict(before, after, 0, OLD, OLD, of(0.99))
        assert said.startswith("not known whether it is better") and "no estimate" in said


def test_forgetting_is_said() -> None:
    said = verdict(of(0.8), of(0.95), 2, of(0.95), of(0.8), of(0.99))
    assert said.startswith("better") and "forgot" in said and "0.800 instead of 0.950" in said


def test_matches_are_one_to_one_and_the_most_that_there_are() -> None:
    truth = np.array([[0.0, 0.0], [0.0, 4.0]])
    picks = np.array([[0.0, 2.0], [0.0, -2.0]])  # the first could be either
    limits = np.array([3.0, 3.0])
    assert count_matches(picks, truth, limits) == 2
    assert count_matches(picks[:1], truth, limits) == 1
    assert count_matches(np.zeros((0, 2)), truth, limits) == 0
    assert count_matches(picks + 100, truth, limits) == 0


def test_shares_of_nothing_are_not_known() -> None:
    told = total([Tally(0, 0, 0, 10, 9), Tally(0, 0, 0, 10, 10)]).to_json()
    assert told == {"precision": None, "recall": None, "f1": None, "accuracy": 0.95}


def test_another_lowest_score_is_named_where_it_clearly_finds_more() -> None:
    scores = {0.5: of(0.94), 0.95: of(0.6)}
    said = other_score(scores, of(0.6), 0.95)
    assert said == (
        "with picking.min_score = 0.5 instead of 0.95 F1 on held-out micrographs would be 0.940"
    )
    assert other_score(scores, of(0.93), 0.9) == ""
    assert other_score({}, of(0.93), 0.9) == ""
