"""What a model costs: multiply-accumulates, parameters, layers, seconds.

As a command it writes CSV to the standard output and nothing else there::

    python -m cascade_exp.models.meter resnet50 vit_small_patch16_224
    python -m cascade_exp.models.meter path/to/MiniLM-L6-H384 length=64
    python -m cascade_exp.models.meter outputs/…/models/minilm_2l repeats=20    # seconds, too

A name is one of timm's, a directory that ``save_model`` wrote, or an encoder of transformers (hub
name or directory; its config.json is enough, for weights are not needed to count).
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from cascade_exp.errors import CascadeError, did_you_mean, one_line
from cascade_exp.models.complete import RECORD, CompleteModel, build_model, load_model
from cascade_exp.models.depth import evaluating
from cascade_exp.models.exit_network import ExitNetwork
from cascade_exp.models.inputs import ImageInput, TextInput
from cascade_exp.models.members import read_keys
from cascade_exp.tables import csv_table

COUNTER = f"torch.utils.flop_counter of torch {torch.__version__}, 1 MAC = 2 FLOPs"


@dataclass(frozen=True)
class Measured:
    """What one model costs per example.

    Attributes:
        macs: multiply-accumulates of the convolutions and matrix products, attention's included.
        params: number of parameters.
        layers: the model's depth, ``CompleteModel.layers``.
        input: what was fed, ``3x224x224`` or ``128 tokens``.
        counter: what counted the MACs.
    """

    macs: int
    params: int
    layers: int
    input: str
    counter: str


@dataclass
class Options:
    """The ``key=value`` arguments of the command.

    Attributes:
        length: tokens of the sequence a text model is fed.
        image_size: height and width of the image that a timm name is fed; null = its own.
        repeats: batches over which seconds per example are measured here; 0 = they are not.
        batch_size: examples of such a batch.
    """

    length: int = 128
    image_size: int | None = None
    repeats: int = 0
    batch_size: int = 1


def measure(model: CompleteModel, length: int | None = None) -> Measured:
    """Count on one example; the network keeps its mode and its weights.

    The FLOPs that torch counts are halved. It counts nothing for attention's fused kernels, so the
    unfused ones are used meanwhile.

    Args:
        model: the model.
        length: tokens of a text example; None = its ``max_length``.

    Raises:
        CascadeError: if the model cannot take so long a text.
    """
    inputs = example_inputs(model, 1, length)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        counter = FlopCounterMode(display=False)
        with evaluating(model.network), torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
            model.network(inputs)
    except (IndexError, RuntimeError) as error:
        fed = _input_words(model, length)
        raise CascadeError(f"{model.name}: cannot take {fed} ({one_line(error)})") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return Measured(
        macs=counter.get_total_flops() // 2,
        params=sum(parameter.numel() for parameter in model.network.parameters()),
        layers=model.layers,
        input=_input_words(model, length),
        counter=COUNTER,
    )


@dataclass(frozen=True)
class ExitCost:
    """What an example has cost once an exit has answered: all layers and heads up to there.

    Attributes:
        exit: the exit's number, from 1.
        layers: layers run.
        macs: multiply-accumulates of them and of the heads of this and all earlier exits.
    """

    exit: int
    layers: int
    macs: int


def measure_exits(model: CompleteModel, length: int | None = None) -> tuple[ExitCost, ...]:
    """Count every exit of a network with exits, by :func:`measure` on the network cut after it.

    Raises:
        CascadeError: if the model has no exits, or cannot take so long a text.
    """
    network = model.network
    if not isinstance(network, ExitNetwork):
        raise CascadeError(f"{model.name}: a complete model, expected a network with exits")
    costs = []
    for exit in range(1, network.exits + 1):
        with network.first_exits(exit):
            costs.append(ExitCost(exit, exit, measure(model, length).macs))
    return tuple(costs)


def latency(
    model: CompleteModel, batch_size: int = 1, repeats: int = 20, length: int | None = None
) -> float:
    """Median seconds per example over ``repeats`` batches, after three that are not counted.

    Measured where the network lies, with the threads that torch has now; on a GPU each batch is
    waited for.

    Raises:
        CascadeError: for a batch size or a number of repeats below 1.
    """
    _check_timing(model, batch_size, repeats)
    inputs = example_inputs(model, batch_size, length)
    seconds = []
    with evaluating(model.network), torch.inference_mode():
        for _ in range(3 + repeats):
            start = time.perf_counter()
            model.network(inputs)
            seconds.append(_now(model) - start)
    return statistics.median(seconds[3:]) / batch_size


def exit_latencies(
    model: CompleteModel, batch_size: int = 1, repeats: int = 20, length: int | None = None
) -> tuple[float, ...]:
    """Median seconds per example until each exit of a network with exits has answered.

    The network runs layer by layer, each exit's head right after its layer, and the clock is read
    after each head; so what an exit has cost holds the heads before it, and grows from exit to exit
    in every single run, and therefore in the medians. Otherwise as :func:`latency`.

    Raises:
        CascadeError: if the model has no exits; as :func:`latency` besides.
    """
    _check_timing(model, batch_size, repeats)
    network = model.network
    if not isinstance(network, ExitNetwork):
        raise CascadeError(f"{model.name}: a complete model, expected a network with exits")
    inputs = example_inputs(model, batch_size, length)
    assert not isinstance(inputs, Tensor)  # encoders read tokens
    mask, clock = inputs["attention_mask"], [0.0] * network.exits

    def answer(exit: int, state: Tensor) -> None:
        network.heads(exit, state, mask)
        clock[exit] = _now(model)

    def after(exit: int) -> Callable[[nn.Module, Any, Any], None]:
        return lambda layer, given, output: answer(
            exit, output if isinstance(output, Tensor) else output[0]
        )

    layers = network.all_layers()
    hooks = [layer.register_forward_hook(after(exit)) for exit, layer in enumerate(layers)]
    runs = []
    try:
        with evaluating(network), torch.inference_mode():
            for _ in range(3 + repeats):
                start = time.perf_counter()
                network.states(inputs)
                runs.append([read - start for read in clock])
    finally:
        for hook in hooks:
            hook.remove()
    by_exit = zip(*runs[3:], strict=True)
    return tuple(statistics.median(seconds) / batch_size for seconds in by_exit)


def _check_timing(model: CompleteModel, batch_size: int, repeats: int) -> None:
    if batch_size < 1 or repeats < 1:
        raise CascadeError(
            f"latency of {model.name}: found batch_size={batch_size}, repeats={repeats}, "
            "expected 1 or more"
        )


def _now(model: CompleteModel) -> float:
    """The clock, once the model's device has done all that it was given."""
    if next(model.network.parameters()).device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def example_inputs(
    model: CompleteModel, batch_size: int, length: int | None
) -> Tensor | dict[str, Tensor]:
    """A batch of the model's input, on its device: black images, or sequences of one token."""
    weight = next(model.network.parameters())
    if isinstance(model.input, ImageInput):
        shape = (batch_size, model.input.channels, model.input.size, model.input.size)
        return torch.zeros(shape, dtype=weight.dtype, device=weight.device)
    from cascade_exp.models.transformers_models import example_tokens

    network: Any = model.network
    wanted = model.input
    tokens = example_tokens(network.transformer.config, length or wanted.max_length, wanted.endings)
    return {
        key: tensor.expand(batch_size, *tensor.shape[1:]).to(weight.device)
        for key, tensor in tokens.items()
    }


def _input_words(model: CompleteModel, length: int | None) -> str:
    if isinstance(model.input, ImageInput):
        return f"{model.input.channels}x{model.input.size}x{model.input.size}"
    endings = f"{model.input.endings}x" if model.input.endings > 1 else ""
    return f"{endings}{length or model.input.max_length} tokens"


def model_named(name: str, options: Options) -> CompleteModel:
    """The model that a name of the command line means, with fresh weights unless it was saved here.

    A timm model has the head of its pretrained weights, or 1000 classes where they have none.

    Raises:
        CascadeError: if the name means nothing.
    """
    import timm

    if (Path(name) / RECORD).is_file():
        return load_model(name)
    if not timm.is_model(name):
        return _text_model(name, options.length)
    heads = 1000
    with suppress(RuntimeError):  # a tag that timm does not know, which build_model says better
        held = timm.get_pretrained_cfg(name)
        heads = held.num_classes if held is not None and held.num_classes > 1 else heads
    member = {"family": "timm", "architecture": name, "image_size": options.image_size}
    return build_model(name, member, [str(label) for label in range(heads)])


def _text_model(name: str, length: int) -> CompleteModel:
    import timm
    from transformers import AutoModelForSequenceClassification

    from cascade_exp.models.transformers_loading import load_config, quiet
    from cascade_exp.models.transformers_models import TokenClassifier, layer_count

    try:
        config = load_config("", name, trust=False)
        with quiet():
            transformer = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]
                config
            )
    except Exception as error:  # ours, and what transformers raises for a type without classifier
        near = did_you_mean(name, timm.list_models())
        raise CascadeError(
            f"{name}: neither a timm model{near} nor a hub name or directory (with config.json) of "
            f"a transformers encoder that can be had here"
        ) from error
    return CompleteModel(
        name=name,
        network=TokenClassifier(transformer),
        input=TextInput(None, length),
        layers=layer_count(config),
        classes=tuple(str(i) for i in range(config.num_labels)),
        description={},
    )


def main(arguments: Sequence[str]) -> int:
    """Measure the models named, all before the first line is written; returns the exit status."""
    names = [argument for argument in arguments if "=" not in argument]
    try:
        if not names:
            raise CascadeError(
                "usage: python -m cascade_exp.models.meter NAME… [length=128] [image_size=224] "
                "[repeats=20] [batch_size=1]"
            )
        given = OmegaConf.from_cli([a for a in arguments if "=" in a])
        options = read_keys("", given, Options)
        if options.length < 1:
            raise CascadeError(f"length={options.length}: expected 1 or more")
        with redirect_stdout(sys.stderr):
            rows = []
            for name in names:
                model = model_named(name, options)
                length = options.length if isinstance(model.input, TextInput) else None
                row = {"name": name, **asdict(measure(model, length))}
                if options.repeats:
                    row["seconds"] = latency(model, options.batch_size, options.repeats, length)
                rows.append(row)
    except CascadeError as error:
        print(error, file=sys.stderr)
        return 1
    columns = ["name", "input", "macs", "params", "layers"]
    columns += ["seconds"] if options.repeats else []
    print(csv_table(columns, ([row[column] for column in columns] for row in rows)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
