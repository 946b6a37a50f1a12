"""A block of answers, with every quantity of its rows that a confidence metric may ask for.

Each quantity is computed when it is first asked for and then kept, so that any number of metrics
share one exponential per score. A block is as many rows as stay in a core's cache (``softmax``).

>>> logits = np.array([[2.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
>>> block = LogitBlock(logits, best=np.array([0, 0]), runner_up=np.array([1.0, 0.0]))
>>> block.p.round(3).tolist()
[[0.665, 0.09, 0.245], [0.333, 0.333, 0.333]]
>>> block.first.round(3).tolist(), block.second.round(3).tolist(), block.gap.tolist()
([0.665, 0.333], [0.245, 0.333], [1.0, 0.0])
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from cascade_exp.cascade.softmax import Rows, shifted_exponentials
from cascade_exp.errors import CascadeError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LARGEST = float(np.finfo(np.float64).max)

if TYPE_CHECKING:
    kept = property
else:

    def kept(compute: Callable[[RowBlock], Floats]) -> property:
        """A read-only property, computed once per block.

        Not ``functools.cached_property``: up to Python 3.11 it locks out all other threads.
        """
        name = compute.__name__

        def get(block: RowBlock) -> Floats:
            if name not in block.known:
                values = compute(block)
                values.flags.writeable = False  # metrics share it
                block.known[name] = values
            return block.known[name]

        return property(get, doc=compute.__doc__)


class RowBlock(ABC):
    """n answers over K classes; all quantities are float64.

    Every block has probabilities; logits exist only in a :class:`LogitBlock`.

    Attributes:
        best: int64 [n], the predicted class.
        known: what has been computed so far, by name.

    >>> block: RowBlock = ProbabilityBlock(
    ...     np.array([[1.2, 0.8]]), 2, np.array([0]), np.array([0.8])
    ... )
    >>> block.first.tolist(), block.second.tolist(), len(block)
    ([0.6], [0.4], 1)
    """

    def __init__(self, best: Ints) -> None:
        self.best = best
        self.known: dict[str, Floats] = {}

    def __len__(self) -> int:
        """Number of rows n."""
        return len(self.best)

    @property
    @abstractmethod
    def p(self) -> Floats:
        """Probabilities [n, K], class by class."""

    @property
    @abstractmethod
    def first(self) -> Floats:
        """p(1), the largest probability of each row [n]."""

    @property
    @abstractmethod
    def second(self) -> Floats:
        """p(2), the second-largest probability of each row [n]; 0 with one class."""

    @property
    @abstractmethod
    def plogp(self) -> Floats:
        """Σ p log p of each row [n], at most 0 (0 log 0 = 0)."""

    @property
    def logits(self) -> Floats:
        """Logits y [n, K] after division by the temperature, class by class."""
        return self._no_logits("logits")

    @property
    def top(self) -> Floats:
        """y(1), the largest logit of each row [n], clipped to what float64 holds."""
        return self._no_logits("top")

    @property
    def gap(self) -> Floats:
        """y(1) - y(2) of each row [n]; with one class, and where it overflows, the largest float64.

        Not +inf, which as a threshold means "never here": every confidence stays finite.
        """
        return self._no_logits("gap")

    @property
    def log_sum(self) -> Floats:
        """log Σ exp y of each row [n]."""
        return self._no_logits("log_sum")

    def _no_logits(self, name: str) -> NoReturn:
        raise CascadeError(
            f"a metric reads {name}, but a mean of probabilities has no logits: "
            "it must be declared with needs_logits=True"
        )


class ProbabilityBlock(RowBlock):
    """A mean of probabilities, given as the sum [n, K] of ``members`` distributions.

    Args:
        sums: float64 [n, K]. members: how many distributions were added up.
        best: int64 [n], the class of the largest sum. runner_up: float64 [n], the second-largest
            sum; -inf with one class.

    >>> block = ProbabilityBlock(np.array([[1.2, 0.8]]), 2, np.array([0]), np.array([0.8]))
    >>> block.p.tolist(), block.plogp.round(4).tolist()
    ([[0.6, 0.4]], [-0.673])
    >>> block.logits  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    cascade_exp.errors.CascadeError: a metric reads logits, but a mean of ...
    """

    def __init__(self, sums: Floats, members: int, best: Ints, runner_up: Floats) -> None:
        super().__init__(best)
        self.sums, self.members, self.runner_up = sums, members, runner_up

    @kept
    @override
    def p(self) -> Floats:
        return self.sums / self.members

    @kept
    @override
    def first(self) -> Floats:
        return np.asarray(self.p[np.arange(len(self)), self.best])

    @kept
    @override
    def second(self) -> Floats:
        return np.maximum(self.runner_up, 0.0) / self.members

    @kept
    @override
    def plogp(self) -> Floats:
        logs = np.log(self.p, out=np.zeros_like(self.p), where=self.p > 0)
        return np.asarray((self.p * logs).sum(axis=1))


class LogitBlock(RowBlock):
    """Rows of logits [n, K], with p = softmax(y) and y = logits / temperature.

    Args:
        rows: [n, K], finite, of any floating-point type.
        best: int64 [n], the class of the largest logit. runner_up: float64 [n], the second-largest
            logit; -inf with one class.
        temperature: positive.

    >>> block = LogitBlock(
    ...     np.array([[2.0, 0.0]]), np.array([0]), np.array([0.0]), temperature=2.0
    ... )
    >>> block.logits.tolist(), block.gap.tolist(), block.log_sum.round(4).tolist()
    ([[1.0, 0.0]], [1.0], [1.3133])
    """

    def __init__(self, rows: Rows, best: Ints, runner_up: Floats, temperature: float = 1.0) -> None:
        super().__init__(best)
        self.rows, self.runner_up, self.temperature = rows, runner_up, temperature

    @kept
    def exponentials(self) -> Floats:
        """exp(y - y(1)) [n, K]."""
        self.shifted, found = shifted_exponentials(self.rows, self.best, self.temperature)
        return found

    @kept
    def total(self) -> Floats:
        """Σ exp(y - y(1)) of each row [n], in 1..K."""
        return np.asarray(self.exponentials.sum(axis=1))

    @kept
    @override
    def p(self) -> Floats:
        return self.exponentials / self.total[:, None]

    @kept
    @override
    def first(self) -> Floats:
        return 1.0 / self.total

    @kept
    @override
    def second(self) -> Floats:
        return np.exp(-self.gap) / self.total

    @kept
    @override
    def plogp(self) -> Floats:
        exponentials = self.exponentials
        # in place: nothing else reads the shifted logits, and one more array would leave the cache
        products = np.multiply(self.shifted, exponentials, out=self.shifted)
        return np.asarray(products.sum(axis=1) / self.total - np.log(self.total))

    @kept
    @override
    def logits(self) -> Floats:
        with np.errstate(over="ignore"):
            scaled = self.rows.astype(np.float64) / self.temperature
        return np.clip(scaled, -LARGEST, LARGEST)

    @kept
    @override
    def top(self) -> Floats:
        with np.errstate(over="ignore"):
            return np.clip(self._largest / self.temperature, -LARGEST, LARGEST)

    @kept
    @override
    def gap(self) -> Floats:
        largest, runner_up, temperature = self._largest, self.runner_up, self.temperature
        with np.errstate(over="ignore", invalid="ignore"):
            gap = largest / temperature - runner_up / temperature
            # halves where the quotients overflow
            gap = np.where(np.isfinite(gap), gap, (largest / 2 - runner_up / 2) / temperature * 2)
        return np.clip(gap, 0.0, LARGEST)

    @kept
    @override
    def log_sum(self) -> Floats:
        return np.minimum(self.top + np.log(self.total), LARGEST)

    @property
    def _largest(self) -> Floats:
        """The largest recorded logit of each row [n]."""
        return self.rows[np.arange(len(self)), self.best].astype(np.float64)
