"""scikit-learn's handwritten digits: the real data set that comes with the library, no download."""

from __future__ import annotations

import numpy as np

from cascade_exp.data.examples import Source, source_of


def load() -> Source:
    """1,797 grey 8x8 images of ten digits, uint8 [N, 8, 8, 1], the original 0..16 scaled to 0..255.

    There is no official test set.
    """
    from sklearn import datasets

    bunch = datasets.load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    return source_of(
        "digits", "image", [str(c) for c in bunch.target_names], (bunch.target, images)
    )
