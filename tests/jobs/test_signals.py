"""SIGTERM in real processes: status 143, state interrupted, one line on how to resume."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cascade_exp.errors import Terminated
from cascade_exp.jobs import signals
from cascade_exp.report.results.status import read_status
from tests.recordings.making import make_recordings

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys, time
from pathlib import Path
from cascade_exp.jobs import signals
from cascade_exp.jobs.entry import run_main
from cascade_exp.jobs.restart import kept_status
signals.GRACE = 1.0
def main():
    with kept_status(Path(sys.argv[1]), "train", "k", [], resume="To resume: go"):
        print("ready", flush=True)
        {body}
run_main(main)
"""
BODIES = {
    "python": "time.sleep(120)",
    "swallowing": """
        while True:
            try:
                time.sleep(120)
            except BaseException:
                pass
""",
    "compiled": """
        import numba
        @numba.njit(nogil=True)
        def spin(n):
            total = 0.0
            for i in range(n):
                total += (i % 7) ** 0.5
            return total
        spin(10)
        print("spinning", flush=True)
        spin(200_000_000_000)
""",
}


def _terminated(command: list[str], ready: str, **more) -> subprocess.CompletedProcess[str]:
    """Run ``command``, send SIGTERM once it has printed ``ready``, and wait for its end."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if ready in line:
            break
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(command, process.returncode, "".join(said) + out, err)


@pytest.mark.parametrize("body", BODIES)
def test_a_job_ends_with_143_and_says_how_to_resume(tmp_path, body):
    script = SCRIPT.replace("{body}", BODIES[body].strip())
    ready = "spinning" if body == "compiled" else "ready"
    done = _terminated([sys.executable, "-c", script, str(tmp_path)], ready)
    assert done.returncode == 143
    assert done.stderr.strip() == "Interrupted; what was finished is kept. To resume: go"
    status = read_status(tmp_path)
    assert status is not None and status.state == "interrupted" and status.seconds is not None


def test_an_evaluation_is_interrupted_and_can_be_resumed(tmp_path):
    make_recordings(tmp_path / "rec", {"small": 1.0, "large": 10.0}, size=60)
    job = tmp_path / "job"
    command = [sys.executable, str(ROOT / "evaluate.py"), f"recordings={tmp_path / 'rec'}"]
    command += ["logger=none", "bootstrap.resamples=100000000", f"hydra.run.dir={job}"]
    done = _terminated(command, "Recordings", cwd=tmp_path)
    assert done.returncode == 143, done.stderr
    assert "Traceback" not in done.stderr and "Error executing" not in done.stderr
    assert f"hydra.run.dir={job}" in done.stderr.splitlines()[-1]
    status = read_status(job)
    assert status is not None and status.state == "interrupted"


def test_forked_children_end_as_without_a_handler():
    with signals.terminating():
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM


def test_handlers_are_restored_and_a_second_signal_is_ignored():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), signals.terminating():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # while blocks are being closed
            time.sleep(0.1)
    assert signal.getsignal(signal.SIGTERM) is before
