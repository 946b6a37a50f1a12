"""Generated opinions about a film whose difficulty is known, from a small closed vocabulary.

The label is whether the opinion of the film is positive. Five levels, in equal numbers and each
half positive:

0. ``single``: one clause; the polarity of its adjective is the label, so a bag of words will do.
1. ``distractor``: other things are judged in the same sentence; only the film's adjective counts.
2. ``negation``: the film's clause is negated; another clause may be, too.
3. ``nested``: the film's clause stands under two or three negations ("it is not true that the film
   is not dull"); their parity counts, and negations of the other clause do not.
4. ``reference``: the judgements come later and name neither thing: by order ("the former"), or by
   agreement in number ("it", "they") over a stretch of other words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cascade_exp.data.examples import Ints, Source, Text, source_of
from cascade_exp.errors import CascadeError

LEVELS = ("single", "distractor", "negation", "nested", "reference")
CLASSES = ("negative", "positive")

GOOD = (
    *("moving", "brilliant", "funny", "charming", "clever", "touching", "gripping", "superb"),
    *("delightful", "fresh", "graceful", "honest", "lively", "warm", "witty", "wonderful"),
)
BAD = (
    *("dull", "awful", "boring", "clumsy", "stupid", "cold", "tedious", "dreadful"),
    *("tiresome", "stale", "shallow", "false", "lifeless", "bland", "silly", "terrible"),
)
FILM, FILMS = ("film", "movie", "picture"), ("films", "movies", "pictures")
OTHER = ("play", "book", "concert", "meal", "speech", "trailer", "show", "game")
OTHERS = ("plays", "books", "concerts", "meals", "speeches", "trailers", "shows", "games")
DEGREES = ("", "", "really", "truly", "quite", "rather", "so", "very")
OPENERS = ("", "", "honestly ,", "overall ,", "to me ,", "in the end ,", "all in all ,")
JOINS = (", and", ", but", ", while", ", though", "; still ,")
IS, ARE = ("is", "was", "seems", "felt"), ("are", "were", "seem", "felt")
IS_NOT = ("is not", "was not", "is never", "was hardly")
ARE_NOT = ("are not", "were not", "are never", "were hardly")
FLIPS = ("it is wrong that", "nobody would say that", "i doubt that", "few people believe that")
KEEPS = ("it is true that", "everybody would say that", "i know that", "most people believe that")
MEETINGS = ("we saw", "they discussed", "she reviewed", "he mentioned", "i remember")
FILLERS = (
    *("with old friends from work", "after long days at school", "in town on rainy evenings"),
    *("while the children slept upstairs", "somewhere quiet by the sea"),
)
ORDERED = ("the former", "the latter")
SIGNS = (".", "the", "i found", "what a", "and", "it", "they")
REPEATS = 1_000


@dataclass(frozen=True, eq=False)
class SyntheticText:
    """The source, and how hard each of its examples is.

    Attributes:
        source: as any other.
        difficulty: int64 [N], indices into ``LEVELS``; ``difficulty[id]`` is that of the example
            with this id, in train or test.
    """

    source: Source
    difficulty: Ints


def load(train_size: int = 12_000, test_size: int = 2_000, generator_seed: int = 0) -> Source:
    """The source of :func:`generate` alone."""
    return generate(train_size, test_size, generator_seed).source


def generate(train_size: int, test_size: int, seed: int) -> SyntheticText:
    """``train_size + test_size`` different sentences, the five levels and two labels by turns.

    Args:
        train_size: examples to train on; every ten examples hold each pair of level and label once.
        test_size: examples of the labelled test set.
        seed: of the generator.

    Raises:
        CascadeError: if a size is below 1, or there are not that many different sentences.
    """
    for key, size in (("train_size", train_size), ("test_size", test_size)):
        if size < 1:
            raise CascadeError(f"data.{key}={size}: expected at least 1")
    total = train_size + test_size
    turn = np.arange(total)
    difficulty, labels = turn % len(LEVELS), turn // len(LEVELS) % len(CLASSES)
    texts = _different(difficulty, labels, np.random.default_rng(seed))
    rows: list[Text] = [(text, None) for text in texts]
    source = source_of(
        "synthetic_text",
        "text",
        CLASSES,
        (labels[:train_size], rows[:train_size]),
        (labels[train_size:], rows[train_size:]),
    )
    return SyntheticText(replace(source, vocabulary=vocabulary()), difficulty)


def vocabulary() -> tuple[str, ...]:
    """Every word and sign that a sentence can hold, sorted; no special tokens."""
    lists = (
        *(GOOD, BAD, FILM, FILMS, OTHER, OTHERS, DEGREES, OPENERS, JOINS, IS, ARE, IS_NOT),
        *(ARE_NOT, FLIPS, KEEPS, MEETINGS, FILLERS, ORDERED, SIGNS),
    )
    return tuple(
        sorted({word for phrases in lists for phrase in phrases for word in phrase.split()})
    )


def _different(difficulty: Ints, labels: Ints, rng: np.random.Generator) -> list[str]:
    writer = _Writer(rng)
    seen: dict[str, None] = {}
    for level, label in zip(difficulty, labels, strict=True):
        for _ in range(REPEATS):
            text = writer.sentence(int(level), bool(label))
            if text not in seen:
                seen[text] = None
                break
        else:
            raise CascadeError(
                f"data.train_size and data.test_size: {len(difficulty)} sentences asked for, but "
                f"after {len(seen)} no new one of level '{LEVELS[level]}' is found; expected fewer"
            )
    return list(seen)


class _Writer:
    """Draws sentences; one instance per generator of random numbers."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.levels: tuple[Callable[[bool], str], ...] = (
            self.single,
            self.distractor,
            self.negation,
            self.nested,
            self.reference,
        )

    def sentence(self, level: int, good: bool) -> str:
        return f"{self.levels[level](good)} ."

    def pick(self, phrases: tuple[str, ...]) -> str:
        return phrases[int(self.rng.integers(len(phrases)))]

    def chance(self) -> bool:
        return bool(self.rng.integers(2))

    def single(self, good: bool) -> str:
        adjective = f"{self.pick(DEGREES)} {self.pick(GOOD if good else BAD)}"
        form = self.rng.integers(3)
        if form == 0:
            judged = f"what a {adjective} {self.pick(FILM)}"
        elif form == 1:
            judged = f"i found the {self.pick(FILM + FILMS)} {adjective}"
        else:
            judged = self.about_film(good)
        return " ".join(f"{self.pick(OPENERS)} {judged}".split())

    def distractor(self, good: bool) -> str:
        return self.joined(self.about_film(good), self.about_other())

    def negation(self, good: bool) -> str:
        return self.joined(self.about_film(good, negated=True), self.about_other(self.chance()))

    def nested(self, good: bool) -> str:
        """Two or three negations of the film's clause: of its verb, and of what it is under."""
        inner = self.chance()
        outer = self.rng.integers(1, 3) if inner else 2
        heads = [FLIPS[int(i)] for i in self.rng.permutation(len(FLIPS))[:outer]]
        if self.chance():
            heads.insert(self.rng.integers(outer + 1), self.pick(KEEPS))
        clause = self.about_film(good != (outer % 2 == 1), negated=inner)
        return self.joined(f"{' '.join(heads)} {clause}", self.about_other(self.chance()))

    def reference(self, good: bool) -> str:
        film_first = self.chance()
        by_order = self.chance()
        films = not by_order and self.chance()
        film = f"the {self.pick(FILMS if films else FILM)}"
        other = f"the {self.pick(OTHER if films or by_order else OTHERS)}"
        named = f"{film} and {other}" if film_first else f"{other} and {film}"
        if by_order:
            film, other = ORDERED if film_first else ORDERED[::-1]
        else:
            film, other = ("they", "it") if films else ("it", "they")
        judged = self.joined(
            self.clause(film, films, good, self.chance()),
            self.clause(other, not (films or by_order), self.chance(), self.chance()),
        )
        return f"{self.pick(MEETINGS)} {named} {self.pick(FILLERS)} . {judged}"

    def about_film(self, good: bool, negated: bool = False) -> str:
        many = self.chance()
        return self.clause(f"the {self.pick(FILMS if many else FILM)}", many, good, negated)

    def about_other(self, negated: bool = False) -> str:
        many = self.chance()
        noun = f"the {self.pick(OTHERS if many else OTHER)}"
        return self.clause(noun, many, self.chance(), negated)

    def clause(self, subject: str, many: bool, good: bool, negated: bool) -> str:
        """``subject`` is judged ``good``: affirmed, or the contrary negated."""
        verbs = ((IS, ARE), (IS_NOT, ARE_NOT))[negated][many]
        adjective = self.pick(GOOD if good != negated else BAD)
        return f"{subject} {self.pick(verbs)} {adjective}"

    def joined(self, *clauses: str) -> str:
        """The clauses in any order."""
        first, *rest = [clauses[int(i)] for i in self.rng.permutation(len(clauses))]
        return " ".join([first, *(f"{self.pick(JOINS)} {clause}" for clause in rest)])
