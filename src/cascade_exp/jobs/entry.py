"""Starting a job from the command line; what is wrong with it is reported in one line.

What a job does lives in ``train`` and ``evaluate``; this module only stands between them and Hydra.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from cascade_exp.errors import CascadeError, Pruned, Terminated, did_you_mean
from cascade_exp.errors import one_line as shortened
from cascade_exp.jobs.signals import STATUS, interrupted, resume_line, terminating
from cascade_exp.schema.checks import check_keys
from cascade_exp.schema.renamed import KEYS, refuse_renamed

log = logging.getLogger(__name__)
FULL_ERROR = "HYDRA_FULL_ERROR"
OWN_ERRORS = "CASCADE_EXP_OWN_ERRORS"
"""In the environment: the process whose errors :func:`run_main` prints."""
BODIES = {"train": "cascade_exp.training.job", "evaluate": "cascade_exp.evaluation.job"}


def run_job(name: str, config: DictConfig) -> float | None:
    """Run the job ``name`` of the composed ``config``, as :func:`run_main` wants it.

    An error of a single job goes past Hydra; one of a sweep's jobs is Hydra's to report.
    """
    try:
        return _run_job(name, config)
    except Exception as error:
        alone = HydraConfig.get().mode != RunMode.MULTIRUN
        if alone and os.environ.get(OWN_ERRORS) == str(os.getpid()):
            raise _Failed(error) from error.__cause__
        raise


def _run_job(name: str, config: DictConfig) -> float | None:
    """Check the composed ``config`` and run the body of the job ``name`` (:data:`BODIES`).

    Returns the number that ``optimize`` names, which a sweeper that searches wants; else None. A
    job that its search pruned has none; its ``job.json`` states that.
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


class _Failed(BaseException):
    """Carries the error of a single job past Hydra, which would print a line of its own."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def run_main(main: Callable[[], Any]) -> None:
    """Run a Hydra main function; a mistake of the user ends it with one line and status 1.

    SIGTERM ends it with status 143, Ctrl-C with 130, each with a line that says how to resume. With
    HYDRA_FULL_ERROR=1 in the environment the traceback is shown instead. Errors that no user caused
    keep theirs.
    """
    if os.environ.get(FULL_ERROR) == "1":
        _until_terminated(main)
        return
    os.environ[FULL_ERROR] = "1"  # makes Hydra raise to us what it would otherwise print
    os.environ[OWN_ERRORS] = str(os.getpid())
    try:
        refuse_renamed(sys.argv[1:])
        try:
            _until_terminated(main)
        except _Failed as failed:
            raise failed.error from failed.error.__cause__
    except (CascadeError, HydraException, OmegaConfBaseException, OSError) as error:
        print(f"Error: {one_line(error)}", file=sys.stderr)
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as stop:  # Lightning makes the latter of the former
        if isinstance(stop, SystemExit) and not resume_line(stop):
            raise
        print(interrupted(resume_line(stop)), file=sys.stderr)
        sys.exit(130)


def _until_terminated(main: Callable[[], Any]) -> None:
    try:
        with terminating():
            main()
    except Terminated as stop:
        print(interrupted(resume_line(stop)), file=sys.stderr)
        sys.exit(STATUS)


def one_line(error: BaseException) -> str:
    """What was wrong, in one line, for errors of this project, of Hydra and of OmegaConf."""
    if isinstance(error, CascadeError):
        return "\n".join(map(shortened, str(error).splitlines()))
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, option = error.missing_cfg_file.rpartition("/")
        return (
            f"{group}={option}: no such option; {group} is one of {', '.join(error.options)}"
            f"{did_you_mean(option, error.options)}"
        )
    if isinstance(error, OverrideParseException):
        return _not_parsed(str(error.override), error)
    cause = error.__cause__ or error
    if isinstance(cause, OmegaConfBaseException) and cause.key is not None:
        return _wrong_key(cause)
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
    if "multirun" in str(error) and "Sweep" in str(error):
        return (
            f"{shortened(error)}; a value that holds a comma is quoted twice: "
            """'key="value, with a comma"'"""
        )
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return shortened(str(error).split("See https")[0])
    return shortened(error) if isinstance(error, OSError) else _unknown(error)


def _unknown(error: BaseException) -> str:
    return f"{type(error).__name__}: {_first_line(error)}"


def _not_parsed(override: str, error: Exception) -> str:
    """An override that Hydra's grammar does not read; the message shows how to quote it."""
    key, equals, value = override.partition("=")
    if not equals or not value:
        return f"{override}: expected key=value ({_first_line(error)})"
    quote = "'" if '"' in value else '"'
    quoted = value.replace("\\", "\\\\") if value.endswith("\\") else value
    return (
        f"{override}: Hydra cannot read this value; where it is one text, such as a path with "
        f"signs of its grammar, quote it twice: {shlex.quote(f'{key}={quote}{quoted}{quote}')}"
    )


def _wrong_key(cause: OmegaConfBaseException) -> str:
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


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return shortened(lines[0]) if lines else type(error).__name__


def _known_keys(error: OmegaConfBaseException) -> list[str]:
    kind = error.object_type
    if is_dataclass(kind):
        return sorted(f.name for f in fields(kind))
    if isinstance(error.parent_node, DictConfig):
        return sorted(map(str, error.parent_node))
    return []
