"""What the models of one training job share: the data and its splits, the caches.

How one of them is fitted is in ``fitting``; with which LightningModule, in ``modules``; how it is
recorded, in ``recording``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray
from rich.markup import escape

from cascade_exp.atomic import replacing_folder
from cascade_exp.data import load_splits
from cascade_exp.data.batching import GivenBatches, batch_loader
from cascade_exp.data.examples import Ints, as_texts
from cascade_exp.data.splitting import SPLITS
from cascade_exp.data.summary import summarise
from cascade_exp.data.text import TextDataModule
from cascade_exp.data.tokenizing import build_tokenizer, frequent_words
from cascade_exp.jobs.job import Job
from cascade_exp.jobs.trials import Trial
from cascade_exp.learning.feeding import Feed, feed
from cascade_exp.learning.fit import make_trainer, quiet_lightning
from cascade_exp.models.complete import CompleteModel, build_model
from cascade_exp.recordings.record import record
from cascade_exp.recordings.write import (
    RecordingStore,
    code_revision,
    write_data_warnings,
    write_labels,
)
from cascade_exp.schema.checks import Member
from cascade_exp.schema.training import TrainConfig, TrainerOptions


class TrainingPool:
    """The members of one job by name, and what they share."""

    def __init__(
        self,
        job: Job,
        settings: TrainConfig,
        members: Mapping[str, Member],
        trial: Trial | None = None,
    ) -> None:
        self.job = job
        self.trial = trial
        self.settings = settings
        self.members = members
        self.cache = Path(settings.paths.cache_dir)
        self.store = RecordingStore(self.cache / "recordings")
        self.code = code_revision()
        self.source, self.splits = load_splits(vars(settings.data))
        self._describe_data()
        for split in self.splits.recorded:
            examples = self.splits.named(split)
            folder = job.folder / "recordings" / split
            write_labels(folder, examples.labels, examples.ids, job.key)

    def say(self, line: str) -> None:
        """One line for whoever watches."""
        self.job.console.print(line, highlight=False, soft_wrap=True)

    def _describe_data(self) -> None:
        """The classes with their counts by split, and what looks wrong, before any training."""
        found = summarise(self.source, self.splits)
        sizes = zip(found.splits, found.counts.sum(axis=0), strict=True)
        self.say(f"Data {self.settings.data.name}: " + ", ".join(f"{s} {n:,}" for s, n in sizes))
        for line in found.table():
            self.say(escape(line))
        write_data_warnings(self.job.folder / "recordings", found.warnings)
        for warning in found.warnings:
            self.say(f"[yellow]Warning:[/] {escape(warning)}")

    def describe_cut(self, name: str, data: Feed) -> None:
        """Say how many texts ``max_length`` of the member ``name`` cuts, if it cuts any."""
        if not isinstance(data, TextDataModule):
            return
        cut = {split: n for split, n in data.cut(SPLITS).items() if n}
        if cut:
            shares = ", ".join(
                f"{n:,} of {len(data.splits.named(split)):,} in {split}" for split, n in cut.items()
            )
            self.say(
                f"[yellow]Warning:[/] texts longer than {data.max_length} tokens are cut "
                f"(models.members.{name}.max_length): {shares}"
            )

    def seed_of(self, name: str) -> int:
        """The seed of the member's fresh weights and training batches: its own, else the job's."""
        own = self.members[name].training.seed
        return self.settings.seed if own is None else own

    def build(self, name: str, seed: int) -> CompleteModel:
        """The member ``name``, untrained, its fresh weights drawn with ``seed``."""
        pl.seed_everything(seed, workers=True, verbose=False)
        member = self._with_tokenizer(self.members[name].model)
        return build_model(name, member, self.source.classes)

    def feed(self, model: CompleteModel) -> Feed:
        """The job's splits as ``model`` wants its inputs."""
        return feed(
            model.input,
            self.splits,
            self.settings.data,
            seed=self.seed_of(model.name),
            cache_dir=self.cache,
        )

    def logits(
        self,
        module: pl.LightningModule,
        data: Feed,
        split: str,
        *,
        where: str,
        batches: Sequence[Ints] | None = None,
        show: bool = True,
    ) -> NDArray[np.float32]:
        """What ``module`` says of a split of ``data``: in evaluation mode and float32.

        Args:
            where: what is recorded, for messages. show: whether a progress bar is shown.
            batches: only these of the split's batches, in this order: positions of examples.
        """
        trainer = make_trainer(
            TrainerOptions(
                "recording",
                max_epochs=1,
                accelerator=self.settings.trainer.accelerator,
                devices=1,
                precision="32-true",
            ),
            folder=self.job.folder,
            enable_progress_bar=show,
        )
        loader, ids = data.loader(split), data.splits.named(split).ids
        if batches is not None:
            loader = batch_loader(loader.dataset, GivenBatches(batches), self.settings.data.workers)
            ids = ids[np.concatenate(batches)]
        module.eval()
        with quiet_lightning():
            return record(module, loader, ids, trainer, where)

    def _with_tokenizer(self, member: Mapping[str, Any]) -> Mapping[str, Any]:
        """``member`` with a tokenizer of whole words, where it is new and names none of its own.

        The words are the source's closed vocabulary, else the most frequent of the train split.
        """
        wanted = member.get("config") is not None and member.get("tokenizer") is None
        if not wanted or self.source.kind == "image":
            return member
        words = self.source.vocabulary or frequent_words(as_texts(self.splits.train)[0])
        key = hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]
        folder = self.cache / "tokenizers" / f"{self.settings.data.name}-{key}"
        if not folder.is_dir():
            with replacing_folder(folder) as partial:
                build_tokenizer(words).save_pretrained(str(partial))
            self.say(
                f"Tokenizer: the {len(words):,} words of {self.settings.data.name}, in {folder}"
            )
        return {**member, "tokenizer": str(folder)}
