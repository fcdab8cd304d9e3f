"""STAR files of the particles of items, as extraction leaves them, without any images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from warptui.engine.exporters.rows import Source
from warptui.engine.formats.star.tables import Table, write_star
from warptui.engine.model.stored import StageRecord, StoredItem

OPTICS = (
    "rlnOpticsGroupName", "rlnOpticsGroup", "rlnMicrographOriginalPixelSize",
    "rlnMicrographPixelSize", "rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast",
    "rlnImagePixelSize", "rlnImageSize", "rlnImageDimensionality",
)  # fmt: skip
PLACES = (
    "rlnImageName", "rlnCoordinateX", "rlnCoordinateY", "rlnMicrographName",
    "rlnAutopickFigureOfMerit",
)  # fmt: skip
CTF = (
    "rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnPhaseShift", "rlnCtfMaxResolution",
)  # fmt: skip


def write_item(
    project: Path, number: int, n: int, *, box: int = 128, with_ctf: bool = True, mark: float = 0.0
) -> Source:
    """Write one item's STAR file of ``n`` particles; ``mark`` tells versions apart."""
    root, path = f"m{number:05d}", f"particles/m{number:05d}_net.star"
    labels = (*PLACES, *(CTF if with_ctf else ()), "rlnOpticsGroup")
    found = (15000.0 + number, 14800.5, 31.25, 0.0, 3.75) if with_ctf else ()
    rows = [
        (
            f"{k:06d}@particles/{root}_net.mrcs",
            10.5 * k,
            mark,
            f"average/{root}.mrc",
            0.98,
            *found,
            1,
        )
        for k in range(1, n + 1)
    ]
    optics = [("opticsGroup1", 1, 1.0, 1.0, 300.0, 2.7, 0.07, 1.5, box, 2)]
    tables = (Table("optics", OPTICS, optics), Table("particles", labels, rows))
    write_star(project / path, tables)
    raw_path = str(project / "movies" / f"{root}.mrc")
    return Source(f"{root}.mrc", number, f"{n}:{box}:{mark}", path, raw_path=raw_path)


def stored_item(name: str, sequence: int, **results: dict) -> StoredItem:
    """What is stored of an item: results by stage."""
    item = StoredItem(name, sequence)
    for stage, result in results.items():
        record = StageRecord(stage, 1, {}, {}, result, 1.0, 1.0, "cpu", "0")
        item = replace(item, records={**item.records, stage: record})
    return item
