"""The schema of every configuration: one dataclass per kind of option, and the check of the whole.

Hydra checks names and types while it composes; :func:`check_keys` finds what slips past it
(``+key=…`` that nothing reads). Library classes are named by strings only, so that importing this
module stays cheap. What an option means is said in its file under ``conf/``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Optional

from omegaconf import MISSING, DictConfig, OmegaConf

from cascade_exp.errors import CascadeError, choice, did_you_mean
from cascade_exp.models.members import (
    TimmMember,
    TransformersMember,
    TruncatedMember,
    read_member,
)
from cascade_exp.recordings.names import check_name

# OmegaConf reads these annotations at run time and knows Optional[X], not X | None.
# ruff: noqa: UP045


@dataclass
class Named:
    """An option without settings of its own: an ensemble, a calibration, most metrics."""

    name: str = MISSING


@dataclass
class TopK(Named):
    """An option that looks at the k best classes: ``topk_sum``, ``topk_accuracy``."""

    k: int = MISSING


@dataclass
class F1(Named):
    """F1 of class 1 (``binary``) or averaged over all classes (``macro``)."""

    average: str = "binary"


@dataclass
class Cost(Named):
    """A column of models.csv, and how the stages of a cascade add up."""

    column: str = MISSING
    accounting: str = "cumulative"


@dataclass
class StagesCascade(Named):
    """One given cascade, in the order written."""

    stages: Any = MISSING


@dataclass
class Search(Named):
    """How far the search looks: the longest cascade, and the gap that may be left open."""

    max_stages: int = 2
    gap: float = 0.0


@dataclass
class Threshold(Named):
    """How operating points are chosen on the selection split."""

    rules: Any = MISSING
    reference: str = "best"
    tolerance: float = 0.0
    target_cost: Optional[float] = None
    target_accuracy: Optional[float] = None
    fixed: Any = None
    epsilon: float = 0.01
    delta: float = 0.1
    worst_case_cost: Optional[float] = None
    shared: bool = False
    compare: str = "ge"
    same_split: bool = False
    local: int = 0


@dataclass
class Splits:
    """Which recorded splits play the two roles."""

    selection: str = "selection"
    report: str = "report"


@dataclass
class Pool:
    """Names or globs that narrow the pool of recorded models."""

    include: Any = None
    exclude: Any = None


@dataclass
class Method:
    """One of the methods to compare (``jobs.methods``); ``k`` is for ``topk_sum`` alone."""

    metric: str = MISSING
    ensemble: str = "none"
    calibration: str = "none"
    k: Optional[int] = None


@dataclass
class Bootstrap:
    """Resamples behind each 95 % interval."""

    resamples: int = 2000


@dataclass
class Paths:
    """Where jobs write, and where what they share is kept."""

    output_dir: str = "outputs"
    cache_dir: str = ".cache"


@dataclass
class WandbLogger:
    """Arguments of ``wandb.init``; mode null: online when a key is configured, else offline."""

    project: str = "cascade-exp"
    entity: Optional[str] = None
    group: Optional[str] = None
    name: Optional[str] = None
    tags: Any = None
    notes: Optional[str] = None
    mode: Optional[str] = None


@dataclass
class CsvLogger:
    """Training curves as ``metrics.csv`` below ``<job>/<folder>/``."""

    folder: str = "csv"


@dataclass
class EvaluateConfig:
    """All keys of ``evaluate.py``."""

    recordings: Optional[str] = None
    run: Optional[str] = None
    splits: Splits = field(default_factory=Splits)
    pool: Pool = field(default_factory=Pool)
    metric: Named = MISSING
    ensemble: Named = MISSING
    calibration: Named = MISSING
    objective: Named = MISSING
    cascade: Named = MISSING
    search: Search = MISSING
    cost: Cost = MISSING
    baseline: str = "hull"
    threshold: Threshold = MISSING
    methods: dict[str, Any] = field(default_factory=dict)
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    analyses: bool = True
    published: Optional[str] = None
    logger: dict[str, Any] = field(default_factory=dict)
    paths: Paths = MISSING
    seed: int = 0


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
class Callback:
    """A Lightning callback: the class by its import path, and its arguments."""

    builds: str = MISSING
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Data(Named):
    """What every data set has: its source, its four splits (drawn with ``seed``), its batches."""

    source: str = MISSING
    seed: int = 0
    selection: str = "report_half"
    validation_share: float = 0.1
    selection_share: float = 0.1
    limit_train: Optional[int] = None
    batch_size: int = 32
    workers: int = 0


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
class TableData(TextData):
    """The user's own table: csv, tsv, jsonl or parquet."""

    train_file: str = MISSING
    test_file: Optional[str] = None
    selection_file: Optional[str] = None
    text: str = "text"
    text_pair: Optional[str] = None
    label: str = "label"
    classes: Any = None


@dataclass
class SyntheticTextData(TextData):
    """Generated sentences whose difficulty is known."""

    train_size: int = MISSING
    test_size: int = MISSING
    generator_seed: int = 0


@dataclass
class MemberTraining:
    """What one model trains with instead of the job's own; null: the job's."""

    learning_rate: Optional[float] = None
    max_epochs: Optional[int] = None


MEMBERS = {
    "timm": TimmMember,
    "transformers": TransformersMember,
    "truncated": TruncatedMember,
}


@dataclass
class Models(Named):
    """A pool of models by name; each is one of MEMBERS, told apart by its ``family``.

    A member may hold ``training``: what it trains with instead of the job's own settings.
    """

    members: dict[str, Any] = field(default_factory=dict)


@dataclass
class TrainConfig(EvaluateConfig):
    """All keys of ``train.py``."""

    data: Data = MISSING
    models: Models = MISSING
    optimizer: Optimizer = MISSING
    trainer: TrainerOptions = MISSING
    callbacks: dict[str, Any] = field(default_factory=dict)
    encoder: Optional[str] = None
    train: bool = True
    evaluate: bool = True
    ckpt_path: Optional[str] = None


# Option files under conf/ build on these by name: `defaults: [/schema/metric/topk@_here_, _self_]`.
OPTION_SCHEMAS: dict[str, dict[str, type]] = {
    "metric": {"named": Named, "topk": TopK},
    "ensemble": {"named": Named},
    "calibration": {"named": Named},
    "objective": {"named": Named, "topk": TopK, "f1": F1},
    "cascade": {"named": Named, "stages": StagesCascade},
    "search": {"search": Search},
    "cost": {"column": Cost},
    "threshold": {"threshold": Threshold},
    "logger": {"wandb": WandbLogger, "csv": CsvLogger},
    "paths": {"paths": Paths},
    "optimizer": {"optimizer": Optimizer},
    "trainer": {"trainer": TrainerOptions},
    "callbacks": {"callback": Callback},
    "data": {
        "images": ImageData,
        "glue": GlueData,
        "table": TableData,
        "synthetic_text": SyntheticTextData,
    },
    "models": {"models": Models},
}


def register() -> None:
    """Put the schemas where the files under ``conf/`` find them."""
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    store.store(group="schema", name="evaluate", node=EvaluateConfig)
    store.store(group="schema", name="train", node=TrainConfig)
    for group, options in OPTION_SCHEMAS.items():
        for name, node in options.items():
            store.store(group=f"schema/{group}", name=name, node=node)


def check_keys(config: DictConfig, at: str = "") -> None:
    """Refuse keys that no dataclass of the schema knows, at any depth.

    Raises:
        CascadeError: naming the key, with the nearest known one.
    """
    kind: Any = OmegaConf.get_type(config)
    known = {f.name for f in fields(kind)} if is_dataclass(kind) else None
    for key in map(str, config):
        where = f"{at}.{key}" if at else key
        if known is not None and key not in known:
            raise CascadeError(
                f"{where}: nothing reads this key{did_you_mean(key, known)}; "
                f"{at or 'this command'} knows {', '.join(sorted(known))}"
            )
        if OmegaConf.is_missing(config, key):
            raise CascadeError(f"{where}: a value is needed; give it as {where}=…")
        value = config._get_node(key)
        if isinstance(value, DictConfig) and not value._is_none():
            check_keys(value, where)


def check_members(models: DictConfig) -> dict[str, tuple[dict[str, Any], MemberTraining]]:
    """By name, what each member of ``models`` is built from and what it trains with.

    Raises:
        CascadeError: if there is none, a name cannot name a recording, or a key is unknown.
    """
    if not models.members:
        raise CascadeError("models.members is empty; a pool needs at least one model")
    read: dict[str, tuple[dict[str, Any], MemberTraining]] = {}
    for name, member in models.members.items():
        where = f"models.members.{check_name(str(name), 'models.members')}"
        if not isinstance(member, DictConfig):
            raise CascadeError(f"{where}={member}: expected the settings of a model, family first")
        if OmegaConf.is_missing(member, "family"):
            raise CascadeError(f"{where}.family: a value is needed")
        family = choice(str(member.get("family")), MEMBERS, f"{where}.family")
        plain = OmegaConf.to_container(member, resolve=True)
        assert isinstance(plain, dict)
        settings: dict[str, Any] = {str(key): value for key, value in plain.items()}
        training = settings.pop("training", None) or {}
        for key in training:
            choice(str(key), MemberTraining.__dataclass_fields__, f"{where}.training")
        read_member(str(name), settings, MEMBERS[family])
        read[str(name)] = (settings, MemberTraining(**training))
    return read
