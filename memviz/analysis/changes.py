"""Find the records at which a series takes a new level: binary segmentation by the gain in squared error."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SHORTEST = 3
"""Records that a level must last."""

_SURE = 4.0
"""How many standard errors two levels must lie apart."""


def splits(values: Array, smallest: float) -> list[int]:
    """Positions at which a series takes a new level.

    The series is cut where two constant levels explain it best, then both parts are, as long as the levels differ by
    `smallest` and by more than the noise explains. Noise is taken from differences of neighbours, so that a slow drift
    is not mistaken for it.

    Args:
        values: [record, channel]; channels are cut together. Records with a value that is not finite are left out.
        smallest: distance of two levels, over channels, that is worth a cut.

    Returns:
        Ascending positions of the first record of each new level.
    """
    real = np.flatnonzero(np.isfinite(values).all(axis=1))
    series = values[real]
    if len(series) < 2 * SHORTEST:
        return []
    noise = _noise(series)
    found: list[int] = []
    open_parts = [(0, len(series))]
    while open_parts:
        start, stop = open_parts.pop()
        at = _best(series[start:stop])
        if at is None:
            continue
        at += start
        gap = float(np.abs(series[start:at].mean(axis=0) - series[at:stop].mean(axis=0)).max())
        error = noise * np.sqrt(1 / (at - start) + 1 / (stop - at))
        if gap >= smallest and gap > _SURE * error:
            found.append(at)
            open_parts += [(start, at), (at, stop)]
    return [int(real[at]) for at in _settled(series, sorted(found), smallest)]


def _noise(series: Array) -> float:
    """Standard deviation of the noise, from the median absolute difference of neighbours; the largest channel's."""
    return float(np.median(np.abs(np.diff(series, axis=0)), axis=0).max() / (0.6745 * np.sqrt(2)))


def _best(part: Array) -> int | None:
    """Where two constant levels explain a part best; None when it is too short."""
    count = len(part)
    if count < 2 * SHORTEST:
        return None
    centred = part - part.mean(axis=0)
    sums = np.cumsum(centred, axis=0)[:-1]
    left = np.arange(1, count)[:, None]
    # The gain of a cut after `left` records is n l (n - l) / n² times the squared distance of the means.
    gain = (sums**2 * count / (left * (count - left))).sum(axis=1)
    allowed = gain[SHORTEST - 1 : count - SHORTEST]
    return int(allowed.argmax()) + SHORTEST


def _settled(series: Array, found: list[int], smallest: float) -> list[int]:
    """Drop cuts whose levels lie close, now that all cuts are known, the closest first."""
    found = list(found)
    while found:
        edges = [0, *found, len(series)]
        levels = [series[a:b].mean(axis=0) for a, b in pairwise(edges)]
        gaps = [float(np.abs(b - a).max()) for a, b in pairwise(levels)]
        least = int(np.argmin(gaps))
        if gaps[least] >= smallest:
            break
        found.pop(least)
    return found
