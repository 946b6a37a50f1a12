"""scikit-learn's digits as images."""

from __future__ import annotations

import numpy as np
from sklearn import datasets

from cascade_exp.data import load_source
from cascade_exp.data.splitting import SPLITS, carve


def test_digits_are_the_librarys_scaled_to_a_byte():
    source = load_source({"source": "digits"})
    original = datasets.load_digits()
    assert source.kind == "image" and source.test is None
    assert source.classes == tuple("0123456789")
    images = np.asarray(source.train.inputs)
    assert images.shape == (1797, 8, 8, 1) and images.dtype == np.uint8
    assert images.min() == 0 and images.max() == 255
    assert (np.rint(images[..., 0] / 255 * 16) == original.images).all()
    assert (source.train.labels == original.target).all()


def test_digits_are_cut_in_four():
    splits = carve(
        load_source({"source": "digits"}),
        selection="report_half",
        validation_share=0.1,
        selection_share=0.1,
        limit_train=None,
        seed=0,
    )
    assert [len(splits.named(name)) for name in SPLITS] == [809, 90, 449, 449]
    for name in SPLITS:
        counts = np.bincount(splits.named(name).labels, minlength=10)
        assert counts.min() > 0.8 * counts.mean()
