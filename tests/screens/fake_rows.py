"""Rows of a session that never was: drifting values, a few failures, the newest still in work."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from tests.screens.fake_ctf import ctf_values, session_astigmatism
from tests.screens.fake_picking import picking_values
from warptui.engine.api.events import LogLine
from warptui.engine.items.selection import select
from warptui.engine.model.item import Choice, State
from warptui.engine.model.notices import Notice
from warptui.engine.model.row import ItemRow
from warptui.engine.model.summary import Summary
from warptui.engine.planning.limits import limits
from warptui.engine.planning.target import summaries as summaries_of
from warptui.engine.stages.registry import STAGES

SUMMARIES = summaries_of(STAGES)
START = 1_790_000_000.0  # a fixed clock: screens must not depend on the day
FILTERS = {"motion_max": 1.5}
# What later stages will declare: the screens must bear them without knowing them.
LATER = (
    Summary("alignment.residual_angstrom", "residual", "Å", "residual of the alignment", 1),
    Summary("matching.n_matches", "matches", "", "template matches", 0),
)


def later_values(number: int) -> dict[str, float | None]:
    """The values of `LATER` of an item; every tenth has no matches yet."""
    residual = 4.0 + 1.5 * np.sin(number / 11)
    matches = None if number % 10 == 3 else float(40 + number % 57)
    return {"alignment.residual_angstrom": float(residual), "matching.n_matches": matches}


def judged(row: ItemRow, summaries: tuple[Summary, ...], filters: dict[str, float]) -> ItemRow:
    """The row as the engine's filters make it."""
    bounds = limits(summaries, filters)
    found = select(
        row.choice,
        row.state,
        has_result=bool(row.summary),
        values=[row.summary.get(bound.key) for bound in bounds],
        limits=bounds,
    )
    reason = row.reason.partition("filtered: ")[0].removesuffix("; ")
    if found.filtered:
        reason = f"{reason}; {found.reason}" if reason else found.reason
    return replace(row, selected=found.selected, filtered=found.filtered, reason=reason)


PATTERN = 5000  # items of a session that are made one by one


def synthetic_rows(n: int) -> list[ItemRow]:
    """A session with drifting values, a few failures, and the newest still in work.

    Longer ones begin with the same values over and over.
    """
    return list(_synthetic_rows(n))


@lru_cache(maxsize=8)  # hundreds of tests look at the same few sessions
def _synthetic_rows(n: int) -> list[ItemRow]:
    repeated = max(0, n - 1) // PATTERN * PATTERN
    rows = _distinct_rows(n - repeated)
    pattern = _distinct_rows(PATTERN)[: -len(IN_WORK)] if repeated else []
    again = [replace(pattern[i % len(pattern)], **_identity(i, n)) for i in range(repeated)]
    return again + [replace(row, **_identity(repeated + i, n)) for i, row in enumerate(rows)]


def _identity(i: int, n: int) -> dict[str, Any]:
    """What no two items of a session have in common."""
    arrived = START + 11 * i + (6 * 3600 if i > 0.6 * n else 0)  # a night in which nothing came
    return {
        "name": f"FoilHole_{2900 + i // 12:04d}_Data_{i:04d}.tif",
        "sequence": i,
        "arrived_at": arrived,
        "finished_at": arrived + 20,
        "square": "" if i % 50 == 7 else str(18_890_000 + i // 200),
    }


IN_WORK: list[tuple[State, dict[str, Any]]] = [  # the newest first
    (State.WAITING, {"reason": "1.2 of 1.5 GB so far"}),
    (State.QUEUED, {}),
    (State.QUEUED, {}),
    (State.RUNNING, {"stage": "average", "fraction": 0.8}),
    (State.RUNNING, {"stage": "motion", "fraction": 0.45}),
]


def _distinct_rows(n: int) -> list[ItemRow]:
    random = np.random.default_rng(7)
    early = np.abs(0.62 + 0.15 * np.sin(np.arange(n) / 90) + random.gamma(1.2, 0.12, n))
    early[random.random(n) < 0.02] += 2.5
    rows = []
    for i in range(n):
        row = ItemRow(
            **_identity(i, n),
            state=State.DONE,
            summary={
                "motion.early_motion": float(early[i]),
                "motion.total_motion": float(early[i] * 9 + random.normal(0, 1)),
                "motion.shift_error": float(0.2 + random.gamma(2, 0.05)),
                "motion.confidence": float(np.clip(random.normal(0.9, 0.05), 0, 1)),
                "average.mean_electrons": float(31 + random.normal(0, 0.7)),
                **ctf_values(i),
                **picking_values(i),
            },
        )
        if i % 283 == 241:  # empty ice
            row = replace(row, summary=row.summary | dict.fromkeys(_MOTION))
        if i % 397 == 211:
            row = replace(
                row,
                state=State.FAILED,
                summary={},
                tries=3,
                failed_at=START + 11 * i + 20,
                reason="21 of 40 frames can be read: the file is truncated. Copy it again",
            )
        elif i % 611 == 300:
            row = replace(row, state=State.OUTDATED)
        elif i % 150 == 77:
            row = replace(row, choice=Choice.EXCLUDE)
        elif i % 331 == 99:
            row = replace(row, choice=Choice.INCLUDE)
        rows.append(row)
    for back, (state, extra) in enumerate(IN_WORK):
        if n > 20:
            i = n - 1 - back
            rows[i] = replace(
                rows[i],
                state=state,
                choice=Choice.AUTO,
                summary={},
                **{"reason": "", **extra},
            )
    rows, _ = session_astigmatism(rows)
    return [judged(row, SUMMARIES, FILTERS) for row in rows]


_MOTION = tuple(summary.key for summary in SUMMARIES if summary.label in ("motion", "total motion"))


def synthetic_log(rows: list[ItemRow]) -> list[LogLine]:
    """What the engine said about the last items."""
    lines = [LogLine(START, "info", "watching /data/k3/movies with 0 known items")]
    for row in rows[-60:]:
        at, name = row.arrived_at, row.name
        if row.state is State.FAILED:
            lines.append(LogLine(at + 20, "warning", f"motion: {row.reason}", name))
        elif row.state is State.DONE:
            lines.append(LogLine(at + 14, "debug", "motion took 6.0 s on cuda0", name))
            motion = row.summary["motion.early_motion"]
            said = "" if motion is None else f", motion {motion:.2f} Å/frame"
            lines.append(LogLine(at + 20, "info", f"done in 8.1 s{said}", name))
    last = max(START, *(line.at for line in lines))
    lines.append(LogLine(last + 15, "error", "cuda1: the worker died of SIGKILL at motion"))
    return lines


def synthetic_notices() -> tuple[Notice, ...]:
    """What nobody has seen yet."""
    failed = "3 items failed, the last: FoilHole_2983_Data_1005.tif: the file is truncated"
    return (
        Notice(1, START, "no_new_file_minutes", "warning", "no new file for 20 min"),
        Notice(2, START + 9, "failed_item", "error", failed, "FoilHole_2983_Data_1005.tif"),
    )
