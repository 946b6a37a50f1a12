"""How numbers are written for people: shares, scores, intervals, costs with their unit, thresholds.

Everything shown rounds here and nowhere else; files for machines keep ``repr`` floats (``files``).
A number and its unit are joined by a no-break space (``SPACE``).
"""

from __future__ import annotations

import math

from cascade_exp.cascade.pools.base import threshold_text
from cascade_exp.report.results.schema import Interval

NOTHING = "–"
TINY_DOLLARS = 1e-3  # below, dollars are shown per 1,000 calls
SPACE = "\u00a0"

_SI = ("", "k", "M", "G", "T", "P", "E")
_COUNTED = {"macs": "MACs", "flops": "FLOPs", "params": "parameters"}
_TIME = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))
_ALIASES = {"s": "seconds", "sec": "seconds", "usd": "dollars", "$": "dollars", "mac": "macs"}


def percent(share: float, digits: int = 1) -> str:
    """``0.9731`` as ``97.3 %``; a share that is not all or nothing never reads 0 or 100.

    >>> [percent(share).replace(SPACE, " ") for share in (0.9731, 0.99999, 1.0, 0.0001)]
    ['97.3 %', '>99.9 %', '100 %', '<0.1 %']
    """
    if share in (0.0, 1.0):
        return f"{100 * share:.0f}{SPACE}%"
    least = 10.0 ** -(digits + 2)
    if 0 < share < least:
        return f"<{100 * least:.{digits}f}{SPACE}%"
    if 1 - least < share < 1:
        return f">{100 * (1 - least):.{digits}f}{SPACE}%"
    return f"{100 * share:.{digits}f}{SPACE}%"


def score(value: float) -> str:
    """A score (fraction 0..1) in percent, one decimal: ``97.3 %``."""
    return f"{100 * value:.1f}{SPACE}%"


def points(difference: float) -> str:
    """A difference of two scores in percentage points, unsigned: ``0.4 points``."""
    return f"{abs(100 * difference):.1f}{SPACE}points"


def gain(difference: float) -> str:
    """A difference of two scores in percentage points, signed: ``+0.4``, ``−0.4``.

    >>> [gain(d) for d in (0.0042, -0.0042, 0.0, -1e-9)]
    ['+0.4', '−0.4', '0.0', '0.0']
    """
    text = f"{abs(100 * difference):.1f}"
    return text if text == "0.0" else f"{'+' if difference > 0 else '−'}{text}"


def interval(pair: Interval | None) -> str:
    """An interval of scores in percent, ``[95.1, 98.4]``; empty when there is none."""
    return "" if pair is None else f"[{100 * pair[0]:.1f},{SPACE}{100 * pair[1]:.1f}]"


def score_with_interval(value: float, pair: Interval | None) -> str:
    """``97.3 % [95.1, 98.4]``."""
    return f"{score(value)} {interval(pair)}".rstrip()


def factor(value: float | None) -> str:
    """A ratio of costs, ``1.46×``; a dash where it is not defined."""
    if value is None:
        return NOTHING
    return f"{value:.2f}×" if value < 100 else f"{_significant(value)}×"


def count(value: int) -> str:
    """``50000`` as ``50,000``."""
    return f"{value:,}"


def cost(value: float, unit: str) -> str:
    """A cost with its unit, three significant digits.

    ``unit`` is ``settings["cost"]["unit"]``: ``macs``, ``flops``, ``params`` (SI prefixes),
    ``seconds`` (s to ns), ``dollars`` (below a tenth of a cent those of 1,000 calls), or any other
    word, which is put behind the number.

    >>> costs = ((1.234e9, "macs"), (0.0123, "seconds"), (5.25, "layers"), (2e-5, "dollars"))
    >>> [cost(*pair).replace(SPACE, " ") for pair in costs]
    ['1.23 G MACs', '12.3 ms', '5.25 layers', '$0.02 per 1,000 calls']
    """
    known = _known(unit)
    number, prefix = cost_parts(value, unit)
    if known == "dollars":
        if 0 < abs(value) < TINY_DOLLARS:
            return f"${_significant(1000 * value)} per 1,000 calls"
        return f"${number}"
    if known in _COUNTED:
        return SPACE.join(word for word in (number, prefix, _COUNTED[known]) if word)
    if known == "seconds":
        return f"{number}{SPACE}{prefix}"
    word = "layer" if known == "layers" and number == "1" else unit
    return SPACE.join(part for part in (number, prefix, word) if part)


def cost_interval(pair: Interval | None, unit: str) -> str:
    """An interval of costs, the unit named beside it: ``[86.0M, 98.3M]``; empty for a point."""
    if pair is None or pair[0] == pair[1]:
        return ""
    return f"[{short_cost(pair[0], unit)},{SPACE}{short_cost(pair[1], unit)}]"


def cost_difference(value: float, pair: Interval, unit: str) -> str:
    """A difference of two costs, signed, with its interval.

    >>> cost_difference(-44.1e6, (-45.2e6, -43.1e6), "macs").replace(SPACE, " ")
    '−44.1 M MACs [−45.2M, −43.1M]'
    """
    low, high = (f"{_sign(end)}{short_cost(abs(end), unit)}" for end in pair)
    return f"{_sign(value)}{cost(abs(value), unit)} [{low},{SPACE}{high}]"


def _sign(value: float) -> str:
    return "+" if value > 0 else "−" if value < 0 else ""


def short_cost(value: float, unit: str) -> str:
    """A cost where the unit is named beside it: ``1.20G``, ``12.3 ms``, ``5.25``, ``$0.02/1k``."""
    if _known(unit) == "dollars" and 0 < abs(value) < TINY_DOLLARS:
        return f"${_significant(1000 * value)}/1k"
    return _short(*cost_parts(value, unit), unit)


def cost_tick(value: float, unit: str) -> str:
    """A round cost on an axis whose title names the unit: ``1.2G``, ``20 ms``."""
    number, prefix = cost_parts(value, unit)
    return _short(f"{float(number):.12g}", prefix, unit)


def _short(number: str, prefix: str, unit: str) -> str:
    known = _known(unit)
    if known == "dollars":
        return f"${number}"
    return f"{number}{SPACE}{prefix}" if known == "seconds" and prefix else f"{number}{prefix}"


def unit_title(unit: str) -> str:
    """The unit as an axis title names it; empty for seconds and dollars, whose ticks carry it."""
    known = _known(unit)
    return {"seconds": "", "dollars": ""}.get(known, _COUNTED.get(known, unit))


def cost_parts(value: float, unit: str) -> tuple[str, str]:
    """Number and prefix of a cost: ``("1.23", "G")``, ``("12.3", "ms")``, ``("5.25", "")``."""
    known = _known(unit)
    if value == 0 or not math.isfinite(value) or known in ("dollars", "layers"):
        return _significant(value), "s" if known == "seconds" and value else ""
    if known == "seconds":
        rounded = float(f"{value:.2e}")
        for name, size in _TIME:
            if rounded >= size:
                return _significant(value / size), name
        return _significant(value / 1e-9), "ns"
    rounded = float(f"{value:.2e}")
    power = min(max(math.floor(math.log10(abs(rounded)) / 3), 0), len(_SI) - 1)
    return _significant(value / 1000.0**power), _SI[power]


threshold = threshold_text
"""A threshold, rounded for reading, as the pools of stages write it."""


def shorten(name: str, width: int) -> str:
    """``name`` cut in the middle to at most ``width`` characters: model names differ at both ends.

    >>> shorten("vit_small_patch16_224.augreg_in1k", 20)
    'vit_small_…greg_in1k'
    """
    if len(name) <= width or width < 1:
        return name
    tail = (width - 1) // 2
    return f"{name[: width - 1 - tail]}…{name[len(name) - tail :]}"


def _known(unit: str) -> str:
    lower = unit.lower()
    return _ALIASES.get(lower, lower)


def _significant(value: float) -> str:
    """Three significant digits in positional notation; whole numbers below 1000 stay whole."""
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(float(f"{value:.2e}"))))
    if exponent < -9 or exponent > 14:
        return f"{value:.2e}"
    text = f"{value:.{max(2 - exponent, 0)}f}"
    if math.isclose(value, round(value), rel_tol=1e-9) or exponent < -1:
        text = text.rstrip("0").rstrip(".") if "." in text else text
    return text
