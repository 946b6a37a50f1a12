"""Starting a job from the command line; what is wrong with it is reported in one line.

What a job does lives in ``train`` and ``evaluate``; this module only stands between them and Hydra.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from cascade_exp.errors import CascadeError, Pruned, Terminated, did_you_mean
from cascade_exp.errors import one_line as shortened
from cascade_exp.jobs.help import check_overrides, help_text
from cascade_exp.jobs.signals import STATUS, interrupted, resume_line, terminating
from cascade_exp.schema.checks import refuse_unread, to_settings
from cascade_exp.schema.registry import ELSEWHERE
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
    settings = to_settings(config)  # before the body's imports, which take seconds
    refuse_unread(settings, HydraConfig.get().overrides.task)
    body = importlib.import_module(BODIES[name])
    try:
        folder = getattr(body, name)(config)
    except Pruned as pruned:
        log.info(f"Pruned: {pruned}")
        return None
    if config.optimize is None:
        return None
    from cascade_exp.report.results.headline import reported_number

    return reported_number(folder if name == "train" else folder.parent, str(config.optimize))


class _Failed(BaseException):
    """Carries the error of a single job past Hydra, which would print a line of its own."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def run_main(main: Callable[[], Any]) -> None:
    """Run a Hydra main function; a mistake of the user ends it with one line and status 1.

    ``--help`` prints the command's own help (``jobs.help``), ``--hydra-help`` Hydra's. SIGTERM ends
    it with status 143, Ctrl-C with 130, each with a line that says how to resume. With
    HYDRA_FULL_ERROR=1 in the environment a traceback is shown instead of the line. Errors that no
    user caused keep theirs.
    """
    script = Path(inspect.unwrap(main).__code__.co_filename)
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(help_text(script.stem, script.parent / "conf"))
        return
    if os.environ.get(FULL_ERROR) == "1":
        _until_terminated(main)
        return
    os.environ[FULL_ERROR] = "1"  # makes Hydra raise to us what it would otherwise print
    os.environ[OWN_ERRORS] = str(os.getpid())
    try:
        refuse_renamed(sys.argv[1:])
        if not {"--multirun", "-m"} & set(sys.argv[1:]):  # where each job is refused by itself
            check_overrides(sys.argv[1:], script.parent / "conf")
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
    if isinstance(cause, ConfigKeyError | ConfigAttributeError) and cause.key is not None:
        return _unknown_key(cause)
    found = re.match(r"Error merging override (.*)", str(error), re.DOTALL)
    if found and isinstance(cause, OmegaConfBaseException):
        return f"{found[1]}: {_first_line(cause)}"
    if isinstance(cause, OmegaConfBaseException) and cause.key is not None:
        return f"{cause.full_key or cause.key}: {_first_line(cause)}"
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
    found = re.match(r"Ambiguous value for argument '(.*)'", str(error))
    if found:
        return (
            f"{found[1]}: a comma separates the values of a sweep, which --multirun runs; "
            f"{_how_to_quote(found[1])}"
        )
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return shortened(str(error).split("See https")[0])
    return shortened(error) if isinstance(error, OSError) else _unknown(error)


def _unknown(error: BaseException) -> str:
    return f"{type(error).__name__}: {_first_line(error)}"


def _not_parsed(override: str, error: Exception) -> str:
    """An override that Hydra's grammar does not read; the message shows how to quote it."""
    _, equals, value = override.partition("=")
    if not equals or not value:
        return f"{override}: expected key=value ({_first_line(error)})"
    return f"{override}: Hydra cannot read this value; {_how_to_quote(override)}"


def _how_to_quote(override: str) -> str:
    key, _, value = override.partition("=")
    quote = "'" if '"' in value else '"'
    return (
        "where it is one text, such as a path, quote it twice: "
        f"{shlex.quote(f'{key}={quote}{value}{quote}')}"
    )


def _unknown_key(error: OmegaConfBaseException) -> str:
    key, known = error.full_key or str(error.key), _known_keys(error)
    if key in ELSEWHERE and is_dataclass(error.object_type):
        return f"{key}: {ELSEWHERE[key]}"
    if str(error.key) in KEYS and str(error.key) not in known:
        return f"{key}: this key was renamed; expected {KEYS[str(error.key)]}"
    hint = did_you_mean(str(error.key), known)
    if not is_dataclass(error.object_type):
        return f"{key}: no such key{hint}; to add it: +{key}=…"
    return f"{key}: no such key{hint}; expected one of {', '.join(known)}"


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
