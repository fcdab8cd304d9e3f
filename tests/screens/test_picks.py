"""Editing picks: pure, without any screen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from warptui.engine.model.edits import Edits, Spot
from warptui.screens.item import picks
from warptui.screens.item.picks import Field, Place
from warptui.screens.link.pending_edits import PendingEdits

PIXEL, DIAMETER = 2.0, 100.0


def field(*places: tuple[float, float, float], edits: Edits | None = None) -> Field:
    """Candidates at (y, x) Å with a score."""
    table = np.array([(y / PIXEL, x / PIXEL, score, 30) for y, x, score in places], np.float32)
    return Field(
        table.reshape(-1, 4), None, (1000, 1500), PIXEL, DIAMETER, 0.9, 0.0, edits or Edits()
    )


def done(found) -> Edits:
    assert not isinstance(found, str), found
    return found[0]


def after(of: Field, *steps) -> Field:
    """The field after edits in a row."""
    for change, place in steps:
        of = of.edited(done(change(of, place)))
    return of


def at(of: Field) -> set[tuple[float, float]]:
    return {(round(y), round(x)) for y, x in of.chosen.positions_yx_angstrom.tolist()}


SOME = field((200, 300, 0.99), (600, 700, 0.95), (900, 1200, 0.6))


def test_places_and_fractions_are_inverse() -> None:
    for fraction in ((0.0, 1.0), (0.5, 0.5), (0.123, 0.9)):
        place = SOME.place(fraction)
        np.testing.assert_allclose(SOME.fractions(np.array([place]))[0], fraction)
    # the middle of the first pixel is half a pixel from the picture's corner
    np.testing.assert_allclose(SOME.fractions(np.zeros((1, 2)))[0], (0.5 / 1000, 0.5 / 1500))


def test_a_particle_is_added_where_none_was_seen() -> None:
    edited = after(SOME, (picks.add, (400.0, 400.0)))
    assert at(edited) == {(200, 300), (600, 700), (400, 400)}
    assert edited.n_edits == 1


def test_a_hardly_missed_candidate_is_taken_where_it_is() -> None:
    edited = after(SOME, (picks.add, (920.0, 1185.0)))
    assert edited.edits.added == (Spot(y_angstrom=900, x_angstrom=1200),)


@pytest.mark.parametrize("place", [(210.0, 310.0), (-5.0, 300.0), (300.0, 3000.0)])
def test_none_is_added_twice_or_outside(place: Place) -> None:
    assert isinstance(picks.add(SOME, place), str)


def test_the_nearest_pick_is_removed_and_comes_back_when_it_is_added_there() -> None:
    gone = after(SOME, (picks.remove, (230.0, 330.0)))
    assert at(gone) == {(600, 700)}
    assert gone.edits.removed == (Spot(y_angstrom=200, x_angstrom=300),)
    back = after(gone, (picks.add, (190.0, 320.0)))
    assert back.edits == Edits()
    assert at(back) == at(SOME)


def test_what_was_added_goes_without_a_trace() -> None:
    steps = (picks.add, (400.0, 400.0)), (picks.remove, (410.0, 390.0))
    assert after(SOME, *steps).edits == Edits()


def test_removing_what_was_added_in_the_place_of_a_pick_leaves_none_there() -> None:
    added = SOME.edited(Edits(added=(Spot(y_angstrom=220, x_angstrom=300),)))
    assert at(added) == {(600, 700), (220, 300)}
    assert at(after(added, (picks.remove, (220.0, 300.0)))) == {(600, 700)}


def test_nothing_far_from_the_crosshair_is_removed() -> None:
    assert "100 Å" in str(picks.remove(SOME, (400.0, 500.0)))
    assert "no picks" in str(picks.remove(field(), (400.0, 500.0)))


def test_a_double_click_takes_away_or_adds() -> None:
    assert at(after(SOME, (picks.toggle, (210.0, 310.0)))) == {(600, 700)}
    assert len(at(after(SOME, (picks.toggle, (400.0, 400.0))))) == 3


@pytest.mark.parametrize("kind", ["uncertain", "certain"])
def test_an_area_is_painted_and_taken_away_at_the_same_place(kind: str) -> None:
    def paint(of: Field, place: Place):
        return picks.paint(of, place, 150.0, kind)

    painted = after(SOME, (paint, (400.0, 400.0)))
    spot = Spot(y_angstrom=400, x_angstrom=400, radius_angstrom=150)
    assert getattr(painted.edits, kind) == (spot,)
    assert at(painted) == at(SOME)
    beside = after(painted, (paint, (400.0, 500.0)))
    assert len(getattr(beside.edits, kind)) == 2
    assert after(painted, (paint, (410.0, 420.0))).edits == Edits()


def test_the_threshold_moves_by_steps_that_are_finer_where_most_scores_lie() -> None:
    now, seen = SOME, [SOME.threshold]
    while not isinstance(found := picks.move_threshold(now, 1), str):
        now = now.edited(found[0])
        seen.append(now.threshold)
    assert seen == sorted(set(seen))
    assert seen[-1] == 1.0
    assert np.diff(seen)[-1] < np.diff(seen)[0]
    assert len(now.chosen) == 0
    for _ in range(len(seen) - 1):
        now = now.edited(done(picks.move_threshold(now, -1)))
    assert now.edits == Edits()  # where the settings' own is, nothing is the item's own
    while not isinstance(found := picks.move_threshold(now, -1), str):
        now = now.edited(found[0])
    assert now.threshold == 0.4
    assert len(now.chosen) == 3


def test_a_threshold_of_the_settings_between_the_steps_is_one_itself() -> None:
    odd = replace(SOME, min_score=0.931)
    up = odd.edited(done(picks.move_threshold(odd, 1)))
    assert up.threshold == 0.94
    assert done(picks.move_threshold(up, -1)).min_score is None


def test_training_marks_go_round() -> None:
    now, seen = SOME, []
    for _ in range(3):
        now = now.edited(picks.mark(now)[0])
        seen.append(now.edits.training)
    assert seen == ["examples", "held-out", ""]
    assert not picks.switch_mask(now)[0].train_mask


def test_the_brush_has_ends() -> None:
    radius = 100.0
    for _ in range(100):
        radius = picks.brush(radius, -1)
    assert radius == 10.0
    assert picks.brush(radius, 1) > radius


# the book


def edits(number: int) -> Edits:
    return Edits(added=(Spot(y_angstrom=number, x_angstrom=0),))


def test_undo_and_redo_go_through_the_visit() -> None:
    book, now = PendingEdits(), Edits()
    for number in range(5):
        book.put("a", now, edits(number))
        now = edits(number)
    for number in (3, 2, 1, 0):
        assert book.undo("a", book.over("a", Edits()))
        assert book.over("a", Edits()) == edits(number)
    assert book.redo("a", book.over("a", Edits()))
    assert book.over("a", Edits()) == edits(1)
    book.put("a", edits(1), edits(9))
    assert not book.redo("a", edits(9))  # another way was taken
    assert not book.undo("b", Edits())


def test_a_slider_is_one_step_back() -> None:
    book, now = PendingEdits(), edits(0)
    for score in (0.9, 0.8, 0.7):
        new = now.model_copy(update={"min_score": score})
        book.put("a", now, new, "threshold")
        now = new
    assert book.undo("a", now)
    assert book.over("a", Edits()) == edits(0)
    assert not book.undo("a", edits(0))


def test_the_newest_alone_is_sent_and_one_at_a_time() -> None:
    book = PendingEdits()
    book.put("a", Edits(), edits(1))
    assert book.take() == ("a", edits(1))
    book.put("a", edits(1), edits(2))
    book.put("a", edits(2), edits(3))
    assert book.take() is None  # it is on its way
    book.arrived("a")
    assert book.unsaved == ["a"]
    assert book.take() == ("a", edits(3))
    book.arrived("a")
    assert book.unsaved == []
    assert book.take() is None


def test_what_was_refused_is_kept_said_once_and_sent_again() -> None:
    book = PendingEdits()
    book.put("a", Edits(), edits(1))
    book.take()
    assert book.refused("a", "disk full")
    assert book.why_unsaved("a") == "disk full"
    assert book.take() == ("a", edits(1))
    assert not book.refused("a", "disk full")
    book.take()
    book.arrived("a")
    assert book.why_unsaved("a") == ""


def test_an_edit_stands_over_what_was_read_before_the_engine_had_it() -> None:
    book = PendingEdits()
    mark = book.mark("a")
    book.put("a", Edits(), edits(1))
    book.read("a", mark, Edits())  # it was read before
    assert book.over("a", Edits()) == edits(1)
    mark = book.mark("a")
    book.take()
    book.arrived("a")
    book.read("a", mark, Edits())  # it was read while the edit was on its way
    assert book.over("a", Edits()) == edits(1)
    book.read("a", book.mark("a"), edits(1))
    assert book.over("a", edits(1)) == edits(1)
    assert book.undo("a", edits(1))


def test_what_somebody_else_did_since_is_never_undone() -> None:
    book = PendingEdits()
    book.put("a", Edits(), edits(1))
    book.take()
    book.arrived("a")
    book.read("a", book.mark("a"), edits(1))
    book.read("a", book.mark("a"), edits(7))  # of another viewer
    assert book.over("a", edits(7)) == edits(7)
    assert not book.undo("a", edits(7))
