"""Where the shared real data lies, for the tests marked ``real_data``."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "../shared"


def shared(relative: str) -> Path:
    """``../shared/<relative>``; skips the test, saying so, where it is not there."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path
