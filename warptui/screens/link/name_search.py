"""Finds which of 100,000 names contain a word, in a few milliseconds and 3 MB. Pure NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class NameSearch:
    """All names in one array of UTF-8 bytes in lower case, with the end of each name."""

    def __init__(self, names: Sequence[str]) -> None:
        self.n_names = len(names)
        self._bytes = np.frombuffer(_small("\n".join(names)) + b"\n", dtype=np.uint8)
        ends = np.flatnonzero(self._bytes == ord("\n"))
        if names and len(ends) != self.n_names:  # a file name may contain a line break
            ends = np.cumsum([len(_small(name)) + 1 for name in names]) - 1
        self._ends = ends.astype(np.int32)

    def containing(self, word: str) -> np.ndarray:
        """(name,) bool: ``word``, without blanks, occurs in the name, in upper or lower case."""
        found = np.zeros(self.n_names, dtype=bool)
        wanted = _small(word)
        if not wanted:
            return ~found
        last = len(wanted) - 1
        places = last + np.flatnonzero(self._bytes[last:] == wanted[last])
        for back in range(1, len(wanted)):
            places = places[self._bytes[places - back] == wanted[last - back]]
        found[np.searchsorted(self._ends, places)] = True
        return found


def _small(text: str) -> bytes:
    return text.lower().encode("utf-8", "surrogatepass")  # names that are not UTF-8 hold surrogates
