"""Optics groups by beam shift: the options that ask for them, and the table that shows them."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from warptui.engine.exporters.base import BY_SHIFT, ONE_GROUP
from warptui.engine.model.exports import ExportRequest


def asked_for(call: argparse.Namespace, request: ExportRequest) -> ExportRequest:
    """Add these options to the request for an export."""
    switch = {None: (), "one": (ONE_GROUP,), "beam_shift": (BY_SHIFT,)}[call.optics_groups]
    typed = {
        "beam_shift_folder": call.beam_shift_folder,
        "beam_shift_distance": call.beam_shift_distance,
    }
    return replace(
        request,
        switches=(*request.switches, *switch),
        given=request.given | {name: value for name, value in typed.items() if value},
    )


def table(groups: dict[str, Any]) -> list[str]:
    """The table of groups, as lines of text."""
    if not groups.get("groups"):
        return []
    lines = [f"{'optics group':>12} {'items':>8} {'shift x':>12} {'shift y':>12}"]
    for row in groups["groups"]:
        if row["x"] is not None:
            place = f"{row['x']:12.5g} {row['y']:12.5g}  {row['unit']}"
        else:
            place = "  at no position of their own" if row["unit"] else "  without a beam shift"
        lines.append(f"{row['number']:12d} {row['n']:8,} {place}")
    return lines


def without_points(groups: dict[str, Any]) -> dict[str, Any]:
    """The answer for ``--json``: the groups without the beam shift of every image."""
    return {key: value for key, value in groups.items() if key != "points"}
