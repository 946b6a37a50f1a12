"""``python server.py SOCKET OWNER``: imports the libraries, then forks a process for each command.

A command is that of ``client.py``: arguments, folder, environment, and its three standard files.
The server ends with the process OWNER, the pytest run that it serves, and takes its folder along.
Python runs one thread in it, so that a fork is safe; that of jemalloc, under pyarrow, knows forks.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import threading
import types
import weakref
from dataclasses import dataclass
from pathlib import Path

LIBRARIES = (
    "hydra",
    "hydra._internal.hydra",
    "hydra.core.override_parser.overrides_parser",
    "jinja2",
    "joblib",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "matplotlib.pyplot",
    "numba",
    "pandas",
    "pyarrow.parquet",
    "pydantic",
    "pytorch_lightning",
    "pytorch_lightning.loggers",
    "rich.progress",
    "scipy.optimize",
    "scipy.special",
    "scipy.stats",
    "sklearn.datasets",
    "sklearn.linear_model",
    "sklearn.metrics",
    "timm",
    "tokenizers",
    "torch",
    "torch.utils.flop_counter",
    "torchmetrics.classification",
    "torchvision.transforms.v2",
    "transformers.models.bert.modeling_bert",
    "transformers.models.roberta.modeling_roberta",
    "transformers.optimization",
)


@dataclass
class Command:
    """What a client asked for."""

    arguments: list[str]
    cwd: str
    environment: dict[str, str]
    files: list[int]


def serve(path: str, owner: int) -> Command | None:
    """Fork for each connection: returns the command in the fork; None once the owner has ended."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(64)
    for library in LIBRARIES:
        importlib.import_module(library)
    sys.modules["numba"].njit(lambda: 0)()  # its own tables are filled at the first compilation
    gc.collect()
    gc.freeze()
    woken, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
    chosen = selectors.DefaultSelector()
    chosen.register(listening, selectors.EVENT_READ)
    chosen.register(woken, selectors.EVENT_READ)
    clients: dict[int, socket.socket] = {}
    while alive(owner):
        for key, _ in chosen.select(timeout=1.0):
            if key.fileobj is woken:
                woken.recv(4096)
                ended(clients, chosen)
            elif key.fileobj is listening:
                client, _ = listening.accept()
                command = received(client)
                pid = os.fork() if command is not None else -1
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for open_one in (listening, woken, wakes, client, chosen, *clients.values()):
                        open_one.close()
                    return command
                if command is None:
                    client.close()
                    continue
                for file in command.files:
                    os.close(file)
                clients[pid] = client
                chosen.register(client, selectors.EVENT_READ, data=pid)
            elif key.data in clients:
                with contextlib.suppress(ProcessLookupError):
                    passed_on(key.data, clients[key.data], chosen)
    for pid in clients:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(Path(path).parent, ignore_errors=True)
    return None


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def received(client: socket.socket) -> Command | None:
    """The command that ``client`` sends; None if it ended before."""
    head, files, _, _ = socket.recv_fds(client, 8, 3)
    if len(head) < 8:
        return None
    size, content = int.from_bytes(head, "big"), b""
    while len(content) < size:
        part = client.recv(size - len(content))
        if not part:
            return None
        content += part
    return Command(**json.loads(content), files=files)


def ended(clients: dict[int, socket.socket], chosen: selectors.BaseSelector) -> None:
    """Report to the clients of forks that have ended how they did."""
    while clients:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        client = clients.pop(pid)
        with contextlib.suppress(KeyError):  # its client was gone
            chosen.unregister(client)
        with contextlib.suppress(OSError):
            client.sendall(str(os.waitstatus_to_exitcode(status)).encode())
        client.close()


def passed_on(pid: int, client: socket.socket, chosen: selectors.BaseSelector) -> None:
    """Send the fork ``pid`` the signals that its client got; SIGKILL if that is gone."""
    signals = client.recv(16)
    for number in signals:
        os.kill(pid, number)
    if not signals:
        os.kill(pid, signal.SIGKILL)
        chosen.unregister(client)  # closed when the fork's end is seen


def run(command: Command) -> None:
    """Become ``python <arguments>``: nothing but the imported libraries is left of the server."""
    for number, file in enumerate(command.files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(command.cwd)
    os.environ.clear()
    os.environ.update(command.environment)
    sys.modules["numpy"].random.seed()  # forks would draw the same numbers
    for finalizer in list(weakref.finalize._registry):  # and remove each other's folder, of W&B
        owned, *_ = finalizer.peek()
        if isinstance(owned, tempfile.TemporaryDirectory):
            finalizer.detach()
            owned.__init__()
    first, *more = command.arguments
    given = [p for p in command.environment.get("PYTHONPATH", "").split(os.pathsep) if p]
    sys.path[:1] = [command.cwd if first == "-m" else str(Path(first).resolve().parent), *given]
    importlib.invalidate_caches()
    if first == "-m":
        sys.argv = more
        runpy.run_module(more[0], run_name="__main__", alter_sys=True)
        return
    sys.argv = command.arguments
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=first, __builtins__=__builtins__)
    sys.modules["__main__"] = main
    exec(compile(Path(first).read_bytes(), first, "exec"), main.__dict__)


def finish(command: Command) -> int:
    """Run ``command`` and what a python does at its end, but its teardown; the exit status."""
    status = 0
    try:
        run(command)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if not stream.closed:
            stream.flush()
    return status


if __name__ == "__main__":
    asked = serve(sys.argv[1], int(sys.argv[2]))
    if asked is not None:
        # as forks of multiprocessing end; the teardown of libraries that the command did not import
        # would take its time and print
        os._exit(finish(asked))
