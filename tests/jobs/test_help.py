"""The help of both commands: every group, its choices and its keys, each with what it is."""

import re
from pathlib import Path

import pytest

from cascade_exp.errors import CascadeError
from cascade_exp.jobs.help import check_overrides, help_text

CONF = Path(__file__).parents[2] / "conf"


@pytest.mark.parametrize(
    ("command", "groups"),
    [("train", {"data", "models", "metric", "callbacks"}), ("evaluate", {"metric", "cost"})],
)
def test_help_lists_every_choice_with_a_line_of_what_it_is(command, groups):
    text = help_text(command, CONF)
    assert "schema" not in text
    for group in groups:
        assert re.search(rf"^{group}: \w", text, re.MULTILINE), group
        for option in (CONF / group).glob("*.yaml"):
            assert re.search(rf"^  [* ] {option.stem} +\S", text, re.MULTILINE), option
    assert re.search(r"^  \* max_softmax ", text, re.MULTILINE)
    assert re.search(r"^  splits\.selection=selection +\w", text, re.MULTILINE)
    assert ("experiment" in text) and ("sst2_minilm" in text) == (command == "train")
    assert ("recordings=null" in text) == (command == "evaluate")


@pytest.mark.parametrize(
    "override", ["objective=0", "metric=true", "ensemble=nan", "ensemble=[null]", "cost={a:1}"]
)
def test_a_value_that_can_name_no_option_is_one_line(override):
    with pytest.raises(CascadeError, match="expected the name of an option, one of") as error:
        check_overrides([override], CONF)
    assert "\n" not in str(error.value)


def test_names_and_lists_of_names_pass():
    check_overrides(
        ["metric=entropy", "logger=[wandb,csv]", "data=null", "seed=0", "trainer.max_epochs=3"],
        CONF,
    )
