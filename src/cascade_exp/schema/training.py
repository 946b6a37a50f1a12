"""The keys that ``train.py`` has besides: data, models, how they learn, trainer, callbacks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Optional

from omegaconf import MISSING

from cascade_exp.models.members import (
    ExitsMember,
    TimmMember,
    TransformersMember,
    TruncatedMember,
)
from cascade_exp.schema.evaluating import EvaluateConfig, Named

# OmegaConf reads these annotations at run time and knows Optional[X], not X | None.
# ruff: noqa: UP045


@dataclass
class Optimizer(Named):
    """A torch optimiser and its schedule: linear warm-up, then decay to zero."""

    builds: str = MISSING
    learning_rate: float = MISSING
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    decay: str = "linear"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class TrainerOptions(Named):
    """Lightning's Trainer: the arguments that experiments change, and any other as ``options``."""

    max_epochs: int = MISSING
    accelerator: str = "auto"
    devices: Any = "auto"
    precision: str = "auto"
    gradient_clip_val: Optional[float] = 1.0
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Dar(Named):
    """Difficulty-aware regularisation of every stage but the last, and how its labels are made.

    ``fold``: only do this fold's share of the labels, and end.
    """

    folds: int = 8
    seeds: int = 5
    weight: float = 0.5
    margin: float = MISSING
    pairs: str = "all"
    fold: Optional[int] = None


@dataclass
class Vanilla(Named):
    """Soft targets of the last stage for every other."""

    alpha: float = 0.5
    temperature: float = 2.0


@dataclass
class Patient(Vanilla):
    """Soft targets and matched hidden states (BERT-PKD)."""

    beta: float = 100.0
    layers: str = "skip"


@dataclass
class Theseus(Named):
    """Layers that take the place of the last stage's (BERT-of-Theseus)."""

    base_rate: float = 0.3
    ramp: float = 0.5


@dataclass
class Callback:
    """A Lightning callback: the class by its import path, and its arguments."""

    builds: str = MISSING
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Data(Named):
    """What every data set has: its source, its four splits (drawn with ``seed``), its batches.

    ``options``: arguments of the source's ``load`` that have no key of their own.
    ``dar_margin``: the margin that CascadeBERT's regulariser takes for it by default.
    """

    source: str = MISSING
    options: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    selection: str = "report_half"
    validation_share: float = 0.1
    selection_share: float = 0.1
    limit_train: Optional[int] = None
    batch_size: int = 32
    workers: int = 0
    dar_margin: float = 0.5


@dataclass
class ImageData(Data):
    """Images in memory or in class folders."""

    root: Optional[str] = None
    augment: str = "none"


@dataclass
class TextData(Data):
    """Sentences or sentence pairs in batches of similar length."""

    bucketed: bool = True


@dataclass
class GlueData(TextData):
    """A GLUE task out of a local folder in the original layout (``root``), or from the hub."""

    task: str = MISSING
    root: Optional[str] = None


@dataclass
class SwagData(TextData):
    """SWAG out of a local folder in the original column layout (``root``), or from the hub."""

    root: Optional[str] = None


@dataclass
class TableData(TextData):
    """The user's own table: csv, tsv, jsonl or parquet, compressed or not.

    ``classes``: a list of the labels, or a mapping from label to class. ``header``: true, false or
    a list of column names. ``drop``: ``empty``, ``unlabelled`` or a list of both.
    """

    train_file: str = MISSING
    test_file: Optional[str] = None
    selection_file: Optional[str] = None
    text: str = "text"
    text_pair: Optional[str] = None
    label: str = "label"
    classes: Any = None
    header: Any = True
    separator: Optional[str] = None
    encoding: str = "utf-8"
    escape: Optional[str] = None
    drop: Any = None


@dataclass
class RootedTableData(TableData):
    """A published table whose files lie in one folder."""

    root: str = MISSING


@dataclass
class SyntheticTextData(TextData):
    """Generated sentences whose difficulty is known."""

    train_size: int = MISSING
    test_size: int = MISSING
    generator_seed: int = 0


@dataclass
class MemberTraining:
    """What one model trains with instead of the job's own; null: the job's.

    ``plain``: on the task alone, whatever the job's regulariser and distillation: as a baseline.
    ``head_…``: for the second phase of a network with exits that has two; null: the same again.
    ``run``: the training job whose model of this name is taken as it is, instead of any training.
    """

    learning_rate: Optional[float] = None
    max_epochs: Optional[int] = None
    seed: Optional[int] = None
    plain: bool = False
    head_learning_rate: Optional[float] = None
    head_epochs: Optional[int] = None
    run: Optional[str] = None

    def of_heads(self) -> MemberTraining:
        """What the second phase trains with."""
        return replace(
            self,
            learning_rate=self.head_learning_rate or self.learning_rate,
            max_epochs=self.head_epochs or self.max_epochs,
        )


MEMBERS = {
    "timm": TimmMember,
    "transformers": TransformersMember,
    "truncated": TruncatedMember,
    "exits": ExitsMember,
}


@dataclass
class Timing:
    """Whether seconds per example are measured once all models are trained, and how.

    ``measure`` null: where the costs are made from the column ``seconds``.
    """

    measure: Optional[bool] = None
    batch_size: int = 1
    repeats: int = 20


@dataclass
class Models(Named):
    """A pool of models by name; each is one of MEMBERS, told apart by its ``family``.

    A member may hold ``training``: what it trains with instead of the job's own settings.
    """

    members: dict[str, Any] = field(default_factory=dict)


@dataclass
class Recording:
    """Which share of the recordings this job makes, to end with it; null: all that is missing."""

    shares: int = 1
    share: Optional[int] = None


@dataclass
class Representations:
    """After which layer t-SNE shows the models of a training job over texts; null: it does not.

    ``models``: their names; null: all that have so many layers. ``examples``: the most drawn.
    """

    layer: Optional[int] = None
    models: Optional[list[str]] = None
    examples: int = 1000


@dataclass
class TrainConfig(EvaluateConfig):
    """All keys of ``train.py``."""

    data: Data = MISSING
    models: Models = MISSING
    regularizer: Named = MISSING
    distillation: Named = MISSING
    best_by: str = "val/accuracy"
    optimizer: Optimizer = MISSING
    trainer: TrainerOptions = MISSING
    callbacks: dict[str, Any] = field(default_factory=dict)
    timing: Timing = field(default_factory=Timing)
    representations: Representations = field(default_factory=Representations)
    encoder: Optional[str] = None
    train: bool = True
    evaluate: bool = True
    ckpt_path: Optional[str] = None
    recording: Recording = field(default_factory=Recording)
