"""A verdict on a training in words: whether its scores show a better or a worse network."""

from __future__ import annotations

import math
from collections.abc import Mapping

from warptui.engine.training.example import Tally

_SIGMAS = 2.0  # a smaller difference may be chance
_FORGOTTEN = 0.03  # loss of F1 on the curated set above which the loss is reported
_FEW = 50  # held-out particles: fewer are too few to rely on


def verdict(
    before: Tally | None,
    after: Tally | None,
    n_held_out: int,
    old_before: Tally,
    old_after: Tally,
    new_after: Tally,
) -> str:
    """The verdict in one or two sentences; ``before`` and ``after`` are of the held-out set."""
    if before is None or after is None or after.there == 0:
        words = (
            "not known whether it is better: no micrograph with particles was held out"
            f"{_known(new_after)}"
        )
    else:
        words = _compare(before, after, n_held_out)
    lost = (old_before.f1 or 0.0) - (old_after.f1 or 0.0)
    if lost > max(_FORGOTTEN, _SIGMAS * _error(old_after)):
        words += (
            f"; it forgot some of what it knew: F1 {_f1(old_after)} instead of {_f1(old_before)} "
            "on the curated set"
        )
    return words


def other_score(scores: Mapping[float, Tally], after: Tally, min_score: float) -> str:
    """Advice on a clearly better picking.min_score; "" if the present value is as good."""
    known = [(tally.f1 or 0.0, score) for score, tally in scores.items()]
    if not known:
        return ""
    best, score = max(known)
    if best - (after.f1 or 0.0) <= _SIGMAS * math.hypot(_error(after), _error(after)):
        return ""
    return (
        f"with picking.min_score = {score:g} instead of {min_score:g} F1 on held-out micrographs "
        f"would be {best:.3f}"
    )


def _compare(before: Tally, after: Tally, n_held_out: int) -> str:
    gain = (after.f1 or 0.0) - (before.f1 or 0.0)
    doubt = _SIGMAS * math.hypot(_error(before), _error(after))
    micrographs = "1 held-out micrograph" if n_held_out == 1 else f"{n_held_out} held-out ones"
    numbers = f"F1 {_f1(after)} instead of {_f1(before)} on {micrographs}"
    if gain > doubt:
        words = f"better on your micrographs: {numbers}"
    elif gain < -doubt:
        words = f"worse on your micrographs: {numbers}; better keep the one before"
    else:
        words = f"no clear difference: {numbers}"
    if after.there < _FEW:
        words += f", with only {after.there} particles: mark more to know"
    return words


def _error(tally: Tally) -> float:
    """Standard error of F1, approximated as that of a share of this many particles."""
    f1 = tally.f1 or 0.0
    return math.sqrt(max(f1 * (1 - f1), 0.01) / max(tally.there, 1))


def _f1(tally: Tally) -> str:
    return "-" if tally.f1 is None else f"{tally.f1:.3f}"


def _known(new_after: Tally) -> str:
    if new_after.f1 is None:
        return ""
    return f" (F1 {_f1(new_after)} on what it learned from is no estimate)"
