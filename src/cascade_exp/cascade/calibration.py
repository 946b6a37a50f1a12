"""Calibration: one temperature per model, by which its logits are divided.

A calibrator is one function ``(logits, labels, where) -> temperature`` declared by
:func:`calibrator`. Applying a temperature is the business of ``confidence.score_rows``; which split
to fit on is the caller's, and it is the selection split.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.confidence import check_labels, not_finite
from cascade_exp.cascade.rows import Logits, check_logits, float_rows, over_rows
from cascade_exp.cascade.softmax import best_classes, blocks, shifted_logits
from cascade_exp.errors import CascadeError, choice

COLDEST, HOTTEST = 0.01, 100.0
LOG_TOLERANCE = 1e-5  # of log T: a thousandth of a percent of T


Fit = Callable[[Logits, NDArray[np.int64], str], float]
"""From logits [N, K], labels int64 [N] in 0..K-1 and what the logits are called, a temperature."""

CALIBRATORS: dict[str, Fit] = {}


def calibrator(name: str) -> Callable[[Fit], Fit]:
    """Declare the decorated function the calibrator of this name.

    >>> CALIBRATORS["temperature"] is temperature
    True
    """

    def declare(function: Fit) -> Fit:
        CALIBRATORS[name] = function
        return function

    return declare


def check_calibration(name: str) -> None:
    """Raise :class:`CascadeError` unless ``name`` is ``none`` or a calibrator.

    >>> check_calibration("temperature")
    >>> check_calibration("temprature")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    cascade_exp.errors.CascadeError: calibration=temprature: expected one of none, ...
    """
    choice(name, ["none", *CALIBRATORS], "calibration")


@dataclass(frozen=True)
class FittedTemperature:
    """The temperature found for one model.

    Attributes:
        temperature: divides the logits.
        at_bound: whether the search ended at a bound of 0.01..100, so that the likelihood would
            have been higher still beyond it (a model that is right on every example has no best
            temperature).
        nll: mean negative log-likelihood of the labels at ``temperature``, in nats.
        nll_before: the same at temperature 1.

    >>> fitted = fit_temperature(np.array([[5.0, 0.0]] * 4), np.array([0, 0, 0, 1]))
    >>> round(fitted.nll, 3), round(fitted.nll_before, 3)
    (0.562, 1.257)
    """

    temperature: float
    at_bound: bool
    nll: float
    nll_before: float


def mean_nll(
    logits: Logits, labels: NDArray[np.int64], temperature: float, where: str = "logits"
) -> float:
    """Mean over N >= 1 examples of -log softmax(z / T)[label], in nats; one pass over the rows.

    >>> round(mean_nll(np.array([[2.0, 0.0]]), np.array([0]), 1.0), 4)  # log(1 + exp(-2))
    0.1269

    Raises:
        CascadeError: for logits that are not finite, naming ``where`` and the row.
    """
    size, classes = logits.shape
    nll = np.empty(size)

    def work(start: int, stop: int) -> None:
        rows = float_rows(logits, slice(start, stop))
        best, bad = best_classes(rows)
        if bad >= 0:
            raise not_finite(rows[bad], start + bad, where)
        for part in blocks(len(rows), classes):
            x = shifted_logits(rows[part], best[part], temperature)
            at = slice(start + part.start, start + part.stop)
            of_label = x[np.arange(len(x)), labels[at]]
            np.exp(x, out=x)
            nll[at] = np.log(x.sum(axis=1)) - of_label

    over_rows(size, classes * logits.dtype.itemsize, work)
    return float(np.sum(nll / size))


def fit_temperature(
    logits: Logits, labels: NDArray[np.int64], where: str = "logits"
) -> FittedTemperature:
    """The T in 0.01..100 that minimises the mean negative log-likelihood of ``labels``.

    The likelihood's negative log is convex in 1/T and so has one valley in log T, which scipy's
    bounded search descends (Guo et al. 2017; Lebovitz et al. 2023, Eq. 3). T = 1 is kept where
    nothing is better.

    Of logits (±z, 0) that are right in 3 of 4 cases the best T gives the right class 3/4, that is
    T = z / log 3:

    >>> logits = np.array([[5.0, 0.0]] * 4)
    >>> fitted = fit_temperature(logits, np.array([0, 0, 0, 1]))
    >>> round(fitted.temperature, 3), round(5 / math.log(3), 3), fitted.at_bound
    (4.551, 4.551, False)

    Args:
        logits: float16, float32 or float64 [N, K], N >= 1, in memory or memory-mapped; read once
            for each of about 25 temperatures.
        labels: int64 [N] in 0..K-1.
        where: what the logits are called in an error, e.g. their file.

    Raises:
        CascadeError: naming the row, for NaN or infinite logits or a label outside 0..K-1; for no
            examples; for a shape or dtype that cannot be logits.
    """
    import scipy.optimize  # slow to import, seldom needed

    check_logits(logits, where)
    check_labels(labels, len(logits), logits.shape[1], where)
    if len(logits) == 0:
        raise CascadeError(f"{where}: no examples to fit a temperature on")
    labels = labels.astype(np.int64)

    def nll(log_temperature: float) -> float:
        return mean_nll(logits, labels, math.exp(log_temperature), where)

    bounds = (math.log(COLDEST), math.log(HOTTEST))
    found = scipy.optimize.minimize_scalar(
        nll, bounds=bounds, method="bounded", options={"xatol": LOG_TOLERANCE}
    )
    before = mean_nll(logits, labels, 1.0, where)
    # In the order in which equals are preferred; the search itself never tries a bound.
    candidates = [(before, 1.0), (float(found.fun), math.exp(found.x))]
    candidates += [(mean_nll(logits, labels, t, where), t) for t in (COLDEST, HOTTEST)]
    best, temperature = min(candidates, key=lambda candidate: candidate[0])
    return FittedTemperature(
        temperature=temperature,
        at_bound=temperature in (COLDEST, HOTTEST),
        nll=best,
        nll_before=before,
    )


@calibrator("temperature")
def temperature(logits: Logits, labels: NDArray[np.int64], where: str) -> float:
    """The temperature that minimises the negative log-likelihood, see :func:`fit_temperature`.

    >>> round(temperature(np.array([[5.0, 0.0]] * 4), np.array([0, 0, 0, 1]), "logits"), 3)
    4.551
    """
    return fit_temperature(logits, labels, where).temperature
