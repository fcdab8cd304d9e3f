"""Confidence of a CTF: whether Thon rings exist, and whether only one defocus explains them."""

from __future__ import annotations

import math

from warptui.engine.ops.ctf.ring_fit import Fit, Optical
from warptui.engine.ops.ctf.ring_model import Geometry, Thon
from warptui.engine.ops.ctf.ring_search import Found, search
from warptui.engine.ops.ctf.transfer_function import find_zeros

# The distance to gains in white noise, in standard deviations, equals that for free envelopes.
NOISE_GAIN = 19.0  # log-likelihood that spectra without rings hardly reach
NOISE_SEARCH_GAIN = 13.0  # likewise, in the search
HUMP_GAIN = 6.0  # that must come from beyond the second zero
OUTSIDE = 0.7  # confidence is lowered by, if the best defocus lies outside of the search range
HUMP_ALONE = 0.4  # confidence of a significant gain that may come from something else than rings
NOISE_SPREAD = 0.6  # of signal-to-noise ratios
AMBIGUOUS = 4.0  # log-likelihood by which a hypothesis at another defocus must be worse
VAGUE = 1000.0  # Å; a standard error of defocus that is no measurement
SAME = (0.08, 600.0)  # share of a defocus, and Å, within which two are regarded as equal


def judge(
    found: Found, fit: Fit, optical: Optical, geometry: Geometry, error: float, preferred: float
) -> float:
    """Confidence 0..1 that Thon rings exist and belong to this defocus only.

    One hump of a specimen's own spectrum may look like a first ring, or move it: some of the
    gain must come from beyond the second zero, and what lies beyond the first must prefer this
    defocus by itself, by the logarithm of the odds ``preferred``.
    """
    k = geometry.k.cpu()
    zeros = find_zeros(optical.defocus, geometry.optics, float(k[-1]), optical.phase_shift)
    beyond = fit.gains[k > zeros[1]] if len(zeros) > 1 else fit.gains[:0]
    ringed = _surpassed(float(beyond.sum()), HUMP_GAIN)
    significant = _surpassed(fit.gain, NOISE_GAIN)
    significant *= _surpassed(found.gain / fit.redundancy, NOISE_SEARCH_GAIN)
    rings = significant * (HUMP_ALONE + (1 - HUMP_ALONE) * ringed)
    ahead = (found.gain - found.rival_gain) / fit.redundancy
    alone = 1 - 0.5 * math.exp(-max(ahead, 0.0) / AMBIGUOUS)
    alone /= 1 + math.exp(-max(preferred, -100.0))
    # the lowest defocus fits the broadest hump best
    inside = found.defoci[0] <= optical.defocus <= found.defoci[-1]
    return rings * alone * (1.0 if inside else OUTSIDE) * math.exp(-((error / VAGUE) ** 2))


def preference(outer: Thon, found: Found, optical: Optical) -> float:
    """Log-likelihood, not corrected for redundancy, by which rings beyond the first zero are
    better explained by ``optical`` than by any other defocus; negative if another is better.

    The specimen's own spectrum, which no model here knows, bends the first ring most: the
    others, searched without it, give a second opinion.
    """
    low, high = float(found.defoci[0]), float(found.defoci[-1])
    again = search(outer, low, high, phase_shift=optical.phase_shift)
    share, least = SAME
    same = (again.defoci - optical.defocus).abs() < max(share * optical.defocus, least)
    if not bool(same.any()) or bool(same.all()):
        return math.inf
    return float(again.gains[same].max() - again.gains[~same].max())


def _surpassed(gain: float, limit: float) -> float:
    """Probability 0..1; gains are half of the square of a signal-to-noise ratio."""
    away = math.sqrt(2 * max(gain, 0)) - math.sqrt(2 * limit)
    return 0.5 * math.erfc(-away / (NOISE_SPREAD * math.sqrt(2)))
