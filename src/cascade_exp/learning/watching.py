"""What validation said over the epochs of a fit: the best of it, and whether to continue.

Early stopping by the fit itself is Lightning's; here others are asked, such as a study that has
other fits to compare with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch

GoesOn = Callable[[int, Mapping[str, float]], bool]
"""Given an epoch, from 0, and what its validation said: whether the fit is to continue."""
PICK = {"max": max, "min": min}


class EpochLines(pl.callbacks.ProgressBar):
    """In place of a progress bar where output is no terminal: a line when an epoch ends.

    Args:
        metrics: as logged, those that a line gives beside the loss.
    """

    def __init__(self, metrics: Iterable[str]) -> None:
        super().__init__()
        self.metrics = tuple(metrics)

    def disable(self) -> None:
        """Nothing: lines are printed by the first process alone."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the epoch, of how many, and its numbers."""
        if not trainer.is_global_zero:
            return
        logged = trainer.callback_metrics
        names = [name for name in ("train/loss", *self.metrics) if name in logged]
        numbers = [f"{name} {float(logged[name]):.4g}" for name in dict.fromkeys(names)]
        of = "" if trainer.max_epochs in (None, -1) else f" of {trainer.max_epochs}"
        words = ", ".join(numbers)
        print(f"  epoch {trainer.current_epoch + 1}{of}: {words}", flush=True)


class WatchedValidation(pl.Callback):
    """Keeps the best of each validation metric, and asks after each epoch whether to continue.

    The best are in the trainer's metrics at the end, as ``<metric>.max`` or ``<metric>.min``, and
    go with the checkpoints, so that a resumed fit has them of all its epochs.

    Args:
        best: metric as logged -> ``max`` or ``min``. One that is NaN at an epoch is passed over.
        goes_on: asked after every epoch; the fit ends where it says no.
    """

    def __init__(self, best: Mapping[str, str], goes_on: GoesOn | None = None) -> None:
        self.best = best
        self.goes_on = goes_on
        self.found: dict[str, float] = {}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take in an epoch's metrics."""
        if trainer.sanity_checking:
            return
        logged = trainer.callback_metrics
        now = {metric: float(logged[metric]) for metric in self.best if metric in logged}
        for metric, value in now.items():
            name = f"{metric}.{self.best[metric]}"
            if value == value:
                self.found[name] = PICK[self.best[metric]](self.found.get(name, value), value)
        if self.goes_on is not None and not self.goes_on(trainer.current_epoch, now):
            trainer.should_stop = True

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave what was found where it comes back from the processes of several devices too."""
        trainer.callback_metrics.update({n: torch.tensor(v) for n, v in self.found.items()})

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return dict(self.found)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Out of a checkpoint."""
        self.found = dict(state_dict)
