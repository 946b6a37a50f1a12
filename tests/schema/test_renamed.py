"""Old names of keys and options are refused, each with the new one."""

from pathlib import Path

import pytest

from cascade_exp.errors import CascadeError
from cascade_exp.schema.renamed import OPTIONS, refuse_renamed

CONF = Path(__file__).parents[2] / "conf"


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("rivals.speed_ups=[2]", "rivals.speed_ups: this key was renamed; expected speed_ups.at"),
        ("+rivals.members.a={network:b}", "expected speed_ups.members.a"),
        ("~rivals.members.pabee", "rivals.members.pabee: .* expected speed_ups.members.pabee"),
        ("rivals.full=six", "expected speed_ups.full"),
        ("experiment=rivals", "experiment=rivals: .* expected experiment=speed_ups$"),
        ("experiment=sst2_rivals,x", "expected experiment=sst2_speed_ups$"),
        (
            "+models.members.bert_1l.training.plain=true",
            "models.members.bert_1l.training.plain: .* expected "
            r"models\.members\.bert_1l\.training\.unregularised$",
        ),
        ("models=minilm_rivals", "expected models=minilm_speed_ups$"),
    ],
)
def test_old_names_are_refused_with_the_new_ones(argument, said):
    with pytest.raises(CascadeError, match=said) as raised:
        refuse_renamed(["-m", "seed=1", argument])
    assert "\n" not in str(raised.value)


def test_what_was_not_renamed_passes():
    refuse_renamed(["-m", "seed=rivals", "speed_ups.at=[2]", "data=sst2_rivals", "rivalry=1", "x"])


@pytest.mark.parametrize("group", OPTIONS)
def test_no_option_has_an_old_name(group):
    assert not list((CONF / group).glob("*rivals*"))
    assert list((CONF / group).glob("*speed_ups*"))
