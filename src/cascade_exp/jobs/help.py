"""The help of a command: every group of options with its choices, and what each one is.

The texts are the comments of the files under ``conf/``: of a group, beside it in the defaults list;
of an option, the first line of its file; of a key, beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from cascade_exp.errors import CascadeError

GROUP = re.compile(r"  - (?:override )?/?([\w/]+): *(\S*) *(?:# *(.*))?")
MERGED = re.compile(r"  - (\w+) *(?:#.*)?$")
KEY = re.compile(r"( *)(\w+): *([^#]*?) *# *(.*)")
PACKAGE = "# @package"
HIDDEN = ("hydra",)
"""Groups that are Hydra's own business (``--hydra-help``)."""


def help_text(command: str, conf: Path) -> str:
    """The help of ``train`` or ``evaluate``, out of the files in ``conf``."""
    lines = [_first_comment(conf / f"{command}.yaml"), ""]
    lines += [f"usage: uv run {command}.py [GROUP=OPTION ...] [KEY=VALUE ...]", ""]
    lines.append("Groups (GROUP=OPTION chooses; the default is marked with *):")
    files = _files(command, conf)
    for group, default, said in (found for file in files for found in _groups(file)):
        if group in HIDDEN:
            continue
        lines += ["", f"{group}: {said}"]
        for option in sorted((conf / group).glob("*.yaml")):
            if not _is_for(command, option):
                continue
            mark = "*" if option.stem == default else " "
            lines.append(f"  {mark} {option.stem:<24} {_first_comment(option)}")
    lines += ["", "Keys (KEY=VALUE sets; a.b=VALUE sets b of a):", ""]
    lines += [line for file in files for line in _keys(file)]
    lines += [
        "",
        "Keys of a group are in its option's file under conf/, and all values in",
        f"`uv run {command}.py --cfg job`. A key that is not there yet is added as +KEY=VALUE;",
        "-m KEY=A,B runs one job for each value. Hydra's own flags: --hydra-help.",
    ]
    return "\n".join(lines)


def _files(command: str, conf: Path) -> list[Path]:
    """The command's own file, and those that its defaults list merges whole."""
    own = conf / f"{command}.yaml"
    merged = [MERGED.match(line) for line in own.read_text(encoding="utf-8").splitlines()]
    names = [found[1] for found in merged if found is not None and found[1] != "_self_"]
    return [own, *(conf / f"{name}.yaml" for name in names)]


def _groups(file: Path) -> Iterator[tuple[str, str, str]]:
    """Group, default option and comment, in the order of the file's defaults list."""
    for line in file.read_text(encoding="utf-8").splitlines():
        found = GROUP.fullmatch(line)
        if found is not None:
            yield found[1], found[2], found[3] or ""


def _keys(file: Path) -> Iterator[str]:
    """One line for each key of ``file``: it with its default, and its comment."""
    parent = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if re.fullmatch(r"\w+:", line):
            parent = f"{line[:-1]}."
            continue
        found = KEY.fullmatch(line)
        if found is None or line.startswith("  -"):
            continue
        parent = parent if found[1] else ""
        given = f"{parent}{found[2]}={found[3]}"
        yield f"  {given:<40} {found[4]}"


def _is_for(command: str, option: Path) -> bool:
    """Whether an option is for this command; of an experiment, the second line is its command."""
    if option.parent.name != "experiment":
        return True
    lines = option.read_text(encoding="utf-8").splitlines()
    named = re.match(r"# uv run (\w+)\.py", lines[1]) if len(lines) > 1 else None
    return named is None or named[1] == command


def _first_comment(file: Path) -> str:
    lines = file.read_text(encoding="utf-8").splitlines()
    said = lines[1] if lines[0].startswith(PACKAGE) else lines[0]
    if file.parent.name == "experiment" and len(lines) > 2:
        said = lines[2]  # its second line is the command
    return said.removeprefix("# ")


def check_overrides(arguments: Sequence[str], conf: Path) -> None:
    """Refuse a value that can name no option of its group, such as ``objective=0``.

    Hydra itself ends with a traceback for these.

    Raises:
        CascadeError: naming the group, with its options.
    """
    for argument in arguments:
        group, given, value = argument.partition("=")
        folder = conf / group
        if not given or not re.fullmatch(r"\w+", group) or not folder.is_dir():
            continue
        names = value.strip().removeprefix("[").removesuffix("]").split(",")
        if value.strip().lower() in ("null", "") or all(map(_names_an_option, names)):
            continue
        options = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
        raise CascadeError(f"{argument}: expected the name of an option, one of {options}")


def _names_an_option(text: str) -> bool:
    """Whether Hydra reads ``text`` as a string: no number, no truth value, nothing nested."""
    name = text.strip().strip("'\"")
    if re.match(r"[\[{]", name) or name.lower() in ("true", "false", "null", "nan", "inf"):
        return False
    try:
        float(name)
    except ValueError:
        return True
    return False
