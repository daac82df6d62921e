"""Options that are numbers, checked where they come in: from flags, anything may come."""

from __future__ import annotations

import numbers
from typing import Any


def whole(name: str, value: Any, least: int) -> int:
    """The value, if it is a whole number and large enough.

    >>> whole("steps", 50, 1)
    50
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"{name} is a whole number, {least} or more; received {value!r}.")
    return int(value)


def between(name: str, value: Any, low: float, high: float) -> float:
    """The value, if it is a number of that range, both ends included.

    >>> between("noise", 0.15, 0, 1)
    0.15
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} is a number from {low} to {high}; received {value!r}.")
    return float(value)
