"""Feeding a model: the data module that prepares the splits the way the model wants its inputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from torch.utils.data import DataLoader

from cascade_exp.data.examples import Examples, as_texts
from cascade_exp.data.splitting import Splits
from cascade_exp.errors import CascadeError
from cascade_exp.models.complete import CompleteModel
from cascade_exp.models.inputs import ImageInput, TextInput
from cascade_exp.schema.training import Data, ImageData, TextData

if TYPE_CHECKING:
    from cascade_exp.data.text import TextDataModule


class Feed(Protocol):
    """A Lightning data module of ``splits`` that also gives any of them in a fixed order."""

    @property
    def splits(self) -> Splits:
        """The examples by split."""
        ...

    def train_dataloader(self) -> DataLoader[Any]:
        """The train split, shuffled."""
        ...

    def loader(self, split: str) -> DataLoader[Any]:
        """The split in a fixed order, for recording."""
        ...

    def content_key(self, split: str) -> str:
        """A digest of all that the model sees of a split."""
        ...


def feed(
    wanted: ImageInput | TextInput,
    splits: Splits,
    settings: Data,
    *,
    seed: int,
    cache_dir: Path | None,
) -> Feed:
    """The data module for a model that wants ``wanted``, as the data settings say.

    Raises:
        CascadeError: if the model wants images and the data holds texts, or the other way round.
    """
    common = {"batch_size": settings.batch_size, "workers": settings.workers, "seed": seed}
    if isinstance(wanted, ImageInput) and isinstance(settings, ImageData):
        from cascade_exp.data.images import ImageDataModule

        return ImageDataModule(
            splits,
            size=wanted.size,
            channels=wanted.channels,
            mean=wanted.mean,
            std=wanted.std,
            interpolation=wanted.interpolation,  # type: ignore[arg-type]  # checked there
            crop_pct=wanted.crop_pct,
            augment=settings.augment,  # type: ignore[arg-type]  # checked there
            **common,
        )
    if isinstance(wanted, TextInput) and isinstance(settings, TextData):
        from cascade_exp.data.text import TextDataModule

        if wanted.tokenizer is None:
            raise CascadeError(
                "a model from a configuration needs a tokenizer: "
                "models.members.<name>.tokenizer=<hub name or folder>"
            )
        given = as_texts(splits.train)[1]
        if given != wanted.endings:
            head = "classification" if given == 1 else "multiple_choice"
            raise CascadeError(
                f"data={settings.name} has {_sequences(given)} an example and the model reads "
                f"{_sequences(wanted.endings)}: models.members.<name>.head={head} fits the data"
            )
        return TextDataModule(
            splits,
            tokenizer=wanted.tokenizer,
            max_length=wanted.max_length,
            bucketed=settings.bucketed,
            cache_dir=cache_dir,
            **common,
        )
    kinds = {ImageInput: "images", TextInput: "texts"}
    raise CascadeError(
        f"data={settings.name} does not hold what the model wants: {kinds[type(wanted)]}"
    )


def saved_texts(model: CompleteModel, examples: Examples, batch_size: int) -> TextDataModule:
    """``examples`` as a saved text model wants them; every split of the module is all of them.

    Raises:
        CascadeError: if the model reads no texts, or has no tokenizer of its own.
    """
    from cascade_exp.data.text import TextDataModule

    if not isinstance(model.input, TextInput) or model.input.tokenizer is None:
        raise CascadeError(f"{model.name}: reads no texts that a tokenizer of its own prepares")
    return TextDataModule(
        Splits(train=examples, validation=examples, selection=examples, report=examples),
        tokenizer=model.input.tokenizer,
        max_length=model.input.max_length,
        batch_size=batch_size,
        bucketed=True,
        cache_dir=None,
        workers=0,
        seed=0,
    )


def _sequences(endings: int) -> str:
    return "one text" if endings == 1 else f"{endings} endings"
