"""Raw inputs that a cascade works on together, with what its readers have made of them so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from cascade_exp.cascade.stages import Ints
from cascade_exp.runtime.readers import Batch, Readable, Reader


class Chunk:
    """n raw inputs, by their rows 0..n - 1.

    Attributes:
        items: the inputs.
        batch_size: the most that a network is given at once.
        reasons: by row, why the input cannot be read; None where nothing is known against it.
        states: what a stage keeps for the stages after it, by a key of theirs.
    """

    def __init__(self, items: Sequence[object], batch_size: int) -> None:
        self.items = items
        self.batch_size = batch_size
        self.reasons: list[str | None] = [None] * len(items)
        self.states: dict[object, object] = {}
        self._read: dict[int, tuple[Readable, Ints, Reader]] = {}

    def readable(self, reader: Reader, rows: Ints) -> Ints:
        """Those of ``rows`` that ``reader`` can read; of the others ``reasons`` has why not."""
        held = self._read.get(id(reader))
        if held is None or (held[1][rows] < 0).any():  # a vote that stopped has left rows unread
            readable, reasons = reader.read([self.items[row] for row in rows.tolist()])
            place = np.full(len(self.items), -1, dtype=np.int64)
            place[rows] = np.arange(len(rows))
            for row, reason in zip(rows.tolist(), reasons, strict=True):
                self.reasons[row] = self.reasons[row] or reason
            self._read[id(reader)] = readable, place, reader
        good = np.array([self.reasons[row] is None for row in rows.tolist()], dtype=bool)
        return np.asarray(rows[good])

    def batches(self, reader: Reader, rows: Ints) -> Iterator[tuple[Ints, Batch]]:
        """``rows`` in batches as the network takes them: (positions in ``rows``, batch).

        Texts of similar length are together, so that padding is least.

        Args:
            rows: out of those that :meth:`readable` was asked for first.
        """
        readable, place, _ = self._read[id(reader)]
        places = place[rows]
        lengths = readable.lengths()
        order = np.arange(len(rows))
        if lengths is not None and len(rows) > self.batch_size:
            order = np.argsort(lengths[places], kind="stable")
        for first in range(0, len(rows), self.batch_size):
            at = order[first : first + self.batch_size]
            yield at, readable.batch(places[at])
