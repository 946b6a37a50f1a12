"""SIGTERM, which schedulers send before they kill: the job ends within seconds, with status 143.

The signal raises :class:`~cascade_exp.errors.Terminated` in the main thread, so that every open
block closes. Compiled code may keep the main thread from noticing, and closing may hang; a thread
that the signal wakes therefore ends the process itself once :data:`GRACE` seconds have passed.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from cascade_exp.errors import Terminated

GRACE = 8.0
"""Seconds between the signal and the forced end."""
STATUS = 128 + signal.SIGTERM
"""The exit status of a process that SIGTERM ended, as shells report it."""

_AT_END: list[tuple[str, Callable[[], None]]] = []
"""Of every open :func:`interruptible` block, its line and what a forced end calls."""

_ACTIVE: list[Callable[[int, FrameType | None], None]] = []
"""The handlers of the open :func:`terminating` blocks."""


@contextmanager
def interruptible(line: str, forced: Callable[[], None]) -> Iterator[None]:
    """Attach ``line``, which says how to resume, to the interrupt that ends the block.

    Args:
        forced: called instead of closing the block where the process is ended by force.
    """
    _AT_END.append((line, forced))
    try:
        yield
    except (Terminated, KeyboardInterrupt, SystemExit) as stop:
        stop.add_note(line)
        raise
    finally:
        _AT_END.remove((line, forced))


def resume_line(stop: BaseException) -> str:
    """What the innermost :func:`interruptible` block attached to ``stop``; empty without one."""
    return next(iter(getattr(stop, "__notes__", [])), "")


@contextmanager
def terminating() -> Iterator[None]:
    """While the block runs, SIGTERM raises :class:`Terminated`; in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen = threading.Event()

    def handle(_: int, __: FrameType | None) -> None:
        if not seen.is_set():
            seen.set()
            raise Terminated

    _ACTIVE.append(handle)
    before = signal.signal(signal.SIGTERM, handle)
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    wakened = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    over = threading.Event()
    threading.Thread(target=_watch, args=(reading, over), daemon=True).start()
    try:
        yield
    finally:
        over.set()
        _ACTIVE.remove(handle)
        signal.set_wakeup_fd(wakened)
        signal.signal(signal.SIGTERM, before)
        writing.close()


def _before_fork() -> None:
    if _ACTIVE:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _after_fork_in_parent() -> None:
    if _ACTIVE:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _after_fork_in_child() -> None:
    """In a forked worker SIGTERM ends the process, and does not wake the thread of its parent."""
    if _ACTIVE:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _watch(reading: socket.socket, over: threading.Event) -> None:
    """Wait for the byte of SIGTERM, then for the end of the block, then end the process."""
    with reading:
        while received := reading.recv(64):
            if signal.SIGTERM in received:
                if not over.wait(GRACE):
                    _end()
                return


def _end() -> None:
    lines = [line for line, _ in _AT_END]
    for _, forced in reversed(_AT_END):
        try:
            forced()
        except Exception as error:  # nothing is left that could handle it
            print(f"Error: {error}", file=sys.stderr)
    print(interrupted(lines[-1] if lines else ""), file=sys.stderr, flush=True)
    os._exit(STATUS)


def interrupted(line: str) -> str:
    """The one line that an interrupted command ends with."""
    return f"Interrupted; what was finished is kept. {line}".strip()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
