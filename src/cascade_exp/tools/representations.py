"""t-SNE of a training job's models after some layers (CascadeBERT, Fig. 4), by command.

python -m cascade_exp.tools.representations run=JOB [layer=2] [models=[a,b]] [split=report]
    [examples=1000] [perplexity=30] [seed=0]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from cascade_exp.jobs.commands import run_command
from cascade_exp.training.representations import Options, project


def main(arguments: Sequence[str]) -> int:
    """Draw what the arguments ask for; returns the exit status."""
    return run_command(arguments, Options, str(__doc__), _draw)


def _draw(options: Options) -> None:
    for one in project(options):
        print(f"{one.model}: accuracy {one.accuracy:.1%} after {one.answer}")
    print(Path(options.run) / "results" / "representations.png")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
