"""The four splits cut out of a source: stratified, seeded, no example in two of them.

What each split is for: docs/definitions.md#splits. This module knows nothing of what the inputs
are; it works on labels and positions alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from cascade_exp.data.examples import Examples, Ints, Source
from cascade_exp.errors import CascadeError, choice

SelectionPolicy = Literal["report_half", "train", "own"]
POLICIES: tuple[SelectionPolicy, ...] = ("report_half", "train", "own")
SPLITS = ("train", "validation", "selection", "report")


@dataclass(frozen=True, eq=False)
class Splits:
    """The examples by split (docs/definitions.md#splits); no example is in two of them.

    Attributes:
        train: what weights are fitted on.
        validation: carved out of train, for checkpoints and early stopping.
        selection: for thresholds, temperatures and the search.
        report: what results are reported on.
        further: other labelled sets by name that results can be reported on, each whole.
    """

    train: Examples
    validation: Examples
    selection: Examples
    report: Examples
    further: Mapping[str, Examples] = field(default_factory=dict)

    @property
    def recorded(self) -> tuple[str, ...]:
        """The splits that models are recorded on."""
        return ("selection", "report", *self.further)

    def named(self, split: str) -> Examples:
        """The split of this name.

        Raises:
            CascadeError: if there is no such split.
        """
        choice(split, (*SPLITS, *self.further), "split")
        examples: Examples = self.further[split] if split in self.further else getattr(self, split)
        return examples


def carve(
    source: Source,
    *,
    selection: SelectionPolicy,
    validation_share: float,
    selection_share: float,
    limit_train: int | None,
    seed: int,
) -> Splits:
    """Cut ``source`` into its four splits (docs/definitions.md#splits).

    Without a labelled test set, a stratified half of the whole stands in for it first. Both shares
    are of train as it then is. ``limit_train`` cuts what is left of train at the very end, so it
    changes no other split; the selection and report splits depend on ``selection``, ``seed`` and
    (``train``) ``selection_share`` alone.

    Args:
        source: the labelled sets as published.
        selection: ``report_half``: half of test is selection, the other half report; ``train``:
            selection is carved out of train, all of test is report; ``own``: the source's own.
        validation_share: share of train that becomes validation, in (0, 1).
        selection_share: share of train that becomes selection under ``train``, in (0, 1).
        limit_train: the most examples to keep in train; None keeps all.
        seed: of every draw, at least 0.

    Raises:
        CascadeError: if a split would be empty, a value is out of range, or the policy and what
            the source brings do not fit.
    """
    _check(source, selection, validation_share, selection_share, limit_train, seed)
    test, left = source.test, source.train
    if test is None:
        test, left = _halved(source, seed)
    base = len(left)
    chosen, report = source.selection, test
    if selection == "report_half":
        if len(test) < 2:
            raise CascadeError(
                f"data.selection=report_half: {len(test)} labelled test examples in {source.name} "
                "cannot be halved; expected at least 2, or data.selection=train"
            )
        chosen, report = _part(test, len(test) // 2, seed, "half")
    elif selection == "train":
        take = _share_of(base, selection_share, "data.selection_share")
        chosen, left = _part(left, take, seed, "selection")
    take = _share_of(base, validation_share, "data.validation_share")
    if take >= len(left):
        shares = f"data.validation_share={validation_share}"
        if selection == "train":
            shares += f" and data.selection_share={selection_share}"
        raise CascadeError(f"{shares} leave none of the {base} training examples to train on")
    validation, left = _part(left, take, seed, "validation")
    if limit_train is not None and limit_train < len(left):
        left, _ = _part(left, limit_train, seed, "limit")
    assert chosen is not None
    return _none_empty(source.name, Splits(left, validation, chosen, report, source.further))


def _halved(source: Source, seed: int) -> tuple[Examples, Examples]:
    """(test, train) of a source without a labelled test set: two halves of its train."""
    size = len(source.train)
    if size < 2:
        raise CascadeError(
            f"data {source.name}: {size} example and no labelled test set; "
            "expected at least 2, half of them to report on"
        )
    return _part(source.train, size // 2, seed, "public")


def _check(
    source: Source,
    selection: str,
    validation_share: float,
    selection_share: float,
    limit_train: int | None,
    seed: int,
) -> None:
    """Refuse settings of :func:`carve` that are out of range or do not fit the source."""
    choice(selection, POLICIES, "data.selection")
    _check_range("data.validation_share", validation_share)
    if selection == "train":
        _check_range("data.selection_share", selection_share)
    if limit_train is not None and limit_train < 1:
        raise CascadeError(f"data.limit_train={limit_train}: expected at least 1, or null for all")
    if seed < 0:
        raise CascadeError(f"seed={seed}: expected a number of at least 0 to draw the splits with")
    if (selection == "own") != (source.selection is not None):
        raise CascadeError(_policy_mismatch(source, selection))


def _none_empty(name: str, splits: Splits) -> Splits:
    for split in (*SPLITS, *splits.further):
        if len(splits.named(split)) == 0:
            raise CascadeError(f"data {name}: the {split} split is empty")
    return splits


def stratify(labels: Ints, take: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw ``take`` of N positions, each class in proportion; returns (drawn, left), both sorted.

    Each class gives within one of its proportional share ``take * n_c / N`` (largest remainder),
    and, as far as that allows, a class of two or more examples is on both sides.

    Args:
        labels: int64 [N].
        take: between 0 and N.
        rng: draws which examples of a class go.
    """
    _, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    counts = _seats(sizes.astype(np.int64), take)
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(codes[shuffled], kind="stable")]
    rank_in_class = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    drawn = rank_in_class < np.repeat(counts, sizes)
    return np.sort(by_class[drawn]), np.sort(by_class[~drawn])


def _seats(sizes: Ints, take: int) -> Ints:
    """How many of each class to draw: int64 [C] summing to ``take``, by largest remainder.

    A class that would otherwise be absent goes first among the remainders, one that would be used
    up goes last; then absent classes take a seat of one that has its full share.
    """
    total = int(sizes.sum())
    if total == 0:
        return sizes.copy()
    counts, remainder = sizes * take // total, sizes * take % total
    absent = (counts == 0) & (sizes >= 2)
    used_up = counts + 1 >= sizes
    order = np.lexsort((-remainder, used_up, ~absent, remainder == 0))
    counts[order[: take - int(counts.sum())]] += 1
    counts = _seat_absent(counts, sizes, take)
    return sizes - _seat_absent(sizes - counts, sizes, total - take)


def _seat_absent(counts: Ints, sizes: Ints, take: int) -> Ints:
    """Give absent classes of two or more examples one seat each, from the best represented.

    A class gives a seat only if it has at least its proportional share and keeps one.
    """
    counts = counts.copy()
    surplus = counts * int(sizes.sum()) - sizes * take
    for needy in np.flatnonzero((counts == 0) & (sizes >= 2)):
        givers = np.flatnonzero((counts >= 2) & (surplus >= 0))
        if len(givers) == 0:
            break
        giver = givers[np.argmax(surplus[givers])]
        counts[giver] -= 1
        counts[needy] += 1
        surplus = counts * int(sizes.sum()) - sizes * take
    return counts


def _part(
    examples: Examples,
    take: int,
    seed: int,
    purpose: Literal["public", "half", "selection", "validation", "limit"],
) -> tuple[Examples, Examples]:
    """(drawn, left) of ``examples``; each purpose has its own stream of random numbers."""
    stream = ("public", "half", "selection", "validation", "limit").index(purpose)
    drawn, left = stratify(examples.labels, take, np.random.default_rng([seed, stream]))
    return examples.take(drawn), examples.take(left)


def _share_of(size: int, share: float, key: str) -> int:
    take = round(size * share)
    if take < 1:
        raise CascadeError(
            f"{key}={share}: none of the {size} training examples; expected a share of at least one"
        )
    return take


def _check_range(key: str, share: float) -> None:
    if not 0 < share < 1:
        raise CascadeError(f"{key}={share}: expected a share of train between 0 and 1")


def _policy_mismatch(source: Source, selection: str) -> str:
    if selection == "own":
        return (
            f"data.selection=own: {source.name} brings no selection split of its own; "
            "expected report_half or train"
        )
    return (
        f"data.selection={selection}: {source.name} brings a selection split of its own, which "
        "would go unread; expected own"
    )
