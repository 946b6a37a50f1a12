"""How fast the command line answers, as ratios to importing what it leaves out.

    uv run benchmarks/startup.py

Each line is the median of several fresh processes. The last column divides by the time that
importing Lightning alone takes here: what an answer would cost at least, if it were on the path.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
REPEATS = 5
COMMANDS = {
    "import pytorch_lightning": ["-c", "import pytorch_lightning"],
    "import torch": ["-c", "import torch"],
    "import hydra": ["-c", "import hydra"],
    "train.py --help": ["train.py", "--help"],
    "train.py --cfg job": ["train.py", "--cfg", "job"],
    "train.py metrc=entropy": ["train.py", "metrc=entropy"],
    "evaluate.py --cfg job": ["evaluate.py", "--cfg", "job"],
    "meter, unknown name": ["-m", "cascade_exp.models.meter", "resnet51x"],
}


def seconds(arguments: list[str]) -> float:
    """Median wall time of a fresh process."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, check=False)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    measured = {name: seconds(arguments) for name, arguments in COMMANDS.items()}
    reference = measured["import pytorch_lightning"]
    print(f"{'':28} {'seconds':>8} {'of Lightning':>13}")
    for name, took in measured.items():
        print(f"{name:28} {took:8.2f} {took / reference:13.2f}")


if __name__ == "__main__":
    main()
