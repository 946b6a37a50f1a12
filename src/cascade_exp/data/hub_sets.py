"""Data sets from the Hugging Face hub, through ``datasets``; the sources read their columns."""

from __future__ import annotations

from typing import Any

from cascade_exp.errors import CascadeError
from cascade_exp.hub import hub_answers


def load_from_hub(repository: str, config: str, instead: str) -> Any:
    """The splits by name of the hub's data set ``repository``, from the hub or its local cache.

    Args:
        config: which of the repository's configurations.
        instead: what the user can give in its place, for errors.

    Raises:
        CascadeError: if ``datasets`` is not installed, the hub does not answer, or the data set
            cannot be loaded.
    """
    try:
        import datasets
    except ImportError:
        raise CascadeError(
            f"data.root is null and the package 'datasets' is not installed: {instead}, "
            "or install the extra 'hub'"
        ) from None
    from huggingface_hub import constants

    if not constants.HF_HUB_OFFLINE and not hub_answers():
        raise CascadeError(
            f"data.root is null and the Hugging Face hub does not answer: {instead}, "
            "or set HF_HUB_OFFLINE=1 to use a copy cached earlier"
        )
    try:
        return datasets.load_dataset(repository, config)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CascadeError(
            f"data.root is null and {repository} cannot be loaded from the hub ({reason}): "
            f"{instead}"
        ) from error
