"""EER movies (electron event representation): run-length coded events in a TIFF container.

Rows are not flipped: the first coded row is the first MRC row. Raw frames are summed to
groups while they are decoded; no raw frame is ever held as an image.
"""

from __future__ import annotations

import re

import numpy as np

from warptui.engine.errors import CorruptError, InputError, TruncatedError
from warptui.engine.formats.source import Frames, Source
from warptui.engine.formats.tiff import structure as tags
from warptui.engine.formats.tiff.structure import Chain, Page

EER_8_BIT = 65000
EER_7_BIT = 65001
EER_TAGGED = 65002  # tags state the widths of symbols
COMPRESSIONS = (EER_8_BIT, EER_7_BIT, EER_TAGGED)
_MAX_SIDE = 1 << 15


def is_eer(chain: Chain) -> bool:
    """Whether any page holds coded events."""
    return any(page.integer(tags.COMPRESSION, 1) in COMPRESSIONS for page in chain.pages)


def eer_frames(
    source: Source, chain: Chain, frames_per_group: int = 32, upsampling: int = 1
) -> Frames:
    """Open an EER movie as sums of raw frames; an incomplete last group is dropped and noted.

    Parameters
    ----------
    frames_per_group
        Raw frames summed to one. A movie with fewer makes one group of all it has.
    upsampling
        1 renders at the sensor's size (4k), 2 at twice that (8k). Counts are conserved.

    Raises
    ------
    TruncatedError
        If the file ends before its last frame.
    CorruptError, InputError
        If frames differ in size, or their coding is not supported.
    """
    if upsampling not in (1, 2) or frames_per_group < 1:
        raise InputError(
            f"{source.name}: EER upsampling {upsampling} with {frames_per_group} frames a group; "
            "expected an upsampling of 1 or 2 and at least one frame"
        )
    # Files may also hold a summed image, as an ordinary TIFF page.
    pages = [page for page in chain.pages if page.integer(tags.COMPRESSION, 1) in COMPRESSIONS]
    if chain.problem or not pages:
        raise TruncatedError(
            f"{source.name}: {len(pages)} raw frames are readable, then "
            f"{chain.problem or 'no more'}; copy the file again"
        )
    ny, nx = _shape(pages, source.name)
    coding = _coding(pages[0], source.name)
    if upsampling == 2 and not (coding[1] and coding[2]):
        raise InputError(f"{source.name}: has no sub-pixel positions; set eer_upsampling = 1")
    pixel_size, dose = _acquisition(chain)
    n_group = min(frames_per_group, len(pages))
    n_groups, left_over = divmod(len(pages), n_group)
    notes = []
    if n_group < frames_per_group:
        notes.append(
            f"only {len(pages)} EER frames: one group of all instead of {frames_per_group}"
        )
    if left_over:
        notes.append(f"{left_over} of {len(pages)} EER frames left over")

    def decode(index: int, out: np.ndarray) -> None:
        out.fill(0)
        for raw in range(index * n_group, (index + 1) * n_group):
            _add_frame(source, pages[raw], coding, upsampling, out, f"frame {raw} of {len(pages)}")

    return Frames(
        format="eer",
        shape_yx=(ny * upsampling, nx * upsampling),
        # A raw frame adds at most one event to a pixel, so 255 of them cannot overflow.
        dtype=np.dtype(np.uint8 if n_group <= 255 else np.uint16),
        n_frames=n_groups,
        n_raw_frames=len(pages),
        decode=decode,
        pixel_size=pixel_size and pixel_size / upsampling,
        dose_per_frame=dose and dose / len(pages) * n_group,
        notes=tuple(notes),
    )


def _acquisition(chain: Chain) -> tuple[float | None, float | None]:
    """Å/px at the sensor's size and total dose in e/Å², if the file has them."""
    items: dict[str, str] = {}
    for page in chain.pages[:1]:
        text = page.text(tags.EER_METADATA)
        items |= dict(re.findall(r'<item\s+name="([^"]+)"[^>]*>([^<]*)</item>', text))
    size = _number(items.get("sensorPixelSize.width", "")) * 1e10  # metres on the specimen
    if not 0.05 <= size <= 1000:
        return None, None
    dose = _number(items.get("totalDose", "")) / size**2  # e/pixel
    return size, dose if dose > 0 else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _shape(pages: list[Page], name: str) -> tuple[int, int]:
    shapes = {(p.integer(tags.IMAGE_LENGTH, 0), p.integer(tags.IMAGE_WIDTH, 0)) for p in pages}
    (ny, nx), *others = shapes
    if others or not (0 < ny <= _MAX_SIDE and 0 < nx <= _MAX_SIDE):
        raise CorruptError(
            f"{name}: EER frames of {sorted(shapes)} (y, x) px; "
            f"expected one size of at most {_MAX_SIDE}"
        )
    return ny, nx


def _coding(page: Page, name: str) -> tuple[int, int, int, bool]:
    """Bits of a run, of sub-pixel x and y, and whether long runs carry sub-pixel bits."""
    compression = page.integer(tags.COMPRESSION, 1)
    if compression == EER_8_BIT:
        return 8, 2, 2, True
    if compression == EER_7_BIT:
        return 7, 2, 2, False
    coding = (
        page.integer(tags.EER_RUN_BITS, 7),
        page.integer(tags.EER_SUB_BITS_X, 2),
        page.integer(tags.EER_SUB_BITS_Y, 2),
    )
    if not (1 <= coding[0] <= 15 and 0 <= coding[1] <= 6 and 0 <= coding[2] <= 6):
        raise InputError(f"{name}: EER symbols of {coding} bits are not supported")
    return *coding, False


def _add_frame(
    source: Source,
    page: Page,
    coding: tuple[int, int, int, bool],
    upsampling: int,
    out: np.ndarray,
    where: str,
) -> int:
    """Add one raw frame to ``out`` and return its number of events."""
    from warptui.engine.formats.eer.kernels import add_events

    offsets, counts = page.chunks()
    data = b"".join(source.read_at(o, c) for o, c in zip(offsets, counts, strict=True))
    words = np.frombuffer(data + bytes(-len(data) % 4), "<u4")
    ny, nx = out.shape[0] // upsampling, out.shape[1] // upsampling
    n_events, passed = add_events(words, len(data) * 8, *coding, nx, ny * nx, upsampling, out)
    if passed != ny * nx:
        raise CorruptError(
            f"{source.name}: {where}: its events end at pixel {passed}, the frame at {ny * nx}; "
            "copy the file again"
        )
    return n_events
