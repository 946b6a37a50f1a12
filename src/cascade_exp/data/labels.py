"""Labels as people write them: which classes a column holds, and what looks wrong about them.

A label is compared as it is written and never taken for a place in the list of classes. Whole
numbers are one label however a program wrote them: 3, 3.0 and "3" are all "3"; so are True and
"true".
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from cascade_exp.data.examples import Ints
from cascade_exp.data.table_files import Table
from cascade_exp.errors import CascadeError, did_you_mean

INTEGER = re.compile(r"[+-]?\d+")
WHOLE = re.compile(r"([+-]?\d+)\.0*")
DECIMAL = re.compile(r"[+-]?(\d*\.\d+|\d+\.?)([eE][+-]?\d+)?")
NUMBER_LIST = re.compile(r"[+-]?\d+(\s*[,;|/ ]\s*[+-]?\d+)+")
BRACKETED = re.compile(r"[\[({].*[\])}]")
PARTS = re.compile(r"[,;|/+]")
NO_LABEL = {"-", "–", "—", "?", "nan", "n/a", "#n/a", "null", "<na>", "\\n", "unlabeled"}
NO_LABEL |= {"unlabelled"}
TYPED = {"null", "none", "true", "false", "inf", "nan"}
RARE = 0.02
SINGULAR = 20


def is_missing(value: object) -> bool:
    """Whether a cell holds nothing: null, NaN, or blanks alone."""
    if isinstance(value, float):
        return value != value
    return value is None or (isinstance(value, str) and not value.strip())


def label_of(value: object) -> str | None:
    """The label in a cell as a word, None where the cell is empty or holds several values.

    >>> [label_of(value) for value in (3, 3.0, "3.0", " good ", True, None)]
    ['3', '3', '3', 'good', 'true', None]
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and value == value:
        return str(int(value)) if value.is_integer() else repr(value)
    if not isinstance(value, str) or not value.strip():
        return None
    word = value.strip()
    whole = WHOLE.fullmatch(word)
    if whole:
        return str(int(whole[1]))
    return word.lower() if word in ("True", "TRUE", "False", "FALSE") else word


def means_no_label(word: str, found: Iterable[str]) -> bool:
    """Whether ``word`` usually says that there is no label, among the labels ``found``.

    ``-1`` does so among words and other numbers; with 1 alone it is one of two classes.
    """
    if word == "-1":
        return set(found) != {"-1", "1"}
    return word.casefold() in NO_LABEL


class Classes:
    """The classes of a table in order, and how its labels name them.

    Args:
        given: ``data.classes``: the labels in order, or each label with the name of its class, or
            None: the labels of train, whole numbers in order of value, else words by alphabet.
        train: the labelled rows that models are fitted on.
        words: their labels.

    Attributes:
        names: the K class names; ``index``: class of each label; ``notes``: what looks wrong.

    Raises:
        CascadeError: if a class is named twice, or the labels of train are decimal numbers or
            lists, of which none is named in ``given``.
    """

    def __init__(
        self,
        given: Sequence[object] | Mapping[object, object] | None,
        train: Table,
        words: Sequence[str],
    ) -> None:
        self.given = given is not None
        self.notes: list[str] = []
        if given is None:
            _check_kind(train, words)
            self.names = _in_order(set(words))
            self.index = {name: i for i, name in enumerate(self.names)}
            self.notes = _doubts(Counter(words))
            return
        if isinstance(given, str):
            raise CascadeError(f"data.classes={given}: expected a list or {{label: class, …}}")
        pairs = given.items() if isinstance(given, Mapping) else [(name, name) for name in given]
        labels = [(label_of(label) or "", str(name)) for label, name in pairs]
        self.names = tuple(dict.fromkeys(name for _, name in labels))
        position = {name: i for i, name in enumerate(self.names)}
        self.index = {label: position[name] for label, name in labels}
        if len(self.index) != len(labels):
            raise CascadeError(f"data.classes={[str(label) for label, _ in pairs]}: one is twice")

    def of(self, table: Table, words: Sequence[str]) -> Ints:
        """The classes of ``words``, int64 [N].

        Raises:
            CascadeError: if a label names none of the classes.
        """
        for i, word in enumerate(words):
            if word not in self.index:
                raise CascadeError(
                    f"{table.place(i)}: label '{word}' is outside the classes "
                    f"{_some(list(self.index))}{self._why(word)}"
                )
        return np.array([self.index[word] for word in words], dtype=np.int64)

    def _why(self, word: str) -> str:
        known = list(self.index)
        if INTEGER.fullmatch(word) and not any(INTEGER.fullmatch(label) for label in known):
            numbered = [(str(i), name) for i, name in enumerate(self.names)]
            if self.given:
                return f"; if they are numbered in this order, give {as_override(numbered)}"
            both = [(name, name) for name in self.names] + [("0", "NAME"), ("1", "NAME")]
            return (
                "; the training labels are words and these are numbers, and what a number means "
                f"is not in the files: give each its class, as in {as_override(both)}"
            )
        numeric = all(INTEGER.fullmatch(label) for label in known)
        if numeric and not self.given and word.isalpha() and not means_no_label(word, known):
            both = [(label, "NAME") for label in known[:2]] + [(word, "NAME")]
            return (
                "; the training labels are numbers and these are words: give each its class, as in "
                f"{as_override(both)}"
            )
        if means_no_label(word, known):
            return "; it usually says that there is no label: data.drop=unlabelled leaves it out"
        alike = [label for label in known if _alike(label) == _alike(word)]
        if alike:
            return f" (written '{alike[0]}' in train)"
        return did_you_mean(word, known)


def as_override(classes: Iterable[tuple[str, str]]) -> str:
    """``data.classes`` with these labels and classes as a shell takes it for Hydra.

    Where Hydra's command line has no way to write one of them, what to write instead.

    >>> print(as_override([("0", "no"), ("1", "not at all")]))
    'data.classes={0:no,1:"not at all"}'
    """
    pairs = list(classes)
    if all(_is_key(label) and not set(name) & set("\"'\\$\n\r") for label, name in pairs):
        shown = (f"{a}:{b if _is_key(b) and ' ' not in b else _quoted(b)}" for a, b in pairs)
        return f"'data.classes={{{','.join(shown)}}}'"
    return "data.classes={label: class, …} in a file of conf/data"


def _quoted(word: str) -> str:
    return f'"{word}"'


def _is_key(word: str) -> bool:
    """Whether Hydra reads ``word`` as itself where it stands unquoted."""
    if re.fullmatch(r"-?(0|[1-9]\d*)", word):
        return word.isascii() and word != "-0"
    typed = re.fullmatch(r"[\d_.+-]+([eE][\d_+-]+)?", word) or word.casefold() in TYPED
    return not typed and re.fullmatch(r"[A-Za-z0-9_]+([ /+-]?[A-Za-z0-9_]+)*", word) is not None


def _in_order(words: set[str]) -> tuple[str, ...]:
    if all(INTEGER.fullmatch(word) for word in words):
        return tuple(sorted(words, key=lambda word: (int(word), word)))
    return tuple(sorted(words))


def _check_kind(table: Table, words: Sequence[str]) -> None:
    """Refuse labels that are no classes: measurements, lists of labels, one of its own per row."""
    if len(set(words)) > max(SINGULAR, len(words) // 2):
        raise CascadeError(
            f"{table.path}: {len(set(words)):,} different labels in {len(words):,} rows, such as "
            f"'{_some(words[:1])}'; expected classes: does data.label name the right column? "
            "If so, name the classes in data.classes"
        )
    rest = [word for word in set(words) if not means_no_label(word, words)]
    numeric = all(DECIMAL.fullmatch(w) or NUMBER_LIST.fullmatch(w) for w in rest)
    for i, word in enumerate(words):
        if BRACKETED.fullmatch(word) or (numeric and NUMBER_LIST.fullmatch(word)):
            raise CascadeError(
                f"{table.place(i)}: label '{word}' looks like a list; expected one label for a "
                "text (several are not supported); if it is a class, name all in data.classes"
            )
        if numeric and not INTEGER.fullmatch(word) and DECIMAL.fullmatch(word):
            raise CascadeError(
                f"{table.place(i)}: label '{word}' is a decimal number; expected classes "
                "(regression is not supported); if it is a class, name all in data.classes"
            )


def _doubts(counts: Counter[str]) -> list[str]:
    """What looks wrong about the labels of train, one line each."""
    notes = []
    for word, count in counts.items():
        if means_no_label(word, counts):
            notes.append(
                f"label '{word}' ({_rows(count)}) usually says that there is no label: "
                "data.drop=unlabelled leaves these rows out; if it is a class, name all classes in "
                "data.classes"
            )
        parts = [part.strip() for part in PARTS.split(word)]
        if len(parts) > 1 and all(part in counts for part in parts):
            notes.append(
                f"label '{word}' ({_rows(count)}) looks like a list of the labels "
                f"{', '.join(parts)}, and is taken for a class of its own"
            )
    numbers = sorted(word for word in counts if INTEGER.fullmatch(word) and word != "-1")
    others = [word for word in counts if not DECIMAL.fullmatch(word)]
    others = [word for word in others if not means_no_label(word, counts)]
    if numbers and others:
        notes.append(f"labels mix words ({_some(others)}) and numbers ({_some(numbers)})")
    return notes + _written_alike(counts) + _misspelt(counts)


def _written_alike(counts: Counter[str]) -> list[str]:
    alike: dict[str, list[str]] = {}
    for word in counts:
        alike.setdefault(_alike(word), []).append(word)
    groups = [words for words in alike.values() if len(words) > 1]
    if not groups:
        return []
    merged = {word: word for word in sorted(counts)}
    for words in groups:
        merged |= dict.fromkeys(words, max(words, key=lambda word: (counts[word], word)))
    shown = (" and ".join(f"'{w}' ({_rows(counts[w])})" for w in words) for words in groups)
    return [
        f"labels {'; '.join(shown)} differ in case, blanks or form alone, and are taken for "
        f"classes of their own; {as_override(merged.items())} makes them one"
    ]


def _misspelt(counts: Counter[str]) -> list[str]:
    """Rare labels nearly equal to a frequent one."""
    total, notes = counts.total(), []
    for word, count in counts.items():
        if count > max(1, RARE * total) or any(c.isdigit() for c in word):
            continue
        frequent = [o for o in counts if counts[o] >= 10 * count and _alike(o) != _alike(word)]
        near = difflib.get_close_matches(word, frequent, n=1, cutoff=0.8)
        if near:
            notes.append(
                f"label '{word}' ({_rows(count)}) may be '{near[0]}' ({_rows(counts[near[0]])}) "
                "misspelt, and is taken for a class of its own"
            )
    return notes


def _alike(word: str) -> str:
    """What ``word`` has in common with other spellings: no case, blanks, hyphens, zeros."""
    if INTEGER.fullmatch(word):
        return str(int(word))
    form = unicodedata.normalize("NFKC", word).casefold()
    visible = "".join(c for c in form if unicodedata.category(c) != "Cf")
    return re.sub(r"(?<=\w)[\s_-]+(?=\w)|_", "", visible) or form


def _rows(count: int) -> str:
    return f"{count:,} row" + ("s" if count != 1 else "")


def _some(words: Sequence[str]) -> str:
    return ", ".join(w if len(w) <= 40 else f"{w[:39]}…" for w in words[:20]) + (
        ", …" if len(words) > 20 else ""
    )
