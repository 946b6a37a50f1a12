"""Image classifiers out of timm: any of its names, pretrained, from a checkpoint or from scratch.

Which keys a member has is said by ``members.TimmMember``.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_model as load_weights
from safetensors.torch import save_model as save_weights
from timm.models import PretrainedCfg, get_pretrained_cfg
from timm.models import load_state_dict as read_checkpoint
from torch import Tensor, nn

from cascade_exp.errors import CascadeError, did_you_mean, one_line
from cascade_exp.hub import hub_has
from cascade_exp.models.complete import CompleteModel
from cascade_exp.models.depth import depth
from cascade_exp.models.inputs import ImageInput
from cascade_exp.models.members import TimmMember, read_member

log = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"

# Arguments of create_model that have a key of their own, or that would not leave a classifier.
_NOT_OPTIONS = (
    *("model_name", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path"),
    *("cache_dir", "num_classes", "in_chans", "img_size", "features_only"),
    *("scriptable", "exportable", "no_jit"),
)


def build(name: str, member: Mapping[str, Any], classes: tuple[str, ...]) -> CompleteModel:
    """Build a timm model with a head of K classes; ``layers`` is counted by ``depth``.

    Raises:
        CascadeError: for a name timm does not know, weights that cannot be had, options that the
            architecture does not take, images that it cannot take.
    """
    wanted = read_member(name, member, TimmMember)
    _check(name, wanted)
    image = _input(name, wanted)
    try:
        if wanted.checkpoint is not None:
            network = _from_checkpoint(name, wanted, image, len(classes))
        else:
            network = _create(wanted, image, len(classes), wanted.pretrained, {})
    except (TypeError, ValueError, RuntimeError, AssertionError, OSError) as error:
        raise CascadeError(_reason(name, wanted, error)) from error
    pretrained_classes = _config(wanted.architecture).num_classes
    if wanted.pretrained and pretrained_classes != len(classes):
        log.info("%s: pretrained weights, new head of %d classes", name, len(classes))
    try:
        layers = depth(network, torch.zeros(1, image.channels, image.size, image.size))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise CascadeError(
            f"models.members.{name}.image_size: {wanted.architecture} cannot take images of "
            f"{image.channels}x{image.size}x{image.size} ({one_line(error)})"
        ) from error
    description = {
        "family": "timm",
        "architecture": wanted.architecture,
        "in_chans": image.channels,
        "image_size": image.size,
        "options": wanted.options,
    }
    return CompleteModel(name, network, image, layers, classes, description)


def write(model: CompleteModel, directory: Path) -> None:
    """Write the weights to ``directory``/model.safetensors."""
    save_weights(model.network, str(directory / WEIGHTS))


def read(description: dict[str, Any], classes: tuple[str, ...], directory: Path) -> nn.Module:
    """Rebuild the network from its description and the weights in ``directory``."""
    wanted = TimmMember(**description)
    _check_architecture(f"{directory}: description", wanted)
    path = directory / WEIGHTS
    if not path.is_file():
        raise CascadeError(f"{path}: no such file; the model's weights are missing")
    network = _create(wanted, _input(str(directory), wanted), len(classes), False, {})
    try:
        load_weights(network, str(path))
    except (SafetensorError, RuntimeError) as error:
        raise CascadeError(
            f"{path}: damaged, or not the weights of {wanted.architecture} with "
            f"{len(classes)} classes ({one_line(error)})"
        ) from error
    return network


def _check(name: str, wanted: TimmMember) -> None:
    where = f"models.members.{name}"
    _check_architecture(where, wanted)
    if wanted.in_chans < 1 or (wanted.image_size is not None and wanted.image_size < 1):
        raise CascadeError(
            f"{where}: found in_chans={wanted.in_chans}, image_size={wanted.image_size}, "
            "expected numbers above 0"
        )
    if wanted.checkpoint is not None and wanted.pretrained:
        raise CascadeError(f"{where}: checkpoint and pretrained=true exclude each other; keep one")
    if wanted.pretrained:
        _check_weights(where, wanted.architecture)


def _check_architecture(where: str, wanted: TimmMember) -> None:
    """Refuse an architecture outside of timm, such as one on a hub, and options that name files."""
    if not timm.is_model(wanted.architecture):
        near = did_you_mean(wanted.architecture, timm.list_models())
        raise CascadeError(
            f"{where}.architecture={wanted.architecture}: timm {timm.__version__} has no such "
            f"model{near}; python -c 'import timm; print(*timm.list_models())' lists all"
        )
    try:
        get_pretrained_cfg(wanted.architecture)
    except RuntimeError as error:
        raise CascadeError(f"{where}.architecture={wanted.architecture}: {error}") from None
    for key, value in wanted.options.items():
        if key in _NOT_OPTIONS:
            raise CascadeError(
                f"{where}.options.{key}: not an option of the architecture; leave it"
            )
        if value is None:
            raise CascadeError(
                f"{where}.options.{key}: found null, which timm ignores; leave it out"
            )


def _check_weights(where: str, architecture: str) -> None:
    config = _config(architecture)
    if not config.has_weights:
        raise CascadeError(
            f"{where}.pretrained=true: timm has no weights for {architecture}; "
            "set pretrained=false or checkpoint=FILE"
        )
    if config.hf_hub_id and not hub_has(config.hf_hub_id):
        raise CascadeError(
            f"{where}.pretrained=true: the weights of {architecture} are not in the cache and the "
            "hub cannot be reached; set checkpoint=FILE (.safetensors or .pth) or pretrained=false"
        )


def _config(architecture: str) -> PretrainedCfg:
    """Timm's pretrained configuration; its defaults where the architecture has none."""
    return get_pretrained_cfg(architecture) or PretrainedCfg()


def _input(name: str, wanted: TimmMember) -> ImageInput:
    """What the pretrained configuration wants, its statistics averaged unless colours are fed."""
    config = _config(wanted.architecture)
    _, height, width = config.input_size
    if wanted.image_size is None and height != width:
        raise CascadeError(
            f"models.members.{name}.image_size: {wanted.architecture} is made for "
            f"{height}x{width}, and images here are square; give a size"
        )
    channels = wanted.in_chans
    mean, std = (tuple(float(v) for v in values) for values in (config.mean, config.std))
    if channels != len(mean):
        mean, std = (sum(mean) / len(mean),) * channels, (sum(std) / len(std),) * channels
    # what the weights were evaluated with; weights of one's own see the whole image
    crop_pct = config.crop_pct if wanted.pretrained else 1.0
    size = wanted.image_size or height
    return ImageInput(size, channels, mean, std, config.interpolation, crop_pct)


def _create(
    wanted: TimmMember,
    image: ImageInput,
    classes: int,
    pretrained: bool,
    source: dict[str, Any],
) -> nn.Module:
    """Call timm; ``source`` overlays where its pretrained weights come from and what they are."""
    options = dict(wanted.options)
    if _config(wanted.architecture).fixed_input_size:
        options["img_size"] = image.size
    return timm.create_model(
        wanted.architecture,
        pretrained=pretrained,
        num_classes=classes,
        in_chans=image.channels,
        pretrained_cfg_overlay=source,
        **options,
    )


def _from_checkpoint(name: str, wanted: TimmMember, image: ImageInput, classes: int) -> Any:
    """Built with the checkpoint's own number of classes and loaded strictly; then a new head."""
    path = Path(str(wanted.checkpoint))
    where = f"models.members.{name}.checkpoint={path}"
    if not path.is_file():
        raise CascadeError(f"{where}: no such file")
    try:
        state = read_checkpoint(str(path), weights_only=True)
    except Exception as error:  # pickle, zip and safetensors each fail in their own way
        raise CascadeError(
            f"{where}: not a safetensors file or a .pth that loads with weights_only=True "
            f"({one_line(error)})"
        ) from error
    config = _config(wanted.architecture)
    head = _weight(state, config.classifier)
    stem = _weight(state, config.first_conv)
    held = config.num_classes if head is None else head.shape[0]
    channels = config.input_size[0] if stem is None or stem.ndim != 4 else stem.shape[1]
    source = {
        "state_dict": state,
        "custom_load": False,
        "num_classes": held,
        "label_offset": 0,
        "input_size": (channels, *config.input_size[1:]),
    }
    network: Any = _create(wanted, image, held, True, source)
    network.pretrained_cfg.pop("state_dict")
    if held != classes:
        network.reset_classifier(classes)
        log.info("%s: the checkpoint has %d classes; new head of %d", name, held, classes)
    return network


def _weight(state: Mapping[str, Tensor], module: Any) -> Tensor | None:
    """The weight of ``module`` (timm names one, or several) if the checkpoint calls it so."""
    first = module[0] if isinstance(module, list | tuple) else module
    return state.get(f"{first}.weight")


def _reason(name: str, wanted: TimmMember, error: Exception) -> str:
    """One line for what timm refused."""
    where = f"models.members.{name}"
    unexpected = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    if unexpected and unexpected[1] in wanted.options:
        near = did_you_mean(unexpected[1], _parameters(wanted.architecture))
        return f"{where}.options.{unexpected[1]}: {wanted.architecture} has no such option{near}"
    if wanted.checkpoint is not None:
        return (
            f"{where}.checkpoint={wanted.checkpoint}: not weights of {wanted.architecture} "
            f"({one_line(error)})"
        )
    return f"{where}.architecture={wanted.architecture}: timm refused it ({one_line(error)})"


def _parameters(architecture: str) -> list[str]:
    with suppress(Exception), torch.device("meta"):
        return [*inspect.signature(type(timm.create_model(architecture)).__init__).parameters]
    return []
