"""Reads a generated opinion as a person would: what is said of the film, and what makes it hard.

Slow and obvious twin of ``cascade_exp.data.sources.synthetic_text``: it only sees the sentence.
"""

from __future__ import annotations

import re

from cascade_exp.data.sources.synthetic_text import BAD, FILM, FILMS, GOOD, OTHER, OTHERS

JOINS = re.compile(r" [,;] (?:and|but|while|though|still ,) ")
NEGATIONS = {"not", "never", "hardly", "wrong", "nobody", "doubt", "few"}


def read(sentence: str) -> tuple[str, bool]:
    """(level, whether the film comes off well)."""
    assert sentence.endswith(" .")
    parts = sentence.removesuffix(" .").split(" . ")
    clauses = [clause.split() for clause in JOINS.split(parts[-1])]
    if len(parts) == 2:
        return "reference", _good(_clause_of(_reference(parts[0].split()), clauses))
    film = next(clause for clause in clauses if set(clause) & {*FILM, *FILMS})
    others = [clause for clause in clauses if set(clause) & {*OTHER, *OTHERS}]
    assert len(others) == len(clauses) - 1
    negations = sum(word in NEGATIONS for word in film)
    if negations >= 2:
        return "nested", _good(film)
    if negations == 1:
        return "negation", _good(film)
    return ("distractor" if others else "single"), _good(film)


def _reference(meeting: list[str]) -> str:
    """The film named in ``meeting``, as ``judged`` will call it: by order and by number."""
    things = [word for word in meeting if word in {*FILM, *FILMS, *OTHER, *OTHERS}]
    assert len(things) == 2
    film = next(word for word in things if word in {*FILM, *FILMS})
    order = "former" if things[0] == film else "latter"
    number = "they" if film in FILMS else "it"
    other = next(word for word in things if word != film)
    alike = (film in FILMS) == (other in OTHERS)
    return order if alike else f"{order} {number}"


def _clause_of(names: str, clauses: list[list[str]]) -> list[str]:
    found = [clause for clause in clauses if set(names.split()) & set(clause)]
    assert len(found) == 1
    return found[0]


def _good(clause: list[str]) -> bool:
    judgement = [word for word in clause if word in {*GOOD, *BAD}]
    assert len(judgement) == 1
    negations = sum(word in NEGATIONS for word in clause)
    return (judgement[0] in GOOD) != (negations % 2 == 1)
