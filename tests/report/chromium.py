"""A page opened in a real headless Chromium: what it says on its console, what is in it after."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@dataclass(frozen=True)
class Opened:
    """What the test's script returned, and what the page said on its console."""

    found: Any
    console: list[str]


def opened(page: Path, script: str, size: tuple[int, int] = (1100, 900)) -> Opened:
    """Open ``page``, run ``script`` (the body of a function) at its end, return what it returns.

    Skips the test, saying so, where no Chromium is installed.
    """
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (chromium or google-chrome)")
    tested = page.with_name("tested.html")
    tail = (
        "<script>addEventListener('load', () => {"
        "const pre = document.createElement('pre'); pre.id = 'found';"
        f"pre.textContent = JSON.stringify((() => {{ {script} }})() ?? null);"
        "document.body.replaceChildren(pre); });</script>"
    )
    tested.write_text(page.read_text(encoding="utf-8") + tail, encoding="utf-8")
    profile = page.parent / "profile"
    done = subprocess.run(
        [
            CHROMIUM,
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            "--disable-background-networking",
            "--enable-logging=stderr",
            f"--user-data-dir={profile}",
            f"--window-size={size[0]},{size[1]}",
            "--dump-dom",
            tested.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    shutil.rmtree(profile, ignore_errors=True)
    said = re.findall(r"CONSOLE[^\n]*\n?", done.stderr)
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, (done.stdout[-500:], said)
    text = found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return Opened(json.loads(text), said)
