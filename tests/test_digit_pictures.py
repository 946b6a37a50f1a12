"""``examples/digits``: pictures of the demo's report split, so that no model has seen them."""

from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

from cascade_exp.data.sources import digits
from cascade_exp.data.splitting import carve
from cascade_exp.schema.registry import register

ROOT = Path(__file__).parents[1]
PICTURES = sorted((ROOT / "examples" / "digits").glob("*.png"))


def test_they_are_of_the_report_split_and_named_by_their_digit():
    GlobalHydra.instance().clear()
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        data = compose("train").data
    keys = ("selection", "validation_share", "selection_share", "limit_train", "seed")
    report = carve(digits.load(), **{key: data[key] for key in keys}).report
    assert len(PICTURES) == 100
    for path in PICTURES:
        number, digit = path.stem.split("_is_")
        (at,) = np.flatnonzero(report.ids == int(number))
        assert report.labels[at] == int(digit)
        with Image.open(path) as image:
            assert (np.asarray(image) == report.inputs[at][..., 0]).all()
