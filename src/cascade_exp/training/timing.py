"""Seconds per example of a job's models and exits, measured where they lie, once all are trained.

How one network is timed is in ``models.meter``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from cascade_exp.atomic import write_text
from cascade_exp.models.complete import CompleteModel, load_model
from cascade_exp.models.exit_network import ExitNetwork
from cascade_exp.models.meter import exit_latencies, latency
from cascade_exp.schema.training import TrainConfig

TIMING = "timing.json"


def timed(settings: TrainConfig) -> bool:
    """Whether seconds are to be measured."""
    asked = settings.timing.measure
    return settings.cost.column == "seconds" if asked is None else asked


def seconds_of(settings: TrainConfig, job: Path, names: Sequence[str]) -> dict[str, list[float]]:
    """By model of the job, its seconds per example; of a network with exits, until each exit.

    In float32 on the GPU if the trainer may use one, else on the CPU with the threads that torch
    has. What they were measured on and how goes to ``<job>/timing.json``.
    """
    timing = settings.timing
    gpu = torch.cuda.is_available() and settings.trainer.accelerator in ("auto", "gpu", "cuda")
    found = {}
    for name in names:
        model = load_model(job / "models" / name)
        model.network.to("cuda" if gpu else "cpu")
        found[name] = _seconds(model, timing.batch_size, timing.repeats)
    about = {
        "device": torch.cuda.get_device_name() if gpu else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "batch_size": timing.batch_size,
        "repeats": timing.repeats,
        "seconds": found,
    }
    write_text(job / TIMING, json.dumps(about, indent=2))
    return found


def _seconds(model: CompleteModel, batch_size: int, repeats: int) -> list[float]:
    if isinstance(model.network, ExitNetwork):
        return list(exit_latencies(model, batch_size, repeats))
    return [latency(model, batch_size, repeats)]
