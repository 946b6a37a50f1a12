"""Jobs of ``tests/runtime``, as bundles, for the commands that run them."""

from pathlib import Path

import pytest

from cascade_exp.tools.bundle import write_bundle
from tests.runtime.conftest import image_job, text_job  # noqa: F401  # fixtures
from tests.runtime.making import texts
from tests.runtime.test_cascade import evaluated


@pytest.fixture(scope="session")
def text_bundle(text_job, tmp_path_factory) -> Path:  # noqa: F811
    folder = tmp_path_factory.mktemp("text_bundle")
    write_bundle(evaluated(text_job, folder / "job", ["one", "two", "three"]), folder / "bundle")
    return folder / "bundle"


@pytest.fixture(scope="session")
def image_bundle(image_job, tmp_path_factory) -> Path:  # noqa: F811
    folder = tmp_path_factory.mktemp("image_bundle")
    write_bundle(evaluated(image_job, folder / "job", ["small", "large"]), folder / "bundle")
    return folder / "bundle"


@pytest.fixture
def reviews(tmp_path) -> Path:
    path = tmp_path / "reviews.csv"
    rows = [f"{i},{text}" for i, (text, _) in enumerate(texts(100, 7).inputs)]
    path.write_text("\n".join(["id,text", *rows, ""]))
    return path
