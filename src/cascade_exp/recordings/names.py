"""Names of recorded models: what may be a name, and narrowing a pool of names by patterns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from cascade_exp.errors import CascadeError, did_you_mean

FORBIDDEN = "/\\>;+@,"
RESERVED = frozenset({"", ".", "..", "labels", "ids"})
RESERVED_ENDINGS = (".ids", ".probabilities", ".answers", ".costs", ".scores")
LONGEST = 200  # bytes: file systems take 255, and endings are added


def check_name(name: str, where: str) -> str:
    """Return ``name`` if it can name a recorded model, else raise a CascadeError.

    What a name may be: docs/definitions.md#recordings.
    """
    bad = [c for c in name if c in FORBIDDEN or _unprintable(ord(c))]
    if bad:
        raise CascadeError(
            f"{where}: the model name {name!r} holds {bad[0]!r}; a name is any text without "
            f"{' '.join(FORBIDDEN)} or control characters"
        )
    if name in RESERVED or name.endswith(RESERVED_ENDINGS):
        raise CascadeError(f"{where}: {name!r} cannot name a model; it is reserved")
    if len(name.encode()) > LONGEST:
        raise CascadeError(
            f"{where}: the model name {name[:40]}… has {len(name.encode())} bytes; expected at "
            f"most {LONGEST}, as files are named by it"
        )
    return name


def _unprintable(code: int) -> bool:
    """Whether a character is a control character, or one that XML, and so no picture, can hold."""
    return code < 32 or 127 <= code < 160 or 0xD800 <= code < 0xE000 or code & 0xFFFE == 0xFFFE


def models_of(stage: str) -> list[str]:
    """The recorded models that the stage so named runs: a tier is ``a+b+c``.

    >>> models_of("a+b"), models_of("a")
    (['a', 'b'], ['a'])
    """
    return stage.split("+")


def _as_patterns(value: str | Iterable[str] | None) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def narrow(
    names: Sequence[str], include: str | Iterable[str] | None, exclude: str | Iterable[str] | None
) -> list[str]:
    """The names that match ``include`` (all when it is empty) and do not match ``exclude``.

    Patterns are exact names or shell globs, case-sensitive.

    Raises:
        CascadeError: if a pattern matches no name, or nothing is left.
    """

    def matched(patterns: list[str], key: str) -> set[str]:
        found: set[str] = set()
        for pattern in patterns:
            hits = {n for n in names if n == pattern or fnmatchcase(n, pattern)}
            if not hits:
                raise CascadeError(
                    f"{key}={pattern}: no recorded model matches; the recordings hold "
                    f"{', '.join(names)}{did_you_mean(pattern, names)}"
                )
            found |= hits
        return found

    wanted, unwanted = _as_patterns(include), _as_patterns(exclude)
    kept = matched(wanted, "pool.include") if wanted else set(names)
    kept -= matched(unwanted, "pool.exclude")
    if not kept:
        raise CascadeError("pool.include and pool.exclude leave no model of the recordings")
    return [n for n in names if n in kept]
