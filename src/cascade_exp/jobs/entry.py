"""Starting a job from the command line, and saying in one line what was wrong with it.

What a job does lives in ``train`` and ``evaluate``; this module only stands between them and Hydra.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from cascade_exp.errors import CascadeError, Pruned, did_you_mean
from cascade_exp.schema.checks import check_keys
from cascade_exp.schema.renamed import KEYS, refuse_renamed

log = logging.getLogger(__name__)
FULL_ERROR = "HYDRA_FULL_ERROR"
BODIES = {"train": "cascade_exp.training.job", "evaluate": "cascade_exp.evaluation.job"}


def run_job(name: str, config: DictConfig) -> float | None:
    """Check the composed ``config`` and run the body of the job ``name`` (:data:`BODIES`).

    Returns the number that ``optimize`` names, which a sweeper that searches wants; else None. A
    job that its search pruned has none, and says so in its ``job.json``.
    """
    check_keys(config)
    body = importlib.import_module(BODIES[name])
    try:
        folder = getattr(body, name)(config)
    except Pruned as pruned:
        log.info(f"Pruned: {pruned}")
        return None
    if config.optimize is None:
        return None
    from cascade_exp.report.results.headline import told_number

    return told_number(folder if name == "train" else folder.parent, str(config.optimize))


def run_main(main: Callable[[], Any]) -> None:
    """Run a Hydra main function; a mistake of the user ends it with one line and status 1.

    With HYDRA_FULL_ERROR=1 in the environment the traceback is shown instead. Errors that no user
    made keep theirs.
    """
    if os.environ.get(FULL_ERROR) == "1":
        main()
        return
    os.environ[FULL_ERROR] = "1"  # makes Hydra raise to us what it would otherwise print
    try:
        refuse_renamed(sys.argv[1:])
        main()
    except (CascadeError, HydraException, OmegaConfBaseException) as error:
        print(f"Error: {one_line(error)}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("Interrupted; what was finished is kept.", file=sys.stderr)
        sys.exit(130)


def one_line(error: BaseException) -> str:
    """What was wrong, in one line, for errors of ours, of Hydra and of OmegaConf."""
    if isinstance(error, CascadeError):
        return str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, option = error.missing_cfg_file.rpartition("/")
        return (
            f"{group}={option}: no such option; {group} is one of {', '.join(error.options)}"
            f"{did_you_mean(option, error.options)}"
        )
    if isinstance(error, OverrideParseException):
        return f"{error.override}: expected key=value ({_first_line(error)})"
    cause = error.__cause__ or error
    if isinstance(cause, OmegaConfBaseException) and cause.key is not None:
        key = cause.full_key or str(cause.key)
        known = _known_keys(cause)
        if str(cause.key) in KEYS and str(cause.key) not in known:
            return f"{key}: this key was renamed; expected {KEYS[str(cause.key)]}"
        if str(cause.key) not in known and not is_dataclass(cause.object_type):
            return f"{key}: no such key{did_you_mean(str(cause.key), known)}; to add it: +{key}=…"
        if known and str(cause.key) not in known:
            return (
                f"{key}: no such key{did_you_mean(str(cause.key), known)}; "
                f"expected one of {', '.join(known)}"
            )
        return f"{key}: {_first_line(cause)}"
    # Hydra words the unknown group of an override as advice over several lines
    found = re.match(r"Could not override '([^'@]+)'", str(error))
    if found:
        return f"{found[1]}: no such option group or key"
    found = re.match(r"In '([^']+)/([^'/]+)': Could not override '([^'@]+)'", str(error))
    if found:
        chosen, option, group = found.groups()
        return (
            f"{chosen}={option}: it chooses {group}, which this command does not have; the first "
            f"lines of conf/{chosen}/{option}.yaml show the command that it is for"
        )
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return " ".join(str(error).split("See https")[0].split())
    return f"{type(error).__name__}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def _known_keys(error: OmegaConfBaseException) -> list[str]:
    kind = error.object_type
    if is_dataclass(kind):
        return sorted(f.name for f in fields(kind))
    if isinstance(error.parent_node, DictConfig):
        return sorted(map(str, error.parent_node))
    return []
