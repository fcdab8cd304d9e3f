"""Whether a movie file is completely written: checks structure against size, and zero tails.

Cheap: header, page chain and a few kB of pixels. A TIFF that grows page by page is complete
at every moment by this test; only its siblings' frame count can tell.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warptui.engine.errors import InputError
from warptui.engine.formats import mrc
from warptui.engine.formats.source import Source
from warptui.engine.formats.tiff import structure
from warptui.engine.formats.tiff.structure import Chain, Page

_BLOCK = 1 << 16


def check_complete(path: Path) -> str:
    """Why a movie file is not complete yet, as a sentence; "" for a complete file.

    A last frame that ends in far more zeros than the first one counts as not written yet:
    some systems reserve the whole length first and fill it later.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    try:
        source = Source(Path(path))
    except InputError as error:
        return str(error)
    with source:
        if source.size == 0:
            return "the file is empty"
        head = source.read_at(0, min(16, source.size))
        if not any(head):
            return "the file begins with zeros: reserved, but not written yet"
        try:
            if structure.is_tiff(head):
                return _check_pages(source, structure.read_chain(source))
            if source.path.suffix.lower() in (".tif", ".tiff", ".eer"):
                return "the file does not begin as a TIFF file does"
            return _check_sections(source)
        except InputError as error:
            return str(error)


def _check_pages(source: Source, chain: Chain) -> str:
    if chain.problem:
        return f"{len(chain.pages)} frames are complete, then {chain.problem}"
    first, last = chain.pages[0], chain.pages[-1]
    if last.integer(structure.COMPRESSION, 1) != 1:
        offsets, counts = last.chunks()
        offset, count = max(zip(offsets, counts, strict=True))
        # No codec begins a strip with so many zeros.
        if count >= 64 and not any(source.read_at(offset, 64)):
            return "the last frame is zeros: reserved, but not written yet"
        return ""
    return _compare_tails(source, _extent(first), _extent(last))


def _extent(page: Page) -> tuple[int, int]:
    """First and last byte of an uncompressed page's pixels."""
    offsets, counts = page.chunks()
    return min(offsets), max(o + c for o, c in zip(offsets, counts, strict=True))


def _check_sections(source: Source) -> str:
    header = mrc.read_header(source)
    nz, size = header.shape_zyx[0], header.frame_bytes
    start, end = header.data_offset, header.data_offset + nz * size
    if source.size < end:
        return f"{max(source.size - start, 0) // size} of {nz} frames are complete"
    return _compare_tails(source, (start, start + size), (end - size, end))


def _compare_tails(source: Source, first: tuple[int, int], last: tuple[int, int]) -> str:
    """Compare the numbers of zero bytes at the end of the first and the last frame."""
    tail = _trailing_zeros(source, *last)
    length = last[1] - last[0]
    if tail < min(_BLOCK, length):
        return ""
    # A blank border is as long in the first frame; a lone frame is judged by a whole block.
    usual = _trailing_zeros(source, *first) if first != last else 0
    if tail == length or tail > usual + _BLOCK:
        return f"the file ends in {tail} zeros: reserved, but not written yet"
    return ""


def _trailing_zeros(source: Source, start: int, end: int) -> int:
    """Zero bytes at the end of a range of the file."""
    position = end
    while position > start:
        begin = max(start, position - _BLOCK)
        block = np.frombuffer(source.read_at(begin, position - begin), np.uint8)
        filled = np.flatnonzero(block)
        if filled.size:
            return end - (begin + int(filled[-1]) + 1)
        position = begin
    return end - start
