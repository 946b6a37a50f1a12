"""The number of layers of an image network, as the literature counts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

# Autograd's names of a convolution, and of a linear map with and without bias.
_WEIGHTED = ("Convolution", "Addmm", "Mm", "Linear")


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """In the block every module is in evaluation mode; afterwards each is in the one it was in."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def depth(network: nn.Module, inputs: Tensor) -> int:
    """The number of layers of ``network``, found by running it once on ``inputs`` [1, C, H, W].

    A network of transformer blocks (modules with a child ``attn`` and a child ``mlp``, as timm
    names them) has as many layers as blocks: ViT-S 12. Any other has as many as the most
    convolutions and linear maps met on one path from input to output: ResNet-50 50, VGG-16 16,
    DenseNet-121 121. Shortcut projections lie beside the longest path and so do not count;
    squeeze-and-excitation maps lie on it and do.
    """
    with evaluating(network), torch.enable_grad():
        logits = network(inputs)
    blocks = [m for m in network.modules() if hasattr(m, "attn") and hasattr(m, "mlp")]
    return len(blocks) or _longest_path(logits.grad_fn)


def _longest_path(last: Any) -> int:
    """Most weighted nodes on a path from the autograd node ``last`` back to an input."""
    longest: dict[Any, int] = {}
    stack = [last]
    while stack:
        node = stack[-1]
        below = [n for n, _ in node.next_functions if n is not None]
        waiting = [n for n in below if n not in longest]
        if waiting:
            stack.extend(waiting)
            continue
        stack.pop()
        weighted = node.name().startswith(_WEIGHTED)
        longest[node] = weighted + max((longest[n] for n in below), default=0)
    return longest[last]
