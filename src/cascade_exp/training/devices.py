"""How many devices a model is fitted on, and with which of Lightning's strategies.

A pool fits several models one after another, and records and evaluates them in between, so several
devices can serve a fit alone: processes that start with it and end with it (``ddp_spawn``). With
``ddp`` the whole command starts anew for every further device, which would then build, write and
record everything again into the same folder.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cascade_exp.errors import CascadeError
from cascade_exp.schema.training import TrainerOptions

DEFAULT = "ddp_spawn"


def check_devices(devices: Any, strategy: object, multirun: bool) -> None:
    """Refuse what cannot work, before anything is built.

    Raises:
        CascadeError: if the strategy starts the whole command again, or this is one of a
            multirun's jobs and wants several devices.
    """
    if not _several(devices):
        return
    if multirun:
        raise CascadeError(
            f"trainer.devices={devices} in a multirun: its jobs would start processes beside one "
            "another on the same devices; give each job one (trainer.devices=1) and run jobs side "
            "by side (hydra/launcher=joblib, submitit_slurm), or train this one by itself"
        )
    name = DEFAULT if strategy is None else str(strategy)
    if not ("spawn" in name or "fork" in name):
        raise CascadeError(
            f"trainer.options.strategy={name}: starts the whole command again for every "
            f"device, and a pool of models cannot be trained so; expected {DEFAULT} (the "
            "default), whose processes live for one fit"
        )


def with_devices(settings: TrainerOptions) -> TrainerOptions:
    """``settings`` with one device for "auto", and the default strategy for several."""
    if "strategy" in settings.options:
        return settings
    if not _several(settings.devices):
        return replace(settings, devices=1 if settings.devices == "auto" else settings.devices)
    return replace(settings, options={**settings.options, "strategy": DEFAULT})


def _several(devices: Any) -> bool:
    if isinstance(devices, int | str) and str(devices).lstrip("-").isdigit():
        return int(devices) not in (0, 1)  # -1: all there are
    return not isinstance(devices, str) and hasattr(devices, "__len__") and len(devices) > 1
