"""The heads that transformers puts on an encoder: which auto class builds one, for which types."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from transformers import AutoModelForMultipleChoice, AutoModelForSequenceClassification
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_MULTIPLE_CHOICE_MAPPING_NAMES,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
)

from cascade_exp.errors import choice


@dataclass(frozen=True)
class Head:
    """One kind of head.

    Attributes:
        auto: transformers' auto class that builds an encoder under it.
        types: the model types that have it.
        words: what an error calls an encoder under it.
        per_ending: whether it scores each ending of a question, the logits being those scores;
            else its logits are of the classes.
    """

    auto: Any
    types: Collection[str]
    words: str
    per_ending: bool

    def endings(self, classes: Collection[str]) -> int:
        """Sequences that one example of data with these classes is."""
        return len(classes) if self.per_ending else 1


HEADS = {
    "classification": Head(
        AutoModelForSequenceClassification,
        MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
        "sequence classifier",
        per_ending=False,
    ),
    "multiple_choice": Head(
        AutoModelForMultipleChoice,
        MODEL_FOR_MULTIPLE_CHOICE_MAPPING_NAMES,
        "multiple-choice head",
        per_ending=True,
    ),
}


def head_of(where: str, name: str) -> Head:
    """The head called ``name``.

    Raises:
        CascadeError: if there is none (did you mean), naming ``where``.
    """
    return HEADS[choice(name, HEADS, f"{where}.head")]
