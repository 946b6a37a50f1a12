"""Fine-tune a pool of models, record them, evaluate their cascades. See conf/train.yaml."""

import hydra
from omegaconf import DictConfig

from cascade_exp.jobs.entry import run_job, run_main
from cascade_exp.schema.registry import register

register()


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> float | None:
    """Train, record and evaluate one pool of models."""
    return run_job("train", config)


if __name__ == "__main__":
    run_main(main)
