"""Price tables of GPUs, and which model runs on which."""

import pytest

from cascade_exp.errors import CascadeError
from cascade_exp.recordings.prices import gpu_prices, gpus_of, rates_of


def test_a_table_of_ones_own_as_csv_and_as_yaml(tmp_path):
    (tmp_path / "p.csv").write_text("gpu,dollars_per_hour,note\nL4,0.5,mine\nT4, 0.25,\n")
    (tmp_path / "p.yaml").write_text("L4: 0.5\nT4: 0.25\n")
    for name in ("p.csv", "p.yaml"):
        assert gpu_prices(str(tmp_path / name)) == {"L4": 0.5, "T4": 0.25}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.csv", "gpu,price\nL4,0.5\n", "no column 'dollars_per_hour' in its first line"),
        ("p.csv", "gpu,dollars_per_hour\nL4,free\n", "L4 costs 'free'"),
        ("p.csv", "gpu,dollars_per_hour\nL4,1\nL4,2\n", "line 3: a second price of L4"),
        ("p.csv", "gpu,dollars_per_hour\n", "lists no GPU"),
        ("p.yaml", "L4: -1\n", "L4 costs -1"),
        ("p.yaml", "- L4\n", "expected a price per GPU"),
        ("p.yaml", "{", "not YAML"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(CascadeError, match=said):
        gpu_prices(str(tmp_path / name))


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(CascadeError, match=r"cost.prices=.*none.csv: cannot be read"):
        gpu_prices(str(tmp_path / "none.csv"))


def test_models_find_their_gpu_by_name_before_glob():
    models = ("resnet20", "resnet56", "vit")
    assert gpus_of(models, "A100") == dict.fromkeys(models, "A100")
    assert gpus_of(models, {"*": "H100", "resnet*": "A100", "resnet20": "V100"}) == {
        "resnet20": "V100",
        "resnet56": "H100",
        "vit": "H100",
    }
    with pytest.raises(CascadeError, match="no GPU for model vit"):
        gpus_of(models, {"resnet*": "A100"})
    with pytest.raises(CascadeError, match=r"cost.gpu: a value is needed"):
        gpus_of(models, None)
    with pytest.raises(CascadeError, match=r"cost.gpu=A10: expected one of .*did you mean"):
        rates_of(models, "A10", None)
