"""What all printing in a terminal shares: spaces, wrapped prose, encodings that lack signs."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from cascade_exp.report.pages import numbers


def print_encodable(console: Console, show: Callable[[Console], None]) -> None:
    """Call ``show(console)``, which prints to it.

    Characters that the console's encoding lacks are replaced, so that a redirected log never ends
    the job.
    """
    try:
        "≥×–…−µ∞".encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        with console.capture() as captured:
            show(console)
        console.file.write(_encodable(captured.get(), console.encoding))
        return
    show(console)


def plain(text: str, style: str = "") -> Text:
    """``text`` with ordinary spaces, so that it is found again by searching a log."""
    return Text(text.replace(numbers.SPACE, " "), style=style)


def paragraph(console: Console, text: str, style: str = "") -> None:
    """Print prose, wrapped so that a number stays with its unit (rich breaks no-break spaces)."""
    lines = textwrap.wrap(text, console.width, break_long_words=False, break_on_hyphens=False)
    for line in lines:
        console.print(plain(line, style), soft_wrap=True)


def _encodable(text: str, encoding: str) -> str:
    signs = {"≥": ">=", "×": "x", "–": "-", "−": "-", "…": "~", "µ": "u", "∞": "inf"}
    for sign, spelling in signs.items():
        text = text.replace(sign, spelling)
    return text.encode(encoding, "replace").decode(encoding)
