"""The keys that ``train.py`` has besides: data, models, how they learn, trainer, callbacks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from omegaconf import MISSING

from cascade_exp.errors import CascadeError, choice
from cascade_exp.models.front import (
    COSTS,
    members_of,
    published_models,
    single_model_front,
    thinned,
)
from cascade_exp.schema.evaluating import EACH, CommonConfig, Named
from cascade_exp.schema.ranges import above_zero, at_least, share, share_above_zero, share_below_one

# OmegaConf reads these annotations at run time and knows Optional[X], not X | None.
# ruff: noqa: UP045


DECAYS = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
"""``optimizer.decay`` -> the schedule of transformers that it names."""


@dataclass(kw_only=True)
class Optimizer(Named):
    """A torch optimiser and its schedule: linear warm-up, then ``decay`` to zero.

    Attributes:
        builds: its import path.
        learning_rate: the highest of the schedule.
        weight_decay: of weight matrices; biases and normalisation weights are not decayed.
        warmup_share: the share of all steps that warm up.
        decay: ``linear``, ``cosine`` or ``constant``.
        options: further arguments of the optimiser.
    """

    builds: str
    learning_rate: float
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    decay: str = "linear"
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        choice(self.decay, DECAYS, "decay")
        share_below_one(warmup_share=self.warmup_share)


@dataclass(kw_only=True)
class TrainerOptions(Named):
    """Lightning's Trainer: the arguments that experiments change, and any other as ``options``.

    ``precision`` ``auto``: bfloat16 where it is faster (``learning.fit.resolve_precision``).
    """

    max_epochs: int
    accelerator: str = "auto"
    devices: Any = "auto"
    precision: str = "auto"
    gradient_clip_val: Optional[float] = 1.0
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Dar(Named):
    """Difficulty-aware regularisation of every stage but the last (Li et al. 2021, §3.2).

    Attributes:
        folds: the labels' models are fitted on all folds but one ...
        seeds: ... so many times each.
        weight: λ, what the term is multiplied with before it joins the task loss.
        margin: ε, how much less confident a difficult example is to be; in (0, 1].
        pairs: ``all`` (easy, difficult) pairs of the batch, or one ``sampled`` difficult partner
            for each easy example, as in the authors' code.
        fold: only do this fold's share of the labels, and end.
    """

    folds: int
    seeds: int
    weight: float
    margin: float
    pairs: str
    fold: Optional[int] = None

    def __post_init__(self) -> None:
        at_least(2, folds=self.folds)
        at_least(1, seeds=self.seeds)
        above_zero(weight=self.weight)
        share_above_zero(margin=self.margin)
        choice(self.pairs, ("all", "sampled"), "pairs")
        if self.fold is not None and not 0 <= self.fold < self.folds:
            raise CascadeError(f"fold={self.fold}: expected 0 to {self.folds - 1}")


@dataclass(kw_only=True)
class LabelSmoothing(Named):
    """Targets (1-ε)·onehot + ε/K for every stage but the last.

    Attributes:
        epsilon: ε in (0, 1), the share of the uniform distribution.
    """

    epsilon: float

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < 1:
            raise CascadeError(f"epsilon={self.epsilon}: expected a number above 0 and below 1")


@dataclass(kw_only=True)
class Gatekeeper(Named):
    """A second phase of training for every stage but the last (Rabanser et al. 2025).

    Attributes:
        alpha: α in (0, 1), the weight of sharpening right answers; 1-α flattens wrong ones.
        max_epochs: of the second phase.
        learning_rate: of the second phase; null: the same again.
    """

    alpha: float
    max_epochs: int
    learning_rate: Optional[float]

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise CascadeError(f"alpha={self.alpha}: expected a number above 0 and below 1")
        at_least(1, max_epochs=self.max_epochs)
        if self.learning_rate is not None:
            above_zero(learning_rate=self.learning_rate)


@dataclass(kw_only=True)
class Vanilla(Named):
    """Soft targets of the last stage for every other.

    Attributes:
        alpha: α in [0, 1], the share of the soft targets in the loss.
        temperature: T above 0, what logits are divided by.
    """

    alpha: float
    temperature: float

    def __post_init__(self) -> None:
        share(alpha=self.alpha)
        above_zero(temperature=self.temperature)


@dataclass(kw_only=True)
class Patient(Vanilla):
    """Soft targets and matched hidden states (Sun et al. 2019, BERT-PKD).

    Attributes:
        beta: β, the weight of the hidden states' distance.
        layers: which of the teacher's layers are matched: ``skip`` (every L/M-th) or ``last``.
    """

    beta: float
    layers: str

    def __post_init__(self) -> None:
        super().__post_init__()
        choice(self.layers, ("skip", "last"), "layers")
        if self.beta < 0:
            raise CascadeError(f"beta={self.beta}: expected a number of at least 0")


@dataclass(kw_only=True)
class Theseus(Named):
    """The linear schedule of BERT-of-Theseus's replacing rate (Xu et al. 2020, §3.3).

    Attributes:
        base_rate: the chance, at the first step, that a layer of the student takes its place.
        ramp: the share of all steps after which it always does; what is left fine-tunes it alone.
    """

    base_rate: float
    ramp: float

    def __post_init__(self) -> None:
        share_above_zero(base_rate=self.base_rate, ramp=self.ramp)

    def rate(self, done: float) -> float:
        """The replacing rate once the share ``done`` of the steps is over."""
        return min(1.0, self.base_rate + (1 - self.base_rate) * done / self.ramp)


@dataclass
class Callback:
    """A Lightning callback: the class by its import path, and its arguments.

    ``keep``: whether checkpoints stay once a model's weights are in ``models/``.
    """

    builds: str
    options: dict[str, Any] = field(default_factory=dict)
    keep: bool = False


if TYPE_CHECKING:
    Callbacks = dict[str, Callback]
else:
    Callbacks = dict[str, Any]


@dataclass
class Data(Named):
    """What every data set has: its source, its four splits (drawn with ``seed``), its batches.

    ``options``: arguments of the source's ``load`` that have no key of their own.
    ``dar_margin``: ε of CascadeBERT for it (Table 1: 0.5 for MRPC, RTE and SST-2, else 0.3).
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

    ``unregularised``: on the task's loss alone, whatever the job's regulariser and distillation: as
    a baseline.
    ``head_…``: for the second phase of a network with exits that has two; null: the same again.
    ``run``: the training job whose model of this name is taken as it is, instead of any training.
    """

    learning_rate: Optional[float] = None
    max_epochs: Optional[int] = None
    seed: Optional[int] = None
    unregularised: bool = False
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


@dataclass
class Timing:
    """Whether seconds per example are measured once all models are trained, and how.

    ``measure`` null: where the costs are made from the column ``seconds``.
    """

    measure: Optional[bool]
    batch_size: int
    repeats: int

    def __post_init__(self) -> None:
        at_least(1, batch_size=self.batch_size, repeats=self.repeats)


if TYPE_CHECKING:
    Members = dict[str, Any]
else:
    Members = Any  # null of models=none takes models.members={…}, which an empty dictionary refuses


@dataclass(kw_only=True)
class Models(Named):
    """A pool of models by name; the keys of each follow from its ``family`` (``models.members``).

    A member may hold ``training``: what it trains with instead of the job's own settings.
    """

    members: Members


@dataclass(kw_only=True)
class FrontModels(Models):
    """Pretrained timm models: the Pareto front of published tables, beside the given ``members``.

    Attributes:
        table: the benchmark with MACs and speed, in a folder of timm's result tables; or the
            folder, where it has one benchmark only.
        cost: what the front is of, ``macs`` or ``time``.
        most: the most models that are taken, the front's ends and even steps between; null: all.
    """

    table: str
    cost: str
    most: Optional[int]

    def __post_init__(self) -> None:
        choice(self.cost, COSTS, "cost")
        if self.most is not None:
            at_least(2, most=self.most)

    def front_members(self) -> dict[str, Any]:
        """The settings of the front's models by name, as in ``models.members``.

        Raises:
            CascadeError: if the tables cannot be read, or no model is in both.
        """
        place = Path(self.table)
        tables, benchmark = (place.parent, place.name) if place.is_file() else (place, None)
        front = single_model_front(published_models(tables, benchmark), self.cost)
        return members_of(front if self.most is None else thinned(front, self.cost, self.most))


@dataclass
class Recording:
    """Which share of the recordings this job makes, to end with it; null: all that is missing."""

    shares: int
    share: Optional[int]

    def __post_init__(self) -> None:
        at_least(1, shares=self.shares)
        if self.share is None and self.shares > 1:
            raise CascadeError(
                f"shares={self.shares}: which of them is this job's? In a multirun "
                f"'recording.share=range({self.shares})'; the run that puts them together needs "
                "neither key"
            )
        if self.share is not None and not 0 <= self.share < self.shares:
            raise CascadeError(
                f"share={self.share}: expected 0 to {self.shares - 1}, as "
                f"recording.shares={self.shares}"
            )


@dataclass
class Representations:
    """After which layer t-SNE shows the models of a training job over texts; null: it does not.

    ``models``: their names; null: all that have so many layers. ``examples``: the most drawn.
    """

    layer: Optional[int]
    models: Optional[list[str]]
    examples: int


BEST_BY = ("val/accuracy", "val/f1")
"""The scores of the validation split that choose a model's best weights: higher is better."""


@dataclass(kw_only=True)
class TrainConfig(CommonConfig):
    """All keys of ``train.py``; ``conf/train.yaml`` says what each one is."""

    data: Data
    models: Models
    regularizer: Named
    distillation: Named
    best_by: str
    optimizer: Optimizer
    trainer: TrainerOptions
    callbacks: Callbacks = field(default_factory=dict, metadata={EACH: Callback})
    timing: Timing
    representations: Representations
    encoder: Optional[str]
    train: bool
    evaluate: bool
    ckpt_path: Optional[str]
    recording: Recording

    def __post_init__(self) -> None:
        super().__post_init__()
        choice(self.best_by, BEST_BY, "best_by")
        share = self.recording.share
        if share is not None and self.train:
            raise CascadeError(
                f"recording.share={share}: with train=true each share would train models of its "
                "own; train first, then train=false run=JOB records what that job trained"
            )
        if self.run is not None and self.train:
            raise CascadeError(
                f"run={self.run}: its models are trained; give train=false to record them"
            )
