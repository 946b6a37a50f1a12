"""Recording a model on a split through Lightning's ``Trainer.predict``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cascade_exp.errors import CascadeError

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from torch.utils.data import DataLoader


def record(
    module: pl.LightningModule,
    loader: DataLoader[Any],
    ids: NDArray[np.int64],
    trainer: pl.Trainer,
    where: str,
) -> NDArray[np.float32]:
    """Logits float32 [N, K] of every example of ``loader``, in the order of ``ids`` [N].

    Of a network with exits they are [N, exits, K]. Rows are matched by example id, so neither the
    loader's order nor an example that a distributed sampler repeats can shift them.

    Raises:
        CascadeError: if an example is missing, or a logit is NaN or infinite.
    """
    batches: list[Any] = trainer.predict(module, dataloaders=loader) or []
    seen = np.concatenate([batch["id"].cpu().numpy() for batch in batches])
    logits = np.concatenate([batch["logits"].float().cpu().numpy() for batch in batches])
    unique, first = np.unique(seen, return_index=True)
    place = np.searchsorted(unique, ids)
    if len(unique) != len(ids) or not np.array_equal(
        unique[np.minimum(place, len(unique) - 1)], ids
    ):
        raise CascadeError(f"{where}: recorded {len(unique)} examples, expected {len(ids)}")
    ordered: NDArray[np.float32] = logits[first[place]]
    bad = ~np.isfinite(ordered).reshape(len(ordered), -1).all(axis=1)
    if bad.any():
        raise CascadeError(
            f"{where}: example {int(ids[int(np.argmax(bad))])} has a NaN or infinite logit "
            f"({int(bad.sum())} examples do); the training diverged or the weights are damaged"
        )
    return ordered
