"""The schemas by the names under which option files in ``conf/`` build on them."""

from __future__ import annotations

import functools
import secrets

from cascade_exp.schema import evaluating, training
from cascade_exp.schema.metrics import metric_schemas

# Option files under conf/ build on these by name: `defaults: [/schema/metric/topk@_here_, _self_]`.
OPTION_SCHEMAS: dict[str, dict[str, type]] = {
    "metric": {
        "named": evaluating.Named,
        "learned": evaluating.LearnedMetric,
        **metric_schemas(),
    },
    "ensemble": {"named": evaluating.Named},
    "calibration": {"named": evaluating.Named},
    "objective": {"named": evaluating.Named, "topk": evaluating.TopK, "f1": evaluating.F1},
    "cascade": {
        "named": evaluating.Named,
        "stages": evaluating.StagesCascade,
        "exits": evaluating.ExitsCascade,
        "tiers": evaluating.TiersCascade,
    },
    "search": {"search": evaluating.Search},
    "cost": {
        "column": evaluating.Cost,
        "dollars": evaluating.DollarsCost,
        "edge_cloud": evaluating.EdgeCloudCost,
    },
    "threshold": {"threshold": evaluating.Threshold},
    "logger": {
        "wandb": evaluating.WandbLogger,
        "csv": evaluating.CsvLogger,
        "tensorboard": evaluating.TensorBoardLogger,
        "mlflow": evaluating.MlflowLogger,
    },
    "paths": {"paths": evaluating.Paths},
    "regularizer": {
        "named": evaluating.Named,
        "dar": training.Dar,
        "label_smoothing": training.LabelSmoothing,
        "gatekeeper": training.Gatekeeper,
    },
    "distillation": {
        "named": evaluating.Named,
        "vanilla": training.Vanilla,
        "patient": training.Patient,
        "theseus": training.Theseus,
    },
    "optimizer": {"optimizer": training.Optimizer},
    "trainer": {"trainer": training.TrainerOptions},
    "callbacks": {"callback": training.Callback},
    "data": {
        "images": training.ImageData,
        "texts": training.TextData,
        "glue": training.GlueData,
        "swag": training.SwagData,
        "table": training.TableData,
        "rooted_table": training.RootedTableData,
        "synthetic_text": training.SyntheticTextData,
    },
    "models": {"models": training.Models, "front": training.FrontModels},
}


ELSEWHERE = {
    "recordings": "train.py records its own models; evaluate.py recordings=… evaluates given ones",
    "compare": "only evaluate.py compares jobs: evaluate.py 'compare=outputs/*'",
    "data": "only train.py reads data; evaluate.py reads the recordings of a training job",
    "models": "only train.py builds models; pool.include=[…] narrows the recorded ones",
}
"""What to use instead of a key that one of the commands has and the other lacks."""


@functools.cache
def register() -> None:
    """Put the schemas, and the resolver ``unique``, where the files under ``conf/`` find them.

    Once: Hydra's store is that of the process.
    """
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    OmegaConf.register_new_resolver(
        "unique", lambda: secrets.token_hex(3), use_cache=True, replace=True
    )
    store = ConfigStore.instance()
    store.store(group="schema", name="evaluate", node=evaluating.EvaluateConfig)
    store.store(group="schema", name="train", node=training.TrainConfig)
    for group, options in OPTION_SCHEMAS.items():
        for name, node in options.items():
            store.store(group=f"schema/{group}", name=name, node=node)
