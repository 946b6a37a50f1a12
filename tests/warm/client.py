"""``python -IS client.py SCRIPT ARGUMENTS``: as python alone, in a fork of a warm server.

``-m MODULE ARGUMENTS`` runs a module. The server is that of ``CASCADE_EXP_WARM``, which is
``<folder>:<process that it ends with>``; it is started where none runs yet. Without that variable,
and for other options of python, this becomes a plain python. It imports small modules alone.
"""

import array
import fcntl
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

# What libraries read while they are imported: a server serves one setting of these.
WHEN_IMPORTED = ("HF_", "HUGGINGFACE_", "TRANSFORMERS_", "TOKENIZERS_", "MPL", "NUMBA_", "OMP_")
WHEN_IMPORTED += ("MKL_", "OPENBLAS_", "TORCH", "CUDA_", "XDG_", "HOME", "LD_", "KMP_", "ARROW_")
LATEST_START = 120.0  # seconds


def main(arguments: list[str]) -> int:
    """The exit status of the job; a signal that ended it is sent to this process too."""
    where = os.environ.get("CASCADE_EXP_WARM")
    if not where or not arguments or (arguments[0].startswith("-") and arguments[0] != "-m"):
        os.execv(sys.executable, [sys.executable, *arguments])
    folder, _, owner = where.rpartition(":")
    with connected(folder, owner) as server:
        request = json.dumps(
            {"arguments": arguments, "cwd": str(Path.cwd()), "environment": dict(os.environ)}
        ).encode()
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))
        server.sendmsg([len(request).to_bytes(8, "big")], [rights])
        server.sendall(request)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _: server.sendall(bytes([number])))
        answer = server.recv(16)
    if not answer:
        print(f"tests/warm: the server of {folder} ended; see its log there", file=sys.stderr)
        return 70
    status = int(answer)
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def connected(folder: str, owner: str) -> socket.socket:
    """A connection to the server for this environment, which is started if need be."""
    read = [each for each in sorted(os.environ.items()) if each[0].startswith(WHEN_IMPORTED)]
    name = hashlib.sha256(json.dumps(read).encode()).hexdigest()[:12]
    path = Path(folder, name)
    client = socket.socket(socket.AF_UNIX)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if connects(client, path):
            return client
        server = Path(__file__).with_name("server.py")
        with path.with_suffix(".log").open("ab") as log:
            subprocess.Popen(
                [sys.executable, server, path, owner],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + LATEST_START
        while not connects(client, path):
            if time.monotonic() > deadline:
                sys.exit(f"tests/warm: no server at {path}; see {path.with_suffix('.log')}")
            time.sleep(0.01)
    return client


def connects(client: socket.socket, path: Path) -> bool:
    try:
        client.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
