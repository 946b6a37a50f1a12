"""The progress bar of long work that counts its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


@contextmanager
def search_progress(console: Console) -> Iterator[Callable[[int, int], None]]:
    """Yield ``progress(done, total)``; shows share, speed and an estimate of the time left."""
    with _bar(console) as bar:
        task = bar.add_task("Searching cascades", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def methods_progress(
    console: Console, methods: Sequence[str]
) -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Yield a function from the method that begins to its ``progress``: one bar names them all."""
    with _bar(console) as bar:
        task = bar.add_task("", total=len(methods))

        def begin(method: str) -> Callable[[int, int], None]:
            before = methods.index(method)
            title = f"Method {before + 1} of {len(methods)}: {method}"
            bar.update(task, description=title, completed=before)
            return lambda done, total: bar.update(task, completed=before + done / max(total, 1))

        yield begin


@contextmanager
def labelling_progress(
    console: Console, model: str, total: int
) -> Iterator[Callable[[float], None]]:
    """Yield ``progress(done)``, of ``total`` folds times seeds; parts of one count too."""
    with _bar(console) as bar:
        task = bar.add_task(f"Difficulty labels for {model}", total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def prediction_progress(console: Console) -> Iterator[Callable[[str, float | None], None]]:
    """Yield ``progress(line, share)``; a share of None shows a bar without an end."""
    with _bar(console) as bar:
        task = bar.add_task("Loading models", total=None)

        def update(line: str, share: float | None) -> None:
            total = None if share is None else 1.0
            bar.update(task, description=line, total=total, completed=share or 0.0)

        yield update


def _bar(console: Console) -> Progress:
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
