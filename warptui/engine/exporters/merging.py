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
    """The list that was written."""

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
        Called between blocks; raises when the writing must end.
    durable
        Whether the file must be on the disk when this function returns: after a power cut, a file
        that was not is lost, and the next engine writes it again.
    labels
        Label of each item; items with different labels are in different optics groups, whatever
        their optics; see `optics_groups.grouping`.
    numbers
        Numbers of optics groups written earlier, which stay the same; new groups are added.

    Raises
    ------
    OSError
        When the file cannot be written: the earlier file stays.
    """
    names = list(names)
    numbers = {} if numbers is None else numbers
    of_items, groups = _groups(spool, names, labels, numbers)
    rows = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        with part.open("wb") as file:  # an unbuffered file may write only a part
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
    """A measure of how much information rows have, to compare them."""
    return len(head.labels) + len(head.optics)


def alike(spool: Spool, names: list[str]) -> tuple[Head | None, list[str], int]:
    """Items whose rows have the richest set of columns found; and the number of other items."""
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
    """The name of an optics group, which other engines understand, too."""
    return f"{label}:{_digest(head)}"


@lru_cache(maxsize=64)
def _digest(head: Head) -> str:
    return digest([head.labels, head.optics])


def _groups(
    spool: Spool, names: list[str], labels: Mapping[str, int], numbers: dict[str, int]
) -> tuple[dict[str, int], dict[int, Head]]:
    """Optics group number of each item, and the optics of each group, numbered by arrival."""
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
        return table_head("", labels).partition(b"\n\n")[2]  # RELION 3.0 has no version blocks
    optics_labels = (GROUP_NAME, GROUP, *(label for label, _ in like.optics))
    lines = [
        " ".join((f"opticsGroup{number}", str(number), *(value for _, value in head.optics)))
        for number, head in sorted(groups.items())
    ]
    optics = table_head("optics", optics_labels) + "".join(f"{line}\n" for line in lines).encode()
    return optics + b"\n\n" + table_head("particles", (*like.labels, GROUP))


def _ending(head: Head, number: int, version: str) -> bytes:
    """The text to append to each row of a group, with the line end."""
    if version == VERSION_31:
        return f" {number}\n".encode()
    return " ".join(("", *(value for _, value in _old_optics(head)))).encode() + b"\n"


def _old_optics(head: Head) -> list[tuple[str, str]]:
    """Optics as columns of each row for RELION 3.0, which states pixel size by magnification."""
    optics = dict(head.optics)
    pixel = optics.get("rlnImagePixelSize") or optics.get("rlnMicrographPixelSize") or "0"
    return [
        *((label, optics[label]) for label in _OLD if label in optics),
        ("rlnMagnification", MAGNIFICATION),
        ("rlnDetectorPixelSize", pixel),
    ]
