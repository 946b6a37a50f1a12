"""Work items over threads: kernels and numpy give up the interpreter lock while they run."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Worker = TypeVar("Worker")

Progress = Callable[[int, int], None]
POLL_SECONDS = 0.1


def thread_count(threads: int | None) -> int:
    """``threads``, or one for every core of the machine.

    >>> thread_count(3), thread_count(None) >= 1
    (3, True)
    """
    return max(1, threads if threads is not None else os.cpu_count() or 1)


class Ticker:
    """Counts finished work and calls the caller's progress function, from the main thread only.

    ``stopped`` is set once no more work is wanted; long work looks at it now and then.

    >>> ticker = Ticker(10, lambda done, total: print(done, "of", total))
    >>> ticker.add(4)
    >>> ticker.report()
    4 of 10
    """

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.done = 0
        self.total = total
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._progress = progress

    def add(self, amount: int) -> None:
        """Count ``amount`` more units as done (any thread)."""
        with self._lock:
            self.done += amount

    def report(self) -> None:
        """Report where the work stands (main thread)."""
        if self._progress is not None:
            self._progress(self.done, self.total)


def run_items(
    items: Iterable[Item],
    workers: list[Worker],
    work: Callable[[Worker, Item], int],
    ticker: Ticker,
) -> None:
    """Call ``work(worker, item)`` for every item, one thread per worker; it returns units done.

    Items are handed out in order, as workers become free. The first exception, or an interrupt of
    the main thread, stops the handing out; the threads finish the item at hand and are gone before
    the exception is raised again.

    >>> ticker, squares = Ticker(3, None), {}
    >>> def work(worker: str, item: int) -> int:
    ...     squares[item] = item**2
    ...     return 1
    ...
    >>> run_items([1, 2, 3], ["a", "b"], work, ticker)
    >>> sorted(squares.items()), ticker.done
    ([(1, 1), (2, 4), (3, 9)], 3)
    """
    lock = threading.Lock()
    stop = ticker.stopped
    stop.clear()
    source: Iterator[Item] = iter(items)
    nothing = object()

    def drain(worker: Worker) -> None:
        while not stop.is_set():
            with lock:
                item = next(source, nothing)
            if item is nothing:
                return
            try:
                ticker.add(work(worker, item))  # type: ignore[arg-type]
            except BaseException:
                stop.set()
                raise

    with ThreadPoolExecutor(max_workers=len(workers), thread_name_prefix="search") as executor:
        running = {executor.submit(drain, worker) for worker in workers}
        try:
            while running:
                finished, running = wait(running, POLL_SECONDS, return_when=FIRST_COMPLETED)
                ticker.report()
                for future in finished:
                    future.result()
        finally:
            stop.set()
