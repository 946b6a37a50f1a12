"""The cascade that runs against its yardsticks, at batch sizes 1 and 32.

    uv run benchmarks/runtime.py run=JOB [examples=500] [rounds=5] [threads=null]
    uv run benchmarks/runtime.py encoder=path/to/MiniLM-L6-H384 glue=path/to/glue [deferred=0.3]
    uv run benchmarks/runtime.py resnets=path/to/resnet_cifar10 cifar10=path/to/cifar10.npz

``JOB`` is the folder of a job of train.py, or of evaluate.py run=…, whose models were trained here.
``encoder`` runs its first 2 layers, then all of it, on SST-2's dev sentences (new heads, as time
does not depend on them); ``resnets`` runs ResNet-20, then ResNet-56, with their trained weights on
CIFAR-10's test images. Their threshold defers the share ``deferred`` of the examples.

In one process and in turns: the chosen cascade, its last stage alone, all stages on every example
(the published way), and the ideal (``report.results.executed``). At batch size 1 besides: what the
runtime adds to a single request, as the time of the last stage alone less that of its reader and
network called by hand.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf
from rich.console import Console
from torch import Tensor, nn

from cascade_exp import Cascade
from cascade_exp.cascade.confidence import make_metric
from cascade_exp.data import load_source
from cascade_exp.data.examples import Examples
from cascade_exp.errors import CascadeError
from cascade_exp.models.complete import CompleteModel, build_model, load_model, save_model
from cascade_exp.models.inputs import ImageInput
from cascade_exp.models.members import read_keys
from cascade_exp.report.results.files import read_results
from cascade_exp.runtime.chosen import ChosenCascade, recordings_of
from cascade_exp.runtime.chunk import Chunk
from cascade_exp.runtime.execution import examples_of, last_alone, time_ways
from cascade_exp.runtime.loading import device_of
from cascade_exp.runtime.module import raw_input
from cascade_exp.runtime.readers import Readers
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


class Block(nn.Module):
    """Two 3x3 convolutions; where the width doubles, the shortcut is every second pixel, padded."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride, self.more = stride, width - before

    def forward(self, x: Tensor) -> Tensor:
        """Activations [B, width, H / stride, W / stride]."""
        out = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.more:
            x = nn.functional.pad(
                x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more - self.more // 2)
            )
        return torch.relu(out + x)


class ResNet(nn.Module):
    """The ResNet of He et al. 2016, §4.2, with 6n + 2 layers and shortcuts without parameters."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for number, (before, width) in enumerate(((16, 16), (16, 32), (32, 64)), start=1):
            first = Block(before, width, 1 if number == 1 else 2)
            rest = [Block(width, width, 1) for _ in range(n - 1)]
            setattr(self, f"layer{number}", nn.Sequential(first, *rest))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, 10]."""
        x = torch.relu(self.bn1(self.conv1(x)))
        for layer in (self.layer1, self.layer2, self.layer3):
            x = layer(x)
        return self.linear(x.mean(dim=(2, 3)))


def resnets(folder: Path, classes: tuple[str, ...]) -> list[CompleteModel]:
    """ResNet-20 and ResNet-56 with their trained weights."""
    read = ImageInput(32, 3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bilinear")
    models = []
    for layers in (20, 56):
        path = next(folder.glob(f"resnet{layers}-*.th"), None)
        if path is None:
            raise CascadeError(f"resnets={folder}: no resnet{layers}-*.th in it")
        network = ResNet((layers - 2) // 6)
        state = torch.load(path, weights_only=True, map_location="cpu")["state_dict"]
        network.load_state_dict({key.removeprefix("module."): it for key, it in state.items()})
        models.append(CompleteModel(f"resnet{layers}", network.eval(), read, layers, classes, {}))
    return models


def encoders(folder: str, classes: tuple[str, ...]) -> list[CompleteModel]:
    """The first two layers of the encoder and all of it, saved and loaded as a job's models are."""
    models = []
    with tempfile.TemporaryDirectory() as home:
        for layers in (2, 6):
            torch.manual_seed(layers)
            member = {"family": "truncated", "encoder": folder, "layers": layers}
            name = f"minilm_{layers}l"
            save_model(build_model(name, member, classes), Path(home) / name)
            model = load_model(Path(home) / name)
            models.append(replace(model, input=replace(model.input, tokenizer=folder)))
    return models


def cascade_of(models: list[CompleteModel], inputs: list[object], deferred: float) -> Cascade:
    """The models as stages, with the threshold that defers the share ``deferred`` of ``inputs``."""
    readers, device = Readers(), device_of(None)
    stages = [ModelStage(it.name, it, readers.of(it.name, it.input), device) for it in models]
    names = [model.name for model in models]
    metric = make_metric("max_softmax")
    chosen = ChosenCascade(
        place=Path("benchmark"),
        stages=names,
        thresholds=[np.inf],
        compare="ge",
        metric=metric,
        base=metric,
        ensemble="none",
        combine=None,
        temperatures={},
        learned={},
        stage_costs=[float(model.layers) for model in models],
        cost="layers",
        accounting="cumulative",
        order=names,
        weights={},
    )
    first = replace(chosen, stages=names[:1], thresholds=[], stage_costs=chosen.stage_costs[:1])
    confidence = Cascade(first, stages[:1]).predict(inputs).confidence
    threshold = float(np.sort(confidence)[int(deferred * len(confidence))])
    return Cascade(replace(chosen, thresholds=[threshold]), stages)


def report(cascade: Cascade, examples: Examples, rounds: int) -> None:
    """Measure and print one cascade at both batch sizes."""
    console = Console(highlight=False)
    console.print(f"{'>'.join(cascade.chosen.stages)}, {torch.get_num_threads()} threads")
    for batch_size in (1, 32):
        ways = time_ways(cascade, examples, Execution(batch_size, None, rounds, 1))
        last, ideal = ways.last.per_example(), ways.ideal()
        console.print(f"batch size {batch_size}, {len(examples)} examples")
        for name, seconds in (
            ("the cascade", ways.cascade.per_example()),
            ("last stage alone", last),
            ("all stages, masked", ways.all.per_example()),
            ("ideal", ideal),
        ):
            console.print(
                f"  {name:<20}{1e3 * seconds:9.3f} ms   {last / seconds:5.2f} x last alone"
                f"   {100 * (seconds / ideal - 1):+6.1f} % over the ideal",
                soft_wrap=True,
            )
        if batch_size == 1:
            added = overhead(cascade, [raw_input(it) for it in examples.inputs])
            if added is not None:
                console.print(f"  the runtime adds {1e3 * added:.3f} ms to a request")


@dataclass
class Options:
    """The ``key=value`` arguments; see the module."""

    run: str | None = None
    encoder: str | None = None
    glue: str | None = None
    resnets: str | None = None
    cifar10: str | None = None
    deferred: float = 0.3
    examples: int = 500
    rounds: int = 5
    threads: int | None = None


def of_source(settings: dict[str, str], most: int) -> tuple[tuple[str, ...], Examples]:
    """The classes of a data set, and the first of its test examples."""
    source = load_source(settings)
    assert source.test is not None
    return source.classes, source.test.take(np.arange(min(len(source.test), most)))


def main(arguments: list[str]) -> int:
    """Measure what the arguments name; returns the exit status."""
    options = read_keys("", OmegaConf.from_cli(arguments), Options)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.run is not None:
        job = Path(options.run)
        results = read_results(job / "results")
        split = results.settings["splits"]["report"]  # type: ignore[index]
        examples = examples_of(recordings_of(job, results), str(split))
        shown = examples.take(np.arange(min(len(examples), options.examples)))
        report(Cascade.load(job), shown, options.rounds)
    if options.encoder and options.glue:
        given = {"source": "glue", "task": "sst2", "root": options.glue}
        classes, shown = of_source(given, options.examples)
        inputs = [raw_input(it) for it in shown.inputs]
        models = encoders(options.encoder, classes)
        report(cascade_of(models, inputs, options.deferred), shown, options.rounds)
    if options.resnets and options.cifar10:
        given = {"source": "cifar10", "root": options.cifar10}
        classes, shown = of_source(given, options.examples)
        models = resnets(Path(options.resnets), classes)
        report(cascade_of(models, list(shown.inputs), options.deferred), shown, options.rounds)
    if not (
        options.run or (options.encoder and options.glue) or (options.resnets and options.cifar10)
    ):
        print("runtime.py: run=JOB is needed, or encoder= and glue=, or resnets= and cifar10=")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
