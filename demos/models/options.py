"""Checks of constructor options that all models share: each raises an OptionError, a ValueError, of one line.

The line names the option, says what is expected and what came, so that the command line can print it as it is:

    at_least_one(nr_cells=0)                        nr_cells must be a whole number >= 1, not 0
    one_of("rnn_type", "ltsm", ("lstm", "gru"))     rnn_type must be lstm or gru, not 'ltsm'; did you mean 'lstm'?
"""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable
from typing import Any

import torch

from memviz.errors import OptionError


def at_least_one(**sizes: object) -> None:
    """Sizes and counts: whole numbers, one or more.

    Raises:
        OptionError: the first that is not.
    """
    _whole(1, sizes)


def not_negative(**counts: object) -> None:
    """Counts that may be zero.

    Raises:
        OptionError: the first that is no whole number, or below zero.
    """
    _whole(0, counts)


def at_most(limit: int, of: str, **counts: Any) -> None:
    """Counts bounded by another option, as reads by the slots there are.

    Args:
        limit: the largest value allowed.
        of: the option that sets the limit, to be named.
        counts: whole numbers, one or more.

    Raises:
        OptionError: the first that is out of bounds.
    """
    at_least_one(**counts)
    for name, value in counts.items():
        if value > limit:
            raise OptionError(f"{name} must be at most {of} ({limit}), not {value}")


def number(low: float = -math.inf, high: float = math.inf, **values: Any) -> None:
    """Real numbers within [low, high].

    Raises:
        OptionError: the first that is no finite number, or out of bounds.
    """
    for name, value in values.items():
        # A bool counts as a number in Python, and never is one that somebody means.
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not (real and math.isfinite(value) and low <= value <= high):
            raise OptionError(f"{name} must be a number{_bounds(low, high)}, not {value!r}")


def probability(**values: Any) -> None:
    """Probabilities of dropping something: numbers in [0, 1).

    Raises:
        OptionError: the first that is not.
    """
    number(0, 1, **values)
    for name, value in values.items():
        if value == 1:
            raise OptionError(f"{name} must be below 1, which would drop everything")


def flag(**values: object) -> None:
    """Options that are True or False.

    Raises:
        OptionError: the first that is neither.
    """
    for name, value in values.items():
        if not isinstance(value, bool):
            raise OptionError(f"{name} must be True or False, not {value!r}")


def one_of(name: str, value: object, choices: Iterable[str]) -> None:
    """An option that takes one of a few words.

    Args:
        name: the option.
        value: what came.
        choices: the words.

    Raises:
        OptionError: another word; the line offers the nearest one.
    """
    words = list(choices)
    if value in words:
        return
    near = difflib.get_close_matches(value.lower(), words, n=1, cutoff=0.5) if isinstance(value, str) else []
    hint = f"; did you mean {near[0]!r}?" if near else ""
    listed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
    raise OptionError(f"{name} must be {listed}, not {value!r}{hint}")


def sequence(x: torch.Tensor, input_size: int, batch_first: bool) -> None:
    """The input of a model: [batch, time, input_channel], or [time, batch, input_channel] without `batch_first`.

    Raises:
        OptionError: another number of axes, another width, or an axis of length 0.
    """
    axes = "[batch, time, input_channel]" if batch_first else "[time, batch, input_channel]"
    shape = list(x.shape)
    if x.ndim != 3 or shape[2] != input_size or 0 in shape:
        raise OptionError(f"the input must be {axes} with {input_size} channels, batch and time >= 1, not {shape}")


def _whole(least: int, values: dict[str, Any]) -> None:
    for name, value in values.items():
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not whole or value < least:
            raise OptionError(f"{name} must be a whole number >= {least}, not {value!r}")


def _bounds(low: float, high: float) -> str:
    if math.isfinite(low) and math.isfinite(high):
        return f" from {low:g} to {high:g}"
    if math.isfinite(low):
        return f" >= {low:g}"
    return f" <= {high:g}" if math.isfinite(high) else ""
