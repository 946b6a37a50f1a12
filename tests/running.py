"""Running a job's body in this process, as Hydra would: composed, with its folder set."""

from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict

from cascade_exp.jobs.entry import run_job
from cascade_exp.schema.registry import register

ROOT = Path(__file__).parents[1]


def run(name: str, folder: Path, *overrides: str) -> Any:
    """Run ``train`` or ``evaluate`` into ``folder``; caches go beside it."""
    GlobalHydra.instance().clear()
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3", job_name=name):
        config = compose(
            name,
            overrides=[
                f"paths.output_dir={folder.parent}",
                f"paths.cache_dir={folder.parent / 'cache'}",
                *overrides,
            ],
            return_hydra_config=True,
        )
    with open_dict(config):
        config.hydra.runtime.output_dir = str(folder)
        config.hydra.job.name = name
    HydraConfig.instance().set_config(config)
    folder.mkdir(parents=True, exist_ok=True)
    with open_dict(config):
        del config["hydra"]
    OmegaConf.set_readonly(config, None)
    return run_job(name, config)
