"""What is probably wrong with recordings that can be read: collected, and reported as warnings.

Each finding is one sentence that names the model, the figure that gave it away, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from cascade_exp.cascade.alignment import ABOVE_CHANCE, misaligned, repair
from cascade_exp.cascade.pools.logits import Answers
from cascade_exp.cascade.reliability import auroc
from cascade_exp.cascade.stages import Ints
from cascade_exp.evaluation.pools import BothSplits, OneSplit
from cascade_exp.recordings.folder import Split
from cascade_exp.recordings.outputs import Recorded
from cascade_exp.report.sentences import stated

FAR_BELOW = 0.4
"""An AUROC below this, by three standard errors below 0.5, is that of an uncertainty."""


def findings(splits: BothSplits) -> list[str]:
    """Everything that is suspicious about the recordings, the most serious kinds first."""
    both = {"selection": splits.selection, "report": splits.report}
    read = {role: splits.kind.read(splits.recordings, one.name) for role, one in both.items()}
    found: dict[str, None] = {}
    for role, one in both.items():
        answers = {
            name: one.models.stage((m,)).prediction for m, name in enumerate(one.models.names)
        }
        labels = one.models.labels
        if not splits.recordings.exits:  # the exits of one network are of the same rows
            found |= dict.fromkeys(_misaligned(answers, labels, one.name))
        found |= dict.fromkeys(_mistaken(answers, labels, one.name))
        found |= dict.fromkeys(_uncertainties(one))
        found |= dict.fromkeys(_repeated(read[role]))
    if splits.selection.name != splits.report.name:
        found |= dict.fromkeys(_shared(read["selection"], read["report"]))
    found |= dict.fromkeys(splits.recordings.data_warnings)
    found |= dict.fromkeys(note for split in read.values() for note in split.notes)
    return list(found)


@stated
def _misaligned(answers: Mapping[str, Ints], labels: Ints, split: str) -> Iterator[str]:
    """Models that agree no more than their labels explain; one that all pairs share is named."""
    names = list(answers)
    pairs = misaligned(list(answers.values()), labels)
    if not pairs:
        return
    common = set.intersection(*({first, second} for first, second, _ in pairs))
    value = max(value for *_, value in pairs)
    if len(pairs) > 1 and len(common) == 1:
        who = f"{names[common.pop()]} agrees with the other models"
    else:
        who = "; ".join(f"{names[a]} agrees with {names[b]}" for a, b, _ in pairs[:3])
    yield (
        f"{split}: {who} no more than the labels explain (agreement beyond them {value:.2f}; "
        "models that saw the same examples have 0.3 and more). Are all rows of the same examples, "
        "in one order? Ids per model (<name>.ids.npy) align them; otherwise the results of "
        "cascades are meaningless."
    )


@stated
def _mistaken(answers: Mapping[str, Ints], labels: Ints, split: str) -> Iterator[str]:
    """Models at or below chance beside one that is far above: recorded in another order?"""
    scores = {name: float(np.mean(given == labels)) for name, given in answers.items()}
    chance = float(np.bincount(labels).max() / len(labels))
    error = np.sqrt(chance * (1 - chance) / len(labels))
    if max(scores.values()) < chance + ABOVE_CHANCE or 2 * error > ABOVE_CHANCE:
        return  # none is far above chance, or so few examples show nothing of it
    best = max(scores, key=lambda name: scores[name])
    for name, score in scores.items():
        if score > chance + 2 * error:
            continue
        mended = repair(answers[name], labels)
        how = {
            "classes": "with its classes in another order",
            "values": f"with every answer {mended.by:+d}" if mended else "",
            "rows": f"with its rows moved by {mended.by:+d}" if mended else "",
        }
        hint = f"; {how[mended.kind]} it would score about {mended.score:.1%}" if mended else ""
        at = "below" if score < chance - 2 * error else "at"
        yield (
            f"{split}: {name} scores {score:.1%}, which is {at} chance ({chance:.1%}, the most "
            f"frequent class), while {best} scores {scores[best]:.1%}{hint}. Are its classes and "
            "rows in the same order as the labels?"
        )


@stated
def _uncertainties(one: OneSplit) -> Iterator[str]:
    """Recorded confidences that are higher where the model is wrong."""
    for m, name in enumerate(one.models.names):
        if not isinstance(one.models.outputs[m], Answers):
            continue
        stage = one.models.stage((m,))
        right = stage.prediction == one.models.labels
        value = auroc(stage.confidence, right)
        fewer = int(min(right.sum(), (~right).sum()))
        if value is None or fewer < 10:
            continue
        error = 1 / np.sqrt(12 * fewer)  # of the Mann-Whitney statistic under no relation
        if value < FAR_BELOW and value + 3 * error < 0.5:
            yield (
                f"{one.name}: the recorded confidence of {name} is higher where it is wrong (AUROC "
                f"{value:.2f}). If the number is an uncertainty, record its negative: the AUROC is "
                f"then {1 - value:.2f}."
            )


@stated
def _repeated(split: Split) -> Iterator[str]:
    if split.ids is None:
        return
    _, counts = np.unique(split.ids, return_counts=True)
    if (counts > 1).any():
        yield (
            f"{split.path / 'ids.npy'}: {int((counts > 1).sum())} ids come more than once; "
            "repeated examples make the intervals too narrow."
        )


@stated
def _shared(selection: Split, report: Split) -> Iterator[str]:
    """Examples in both splits, and splits whose classes differ."""
    common = set(np.unique(selection.labels)) & set(np.unique(report.labels))
    if not common:
        yield (
            f"{selection.name} and {report.name} share no class: thresholds that are chosen on one "
            "say nothing about the other. Are the files sorted by class?"
        )
    shared = _shared_examples(selection, report)
    if shared:
        yield (
            f"{shared} of {len(report.labels)} examples of {report.name} are in "
            f"{selection.name}, too ({_known_by(selection, report)}): results on them are "
            "optimistic, as thresholds were chosen on them."
        )


def shared_examples(splits: BothSplits) -> int:
    """How many examples of the report split are in the selection split, by their ids."""
    if splits.selection.name == splits.report.name:
        return splits.report.models.size
    read = [
        splits.kind.read(splits.recordings, one.name) for one in (splits.selection, splits.report)
    ]
    return _shared_examples(*read)


def _shared_examples(selection: Split, report: Split) -> int:
    chosen_on, reported = selection.ids, report.ids
    if chosen_on is None or reported is None or (_numbered(chosen_on) and _numbered(reported)):
        return len(report.labels) if _same(selection, report) else 0
    return int(np.isin(reported.astype(np.str_), chosen_on.astype(np.str_)).sum())


def _known_by(selection: Split, report: Split) -> str:
    return "all labels and outputs are the same" if _same(selection, report) else "ids.npy"


def _same(one: Split, other: Split) -> bool:
    """Whether two splits are copies: the same labels and the same outputs of every model."""

    def arrays(found: Recorded) -> tuple[np.ndarray, ...]:
        both = (found,) if isinstance(found, np.ndarray) else (found.prediction, found.confidence)
        return tuple(np.asarray(part) for part in both)

    return np.array_equal(one.labels, other.labels) and all(
        np.array_equal(here, there)
        for name in one.outputs
        for here, there in zip(arrays(one.outputs[name]), arrays(other.outputs[name]), strict=True)
    )


def _numbered(ids: object) -> bool:
    """Whether ids only number the rows of a split, so that they say nothing across splits."""
    given = np.asarray(ids)
    return given.dtype.kind in "iu" and bool((given == np.arange(len(given))).all())
