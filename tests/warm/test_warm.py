"""A warm process is a python of its own: what it is given, what it leaves, and how it ends."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.warm import python

SHOWS = """
import os, sys, threading
import torch
own = [m for m in sys.modules if m.split(".")[0] in ("cascade_exp", "tests")]
print(own, __name__, __file__, sys.argv, os.getcwd(), os.environ["OWN"], sys.stdin.read())
print(len(os.listdir("/proc/self/task")), torch.get_num_threads(), sys.path[:2])
"""


def run(*arguments, **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run(python(*arguments), capture_output=True, text=True, check=False, **more)


def test_a_script_gets_what_it_is_given_and_no_module_of_the_project(tmp_path):
    script = tmp_path / "folder" / "shows.py"
    script.parent.mkdir()
    script.write_text(SHOWS)
    done = run(
        *(script, "a b", "--c"),
        cwd=tmp_path,
        env={**os.environ, "OWN": "é", "PYTHONPATH": "first:second"},
        input="typed",
    )
    assert (done.returncode, done.stderr) == (0, "")
    given, state = done.stdout.splitlines()
    assert given == f"[] __main__ {script} {[str(script), 'a b', '--c']} {tmp_path} é typed"
    assert state == f"1 1 {[str(script.parent), 'first']}"


def test_a_module_runs_too():
    done = run("-m", "json.tool", input="[1]")
    assert (done.returncode, done.stdout.split()) == (0, ["[", "1", "]"])


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit('why')", 1, "why"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
        ("import os; os._exit(5)", 5, ""),
        ("import os; os.abort()", -signal.SIGABRT, ""),
        ("import atexit, sys; atexit.register(print, 'end', file=sys.stderr)", 0, "end"),
        ("import threading as t, sys; t.Timer(0.1, lambda: sys.stderr.write('x')).start()", 0, "x"),
    ],
)
def test_it_ends_as_a_plain_python_does(tmp_path, body, status, said):
    script = tmp_path / "script.py"
    script.write_text(body)
    cold = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    warm = run(script)
    assert warm.returncode == cold.returncode == status
    assert warm.stderr.splitlines()[-1:] == cold.stderr.splitlines()[-1:] == [said][: bool(said)]


WAITS = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print(os.getpid(), flush=True)
time.sleep(100)
"""


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, 7), (signal.SIGKILL, -9)])
def test_signals_reach_it(tmp_path, sent, status):
    script = tmp_path / "waits.py"
    script.write_text(WAITS)
    process = subprocess.Popen(python(script), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.send_signal(sent)
    assert process.wait() == status
    assert process.stdout.read() == ""  # at the end of the job, which shares the pipe
    process.stdout.close()
    with pytest.raises(ProcessLookupError):
        for _ in range(1000):  # until its parent, the server, has seen the end
            os.kill(pid, 0)
            time.sleep(0.01)


def test_two_at_once_draw_different_numbers_and_keep_their_own_temporary_folders(tmp_path):
    script = tmp_path / "draws.py"
    script.write_text(
        "import numpy, random, tempfile, weakref\n"
        "kept = [f.peek()[0] for f in weakref.finalize._registry]\n"
        "folders = [d.name for d in kept if isinstance(d, tempfile.TemporaryDirectory)]\n"
        "print(numpy.random.random(), random.random(), *folders)\n"
    )
    first, second = (run(script).stdout.split() for _ in range(2))
    assert len(first) == len(second) >= 3  # W&B has such a folder
    assert not set(first) & set(second)
