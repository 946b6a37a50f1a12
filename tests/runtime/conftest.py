from pathlib import Path

import pytest

from tests.runtime.making import SIZES, image_models, images, text_models, texts, write_job


@pytest.fixture(scope="session")
def image_job(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("outputs") / "images"
    splits = {name: images(size, seed) for seed, (name, size) in enumerate(SIZES.items())}
    write_job(folder, image_models(), splits)
    return folder


@pytest.fixture(scope="session")
def text_job(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("outputs") / "texts"
    splits = {name: texts(size, seed) for seed, (name, size) in enumerate(SIZES.items())}
    write_job(folder, text_models(folder.parent), splits)
    return folder
