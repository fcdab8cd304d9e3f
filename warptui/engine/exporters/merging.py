"""One list of the particles of many items, for RELION 3.1 and later, or for 3.0.

The rows are copied as text: a million of them take a second, and no memory to speak of.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from warptui.engine.exporters.row_cache import Spool
from warptui.engine.formats.star.rows import GROUP, GROUP_NAME, Head, table_head
from warptui.engine.formats.writing import replacing
from warptui.engine.model.stored import digest

BLOCK = 1 << 20  # bytes that are written at a time
MAGNIFICATION = "10000.0"  # by which a detector's pixel in µm is the particles' in Å
VERSION_30, VERSION_31 = "3.0", "3.1"
NO_LABELS: Mapping[str, int] = {}
_OLD = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")  # in each row, for 3.0


@dataclass(frozen=True)
class Written:
    """What came of it."""

    rows: int
    items: int
    groups: int
    of_items: Mapping[str, int]  # number of each item's optics group


def write_gathered(
    path: Path,
    spool: Spool,
    names: Iterable[str],
    *,
    like: Head,
    version: str = VERSION_31,
    stop: Callable[[], None] = lambda: None,
    durable: bool = True,
    labels: Mapping[str, int] = NO_LABELS,
    numbers: dict[str, int] | None = None,
) -> Written:
    """Write the rows of these items, which have the same labels, beside ``path``, then rename.

    Parameters
    ----------
    like
        The labels of the rows, and of the optics: those of all these items.
    stop
        Called between blocks; raises when the writing is to end.
    durable
        Whether it has to be on the disk when this returns, and not only readable: a power cut may
        take what is not, and the next engine writes it again.
    labels
        Of items that are optics groups of their own, whatever their optics; see `beam_groups`.
    numbers
        Of the groups that were written before, which keep them; new ones are added.

    Raises
    ------
    OSError
        When it cannot be written: what was there stays.
    """
    names = list(names)
    numbers = {} if numbers is None else numbers
    of_items, groups = _groups(spool, names, labels, numbers)
    rows = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        with part.open("wb") as file:  # a bare one takes what there is room for, and no more
            file.write(_beginning(like, groups, version))
            block, filled = [], 0
            for name in names:
                kept = spool.items[name]
                text = spool.read(name)
                block.append(text.replace(b"\n", _ending(kept.head, of_items[name], version)))
                filled += len(block[-1])
                rows += kept.n
                if filled > BLOCK:
                    file.write(b"".join(block))
                    block, filled = [], 0
                    stop()
            file.write(b"".join(block) + b"\n")
            file.flush()
            if durable:
                os.fsync(file.fileno())
        stop()
    return Written(rows, len(names), len(groups), of_items)


def richness(head: Head) -> int:
    """How much rows tell."""
    return len(head.labels) + len(head.optics)


def alike(spool: Spool, names: list[str]) -> tuple[Head | None, list[str], int]:
    """Items whose rows have the same columns, the richest there are; and how many have not."""
    heads = Counter(spool.items[name].head for name in names if spool.items[name].n)
    if not heads:
        return None, [], 0
    like = max(heads, key=richness)
    labels = like.labels, [label for label, _ in like.optics]
    fits = {head: (head.labels, [label for label, _ in head.optics]) == labels for head in heads}
    alike = [name for name in names if not spool.items[name].n or fits[spool.items[name].head]]
    alike = [name for name in alike if spool.items[name].n]
    return like, alike, sum(n for head, n in heads.items() if not fits[head])


def group_key(head: Head, label: int) -> str:
    """Names an optics group, also to another engine."""
    return f"{label}:{_digest(head)}"


@lru_cache(maxsize=64)
def _digest(head: Head) -> str:
    return digest([head.labels, head.optics])


def _groups(
    spool: Spool, names: list[str], labels: Mapping[str, int], numbers: dict[str, int]
) -> tuple[dict[str, int], dict[int, Head]]:
    """Each item's number, and the optics of each: numbered in the order in which items came in."""
    known: dict[tuple[Head, int], int] = {}
    of_items = {}
    for name in names:
        group = spool.items[name].head, labels.get(name, 0)
        if group not in known:
            last = max(numbers.values(), default=0)
            known[group] = numbers.setdefault(group_key(*group), last + 1)
        of_items[name] = known[group]
    return of_items, {number: head for (head, _), number in known.items()}


def _beginning(like: Head, groups: Mapping[int, Head], version: str) -> bytes:
    if version == VERSION_30:
        labels = (*like.labels, *(label for label, _ in _old_optics(like)))
        return table_head("", labels).partition(b"\n\n")[2]  # 3.0 knows of no versions
    optics_labels = (GROUP_NAME, GROUP, *(label for label, _ in like.optics))
    lines = [
        " ".join((f"opticsGroup{number}", str(number), *(value for _, value in head.optics)))
        for number, head in sorted(groups.items())
    ]
    optics = table_head("optics", optics_labels) + "".join(f"{line}\n" for line in lines).encode()
    return optics + b"\n\n" + table_head("particles", (*like.labels, GROUP))


def _ending(head: Head, number: int, version: str) -> bytes:
    """What the rows of a group lack, and their line end."""
    if version == VERSION_31:
        return f" {number}\n".encode()
    return " ".join(("", *(value for _, value in _old_optics(head)))).encode() + b"\n"


def _old_optics(head: Head) -> list[tuple[str, str]]:
    """Labels and values as RELION 3.0 has them in each row: the pixel by a magnification."""
    told = dict(head.optics)
    pixel = told.get("rlnImagePixelSize") or told.get("rlnMicrographPixelSize") or "0"
    return [
        *((label, told[label]) for label in _OLD if label in told),
        ("rlnMagnification", MAGNIFICATION),
        ("rlnDetectorPixelSize", pixel),
    ]
