"""Cascades out of recorded outputs: every threshold, tables, plots, W&B. See conf/evaluate.yaml."""

import hydra
from omegaconf import DictConfig

from cascade_exp.jobs.entry import run_job, run_main
from cascade_exp.schema.registry import register

register()


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
def main(config: DictConfig) -> float | None:
    """Evaluate the cascades of one recordings folder."""
    return run_job("evaluate", config)


if __name__ == "__main__":
    run_main(main)
