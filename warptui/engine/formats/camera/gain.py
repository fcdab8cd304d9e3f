"""Gain references: reading, orienting and normalising, and a check of the orientation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from warptui.engine.errors import GainError
from warptui.engine.formats.image import orient, read_image

MAX_DEAD_FRACTION = 0.2  # of a reference; more means that the file is not a gain reference


def read_gain(
    path: Path,
    *,
    shape_yx: tuple[int, int],
    flip_x: bool = False,
    flip_y: bool = False,
    transpose: bool = False,
    movie_format: str = "mrc",
) -> np.ndarray:
    """Read gain factors to multiply frames with: float32 (y, x), mean 1, dead pixels 1.

    Frames are always multiplied. Some references are made to divide by (RELION divides EER
    frames by an MRC or TIFF reference, and multiplies by a ``.gain`` file): invert such a
    file first; `orientation_score` notices.

    TIFF and DM references are flipped on load as TIFF movies are; a ``.gain`` file is not
    when the movie is EER, whose rows are not flipped either. Then come ``flip_x``,
    ``flip_y``, ``transpose``, in this order. For EER the reference is brought to the
    rendered size where that is an exact multiple or fraction of its own.

    Raises
    ------
    GainError
        If the size does not fit (it says what would), or too many values are unusable.
    OSError, TransientError, TruncatedError, CorruptError, InputError
        If the file cannot be read.
    """
    path = Path(path)
    flip_tiff = not (movie_format == "eer" and path.suffix.lower() == ".gain")
    image = read_image(path, flip_tiff=flip_tiff).astype(np.float32)
    gain = _normalise(image, path.name)
    gain = orient(gain, flip_x=flip_x, flip_y=flip_y, transpose=transpose)
    if gain.shape != shape_yx and movie_format == "eer":
        gain = _rescale(gain, shape_yx)
    if gain.shape != shape_yx:
        raise GainError(f"{path.name}: {_misfit(gain.shape, shape_yx, transpose)}")
    return gain


def _normalise(image: np.ndarray, name: str) -> np.ndarray:
    """Scale to mean 1 over the usable pixels; unusable pixels become 1."""
    usable = np.isfinite(image) & (image > 0)
    dead = 1 - float(usable.mean())
    if dead > MAX_DEAD_FRACTION:
        raise GainError(
            f"{name}: {100 * dead:.0f} % of the reference is zero, negative or not finite; "
            "expected a gain reference, positive nearly everywhere"
        )
    return np.where(usable, image / np.float32(image[usable].mean(dtype=np.float64)), 1.0).astype(
        np.float32
    )


def _rescale(gain: np.ndarray, shape_yx: tuple[int, int]) -> np.ndarray:
    """Average blocks or repeat pixels where an exact integer factor fits, else unchanged."""
    factor = _factor(shape_yx, gain.shape)
    if factor > 1:
        return np.repeat(np.repeat(gain, factor, axis=0), factor, axis=1)
    factor = _factor(gain.shape, shape_yx)
    if factor > 1:
        blocks = gain.reshape(shape_yx[0], factor, shape_yx[1], factor)
        return blocks.mean(axis=(1, 3), dtype=np.float64).astype(np.float32)
    return gain


def _factor(large: tuple[int, ...], small: tuple[int, ...]) -> int:
    """The integer factor from both sides of ``small`` to ``large``; 0 if no integer fits."""
    factor = large[0] // small[0]
    return factor if (small[0] * factor, small[1] * factor) == tuple(large) else 0


def _misfit(found: tuple[int, ...], wanted: tuple[int, int], transpose: bool) -> str:
    """A message about the wrong size, with settings that would fit."""
    text = (
        f"the reference is {found[1]} x {found[0]} px (x, y), the frames {wanted[1]} x {wanted[0]}"
    )
    turned = (found[1], found[0])
    if turned == wanted:
        return f"{text}; it fits with gain_transpose = {str(not transpose).lower()}"
    for shape, how in (
        (found, ""),
        (turned, f" and gain_transpose = {str(not transpose).lower()}"),
    ):
        if factor := _factor(shape, wanted):
            return f"{text}; it fits when binned by {factor}{how}"
        if factor := _factor(wanted, shape):
            return f"{text}; it fits when every pixel is repeated {factor} times{how}"
    return f"{text}; no orientation or whole-number scale fits: it is of another camera or mode"


class Orientation(NamedTuple):
    """Settings of a gain reference's orientation."""

    flip_x: bool = False
    flip_y: bool = False
    transpose: bool = False

    def __str__(self) -> str:
        names = ("gain_flip_x", "gain_flip_y", "gain_transpose")
        return ", ".join(f"{n} = {str(v).lower()}" for n, v in zip(names, self, strict=True))


@dataclass(frozen=True)
class OrientationScore:
    """How well each orientation explains the fixed pattern of frames."""

    scores: dict[Orientation, float]  # correlation of 1/gain with the frames, 1 = perfect
    configured: Orientation
    best: Orientation  # of the largest absolute correlation
    note: str  # what to change; "" if the configured orientation is right or the test uncertain


CROP_PX = 2048  # the centre is enough, and cheap
SAMPLE = 100_003  # pixels from which the spread of all is estimated
SIGNIFICANT = 12.0  # standard errors of a correlation by chance; pixels are not quite independent


def orientation_score(
    gain: np.ndarray,
    mean_frame: np.ndarray,
    *,
    flip_x: bool = False,
    flip_y: bool = False,
    transpose: bool = False,
) -> OrientationScore:
    """Compare all eight orientations of a gain reference with uncorrected frames.

    Pixels of high gain factors must be dark in the frames, so 1/gain and the frames, both
    without their low frequencies, correlate in the right orientation only. A negative
    correlation means a reference that is made to divide by.

    Parameters
    ----------
    gain
        (y, x), as `read_gain` gives it with the same three settings.
    mean_frame
        (y, x), mean of as many uncorrected frames as there are, as large as ``gain``.

    Raises
    ------
    GainError
        If the two differ in size.
    """
    if gain.shape != mean_frame.shape:
        raise GainError(f"a gain of {gain.shape} and frames of {mean_frame.shape} (y, x) differ")
    configured = Orientation(flip_x, flip_y, transpose)
    pattern = _fine_structure(1 / _centre(gain))
    frame = _fine_structure(_centre(mean_frame))
    # Undo the configured orientation, so that the eight are those of the file.
    pattern = pattern.T if transpose else pattern
    pattern = orient(pattern, flip_x=flip_x, flip_y=flip_y, transpose=False)
    scores = {}
    for candidate in (Orientation(*flags) for flags in product((False, True), repeat=3)):
        # The centres are square where the whole images may not be.
        swapped = candidate.transpose != transpose
        if (gain.shape[::-1] if swapped else gain.shape) == mean_frame.shape:
            scores[candidate] = _correlation(orient(pattern, **candidate._asdict()), frame)
    best = max(scores, key=lambda candidate: abs(scores[candidate]))
    return OrientationScore(scores, configured, best, _advice(scores, configured, best, frame.size))


def _advice(
    scores: dict[Orientation, float], configured: Orientation, best: Orientation, n_pixels: int
) -> str:
    error = 1 / np.sqrt(n_pixels)
    if abs(scores[best]) < SIGNIFICANT * error:
        return ""
    clearly = abs(scores[best]) - abs(scores[configured]) > SIGNIFICANT * error
    numbers = f"correlation {scores[best]:.2f}, configured {scores[configured]:.2f}"
    wrong = f"the gain reference fits the frames with {best} ({numbers})" if clearly else ""
    if scores[best] < 0:
        divide = "it seems to be made for division, but frames are multiplied by it: invert it"
        return f"{wrong}; {divide}" if wrong else f"the gain reference: {divide} ({numbers})"
    return wrong


def _centre(image: np.ndarray) -> np.ndarray:
    """The centre of an image, cropped so that flips map it onto itself."""
    cuts = [max(0, (side - CROP_PX + 1) // 2) for side in image.shape]
    return image[cuts[0] : image.shape[0] - cuts[0], cuts[1] : image.shape[1] - cuts[1]]


def _fine_structure(image: np.ndarray) -> np.ndarray:
    """An image minus the mean of its four neighbours, outliers clipped (float32)."""
    padded = np.pad(image.astype(np.float32), 1, mode="symmetric")
    around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    fine = padded[1:-1, 1:-1] - around / 4
    fine[~np.isfinite(fine)] = 0
    sample = fine.reshape(-1)[:: max(1, fine.size // SAMPLE)]
    spread = float(np.median(np.abs(sample))) * 1.4826
    if spread > 0:
        np.clip(fine, -4 * spread, 4 * spread, out=fine)
    return fine


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation of two images of mean zero; 0 if one is constant."""
    norm = float(np.vdot(a, a)) * float(np.vdot(b, b))
    return float(np.vdot(a, b)) / norm**0.5 if norm > 0 else 0.0
