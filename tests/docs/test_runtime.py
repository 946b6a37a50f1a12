"""The Python of docs/runtime.md that needs neither a job nor a service runs as it stands."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "runtime.md").read_text(encoding="utf-8")


def test_the_example_of_functions_runs():
    blocks = re.findall(r"(<!-- not run: [^>]*-->\n)?```python\n(.*?)```", PAGE, flags=re.S)
    run = [code for unfit, code in blocks if not unfit]
    assert len(run) == 1 and run[0].count("assert") == 3
    exec(compile(run[0], "docs/runtime.md", "exec"), {})
