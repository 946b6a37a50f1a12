"""The cascade that runs against its yardsticks, at batch sizes 1 and 32.

    uv run benchmarks/runtime.py run=JOB [examples=500] [rounds=5]

``JOB`` is the folder of a job of train.py, or of evaluate.py run=…, whose models were trained here.
In one process and in turns: the chosen cascade, its last stage alone, all stages on every example
(the published way), and the ideal (``report.results.executed``). At batch size 1 besides: what the
runtime adds to a single request, as the time of the last stage alone less that of its reader and
network called by hand.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf
from rich.console import Console

from cascade_exp import Cascade
from cascade_exp.report.results.files import read_results
from cascade_exp.runtime.chosen import recordings_of
from cascade_exp.runtime.chunk import Chunk
from cascade_exp.runtime.execution import examples_of, last_alone, time_ways
from cascade_exp.runtime.module import raw_input
from cascade_exp.runtime.stages.model import ModelStage, on
from cascade_exp.schema.evaluating import Execution


def overhead(cascade: Cascade, inputs: list[object]) -> float | None:
    """Median seconds that the runtime adds to a request of one input; None without a lone model."""
    alone = last_alone(cascade)
    (stage,) = alone.stages
    if not isinstance(stage, ModelStage):
        return None
    added = []
    for item in inputs:
        start = time.perf_counter()
        alone.predict([item], batch_size=1)
        whole = time.perf_counter() - start
        start = time.perf_counter()
        chunk = Chunk([item], 1)
        rows = chunk.readable(stage.reader, np.arange(1))
        with torch.inference_mode():
            for _, batch in chunk.batches(stage.reader, rows):
                stage.network(on(batch, stage.device)).float().cpu().numpy()
        added.append(whole - (time.perf_counter() - start))
    return statistics.median(added)


def main(arguments: list[str]) -> int:
    given = OmegaConf.from_cli(arguments)
    if "run" not in given:
        print("runtime.py: run=JOB is needed, the folder of a job whose models were trained here")
        return 0
    job = Path(given.run)
    results = read_results(job / "results")
    split = results.settings["splits"]["report"]  # type: ignore[index]
    examples = examples_of(recordings_of(job, results), str(split))
    cascade = Cascade.load(job)
    console = Console(highlight=False)
    console.print(f"{'>'.join(cascade.chosen.stages)}, {torch.get_num_threads()} threads")
    for batch_size in (1, 32):
        wanted = Execution(batch_size, None, int(given.get("rounds", 5)), 1)
        shown = examples.take(np.arange(min(len(examples), int(given.get("examples", 500)))))
        ways = time_ways(cascade, shown, wanted)
        last, ideal = ways.last.per_example(), ways.ideal()
        console.print(f"batch size {batch_size}, {len(shown)} examples")
        for name, seconds in (
            ("the cascade", ways.cascade.per_example()),
            ("last stage alone", last),
            ("all stages, masked", ways.all.per_example()),
            ("ideal", ideal),
        ):
            console.print(
                f"  {name:<20}{1e3 * seconds:9.3f} ms   {last / seconds:5.2f} x last alone"
                f"   {100 * (seconds / ideal - 1):+6.1f} % over the ideal"
            )
        if batch_size == 1:
            added = overhead(cascade, [raw_input(it) for it in shown.inputs])
            if added is not None:
                console.print(f"  the runtime adds {1e3 * added:.3f} ms to a request")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
