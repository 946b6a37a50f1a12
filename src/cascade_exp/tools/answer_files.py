"""Output that grows group by group, and that a process which is killed leaves to be continued.

What is unfinished lies in ``<output>.unfinished/``: the rows written so far, the rows set aside,
and a journal with a line per group of input rows. A line holds how far the input was read, the
checksum of it, how long both files were and the checksum of what the group has added to them; each
line's own checksum covers the line before. To continue, everything is compared with these, cut
back to the last group that is whole, and the input read again up to there. Only when all is done
are the files moved to their places.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol

from typing_extensions import override

from cascade_exp.atomic import locked, write_text
from cascade_exp.errors import CascadeError
from cascade_exp.tools.answer_forms import Form

VERSION = 1
KEY, JOURNAL, ANSWERS, REJECTS, LOCK = "key.json", "journal", "answers", "rejects", ".lock"
BLOCK = 1 << 20


@dataclass(frozen=True)
class Done:
    """What is finished.

    Attributes:
        rows: rows of the input, from its first.
        input: sha256 (hex) over these rows.
        exits: how many of them each stage answered.
        aside: how many were set aside.
        fallen: how many were answered by the stage before one that failed.
        sizes: bytes of the answers and of the rejects.
        sums: sha256 (hex) of what the last group added to them.
    """

    rows: int
    input: str
    exits: tuple[int, ...]
    aside: int = 0
    fallen: int = 0
    sizes: tuple[int, int] = (0, 0)
    sums: tuple[str, str] = ("", "")


class Output(Protocol):
    """Where groups of answers go."""

    done: Done
    """What was finished when it was opened, then by the groups written since."""
    notes: list[str]
    """What there is to say about continuing, one line each."""

    def write(self, answers: bytes, rejects: bytes, done: Done) -> None:
        """Add a group, which is kept from then on."""
        ...

    def finish(self) -> None:
        """All is written."""
        ...


class Streamed(Output):
    """Answers on standard output, as they come; rows set aside are lines on standard error."""

    def __init__(self, form: Form, stages: int, answers: IO[bytes], errors: IO[bytes]) -> None:
        self.done = Done(0, "", (0,) * stages)
        self.notes = []
        self._answers, self._errors = answers, errors
        self._answers.write(form.head())
        self._answers.flush()

    @override
    def write(self, answers: bytes, rejects: bytes, done: Done) -> None:
        for stream, content in ((self._answers, answers), (self._errors, rejects)):
            stream.write(content)
            stream.flush()
        self.done = done

    @override
    def finish(self) -> None:
        pass


class Resumable(Output):
    """Files that are continued where a process before has stopped; :func:`resumable` opens them."""

    def __init__(self, folder: Path, targets: tuple[Path, Path], forms: tuple[Form, Form]) -> None:
        self.folder, self.targets, self.forms = folder, targets, forms
        self.notes = []
        self._working = (folder / ANSWERS, folder / REJECTS)
        self._check = ""
        self._open: list[IO[bytes]] = []

    def begin(self, stages: int, key: Mapping[str, Any]) -> None:
        """Continue what is there, or begin anew where nothing is.

        Raises:
            CascadeError: if it was begun with another key.
        """
        found = _read_key(self.folder / KEY)
        if found is None:
            for name in (JOURNAL, ANSWERS, REJECTS):
                (self.folder / name).unlink(missing_ok=True)
            write_text(self.folder / KEY, _signed(key))
        else:
            self._same(found, key)
            self._back()
        self.done = self._last_whole(Done(0, "", (0,) * stages))
        for path, size in zip(self._working, self.done.sizes, strict=True):
            file = path.open("r+b" if path.exists() else "w+b")
            self._open.append(file)
            file.truncate(size)
            file.seek(size)
        if self.done.rows:
            self.notes.append(
                f"{self.targets[0]}: continued after row {self.done.rows:,}, which an earlier run "
                "had reached"
            )
        if not self._check:
            self._put(self.forms[0].head(), self.forms[1].head(), self.done)

    @override
    def write(self, answers: bytes, rejects: bytes, done: Done) -> None:
        self._put(answers, rejects, done)

    @override
    def finish(self) -> None:
        for file in self._open:
            file.flush()
            os.fsync(file.fileno())
            file.close()
        answers, rejects = self._working
        if self.done.aside:
            self.forms[1].finish(rejects, self.targets[1])
        self.forms[0].finish(answers, self.targets[0])
        shutil.rmtree(self.folder)

    def close(self) -> None:
        """Close the files that are open, whether finished or not."""
        for file in self._open:
            file.close()

    def _put(self, answers: bytes, rejects: bytes, done: Done) -> None:
        contents = (answers, rejects)
        for file, content in zip(self._open, contents, strict=True):
            file.write(content)
            file.flush()
        before = self.done.sizes
        self.done = replace(
            done,
            sizes=(before[0] + len(answers), before[1] + len(rejects)),
            sums=(hashlib.sha256(answers).hexdigest(), hashlib.sha256(rejects).hexdigest()),
        )
        line = json.dumps(asdict(self.done))
        self._check = _chained(self._check, line)
        with (self.folder / JOURNAL).open("a", encoding="utf-8") as journal:
            journal.write(f"{self._check} {line}\n")

    def _same(self, found: Mapping[str, Any], key: Mapping[str, Any]) -> None:
        """Refuse another key; what only changes the last digits is noted."""
        anew = f"remove {self.folder} to begin anew"
        for name in sorted({*found, *key} - {"machine"}):
            was, now = found.get(name), key.get(name)
            if was != now:
                raise CascadeError(
                    f"{self.folder}: begun with {name}={_shown(was)}, and now it is {_shown(now)}; "
                    f"continue as it was begun, or {anew}"
                )
        was, now = found.get("machine", {}), key.get("machine", {})
        other = [
            f"{name} {was.get(name)}, now {now[name]}" for name in now if was.get(name) != now[name]
        ]
        if other:
            self.notes.append(
                f"{self.targets[0]}: begun on another machine ({'; '.join(other)}): the last "
                "digits of confidences may differ from those of an undisturbed run"
            )

    def _back(self) -> None:
        """Take back files that had their final names when the process was killed."""
        for working, target in zip(self._working, self.targets, strict=True):
            if not working.exists() and target.exists():
                target.replace(working)

    def _last_whole(self, done: Done) -> Done:
        """The last group of the journal whose files are as it states; later lines are cut off."""
        journal = self.folder / JOURNAL
        whole = 0
        with _opened(self._working) as files:
            for line, check, found in _entries(journal):
                if not all(
                    _holds(file, size, then, sha)
                    for file, size, then, sha in zip(
                        files, done.sizes, found.sizes, found.sums, strict=True
                    )
                ):
                    break
                done, self._check = found, check
                whole += line
        if journal.exists():
            total = journal.stat().st_size
            if whole < total:
                with journal.open("r+b") as file:
                    file.truncate(whole)
        return done


@contextmanager
def resumable(
    targets: tuple[Path, Path], forms: tuple[Form, Form], stages: int, key: Mapping[str, Any]
) -> Iterator[Resumable]:
    """Open the output for ``targets`` (answers, rejects); unfinished, it stays to be continued.

    Args:
        key: what decides the bytes that are written, with ``machine`` for what decides their last
            digits alone.

    Raises:
        CascadeError: if a target is there, another process writes it, or it was begun with another
            key.
    """
    folder = unfinished(targets[0])
    there = folder.exists()
    if not there:
        for target in targets:
            if target.exists():
                raise CascadeError(
                    f"{target}: is already there; remove it, or give another output="
                )
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, wait=False) as mine:
        if not mine:
            raise CascadeError(f"{folder}: another process is writing this output; wait for it")
        output = Resumable(folder, targets, forms)
        try:
            output.begin(stages, key)
            yield output
        finally:
            output.close()


def unfinished(target: Path) -> Path:
    """Where the output ``target`` lies until it is whole."""
    return target.with_name(f"{target.name}.unfinished")


def _signed(key: Mapping[str, Any]) -> str:
    body = {"version": VERSION, "key": key}
    sha = hashlib.sha256(json.dumps(body).encode()).hexdigest()
    return json.dumps({**body, "sha256": sha}, indent=2) + "\n"


def _read_key(path: Path) -> dict[str, Any] | None:
    """The key that the output was begun with; None where it was not begun."""
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        key = found["key"]
        if _signed(key) != json.dumps(found, indent=2) + "\n":
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CascadeError(
            f"{path}: damaged, or of another version; remove {path.parent} to begin anew"
        ) from None
    assert isinstance(key, dict)
    return key


def _entries(journal: Path) -> Iterator[tuple[int, str, Done]]:
    """Of each line of the journal its bytes, its checksum and what it states, while they hold."""
    if not journal.exists():
        return
    check = ""
    with journal.open("rb") as file:
        for line in file:
            stated, _, text = line.decode("utf-8", "replace").partition(" ")
            if not text.endswith("\n") or stated != _chained(check, text[:-1]):
                return
            check = stated
            values = json.loads(text)
            lists = {name: tuple(values[name]) for name in ("exits", "sizes", "sums")}
            yield len(line), check, Done(**{**values, **lists})


def _chained(before: str, line: str) -> str:
    return hashlib.sha256(f"{before} {line}".encode()).hexdigest()[:16]


@contextmanager
def _opened(paths: tuple[Path, Path]) -> Iterator[list[IO[bytes] | None]]:
    files: list[IO[bytes] | None] = [path.open("rb") if path.exists() else None for path in paths]
    try:
        yield files
    finally:
        for file in files:
            if file is not None:
                file.close()


def _holds(file: IO[bytes] | None, start: int, end: int, sha: str) -> bool:
    """Whether the bytes from ``start`` to ``end``, the next to be read, have the checksum."""
    if file is None or end < start:
        return False
    digest, left = hashlib.sha256(), end - start
    while left and (block := file.read(min(left, BLOCK))):
        digest.update(block)
        left -= len(block)
    return not left and digest.hexdigest() == sha


def _shown(value: object) -> str:
    shown = str(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
