"""Batches of images, kept or made, from arrays and files, under Lightning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

from cascade_exp.data import images as module
from cascade_exp.data.examples import Examples, Inputs
from cascade_exp.data.images import ImageDataModule, shifted
from cascade_exp.data.splitting import SPLITS, Splits
from cascade_exp.errors import CascadeError


def splits_of(inputs: Inputs) -> Splits:
    """Four splits that share one set of inputs, with ids 10 apart."""
    n = len(inputs)
    parts = {
        name: Examples(ids=np.arange(n) * 10 + k, labels=np.arange(n) % 3, inputs=inputs)
        for k, name in enumerate(SPLITS)
    }
    return Splits(**parts)


def images_of(n: int = 10, height: int = 8, width: int = 8, channels: int = 1) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, height, width, channels), dtype=np.uint8)


def data(inputs: Inputs, **changes: Any) -> ImageDataModule:
    settings = {
        "size": 8,
        "channels": 1,
        "mean": [0.5],
        "std": [0.25],
        "interpolation": "bilinear",
        "batch_size": 4,
        "augment": "none",
        "workers": 0,
        "seed": 0,
    }
    return ImageDataModule(splits_of(inputs), **(settings | changes))


@pytest.mark.parametrize("workers", [0, 1])
def test_recording_batches_are_the_split_in_order_normalised(workers):
    images = images_of()
    batches = list(data(images, workers=workers).loader("report"))
    inputs = torch.cat([batch["inputs"] for batch in batches])
    assert inputs.dtype == torch.float32 and inputs.shape == (10, 1, 8, 8)
    expected = (torch.from_numpy(images).movedim(-1, 1) / 255 - 0.5) / 0.25
    torch.testing.assert_close(inputs, expected)
    ids = torch.cat([batch["id"] for batch in batches])
    assert ids.dtype == torch.int64 and ids.tolist() == [10 * i + 3 for i in range(10)]
    labels = torch.cat([batch["label"] for batch in batches])
    assert labels.dtype == torch.int64 and labels.tolist() == [i % 3 for i in range(10)]


def test_training_batches_change_from_epoch_to_epoch_and_hold_every_example():
    loader = data(images_of()).train_dataloader()
    epochs = [[i for batch in loader for i in batch["id"].tolist()] for _ in range(2)]
    assert epochs[0] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1]) == [10 * i for i in range(10)]


def test_validation_is_the_validation_split():
    ids = [i for batch in data(images_of()).val_dataloader() for i in batch["id"].tolist()]
    assert ids == [10 * i + 1 for i in range(10)]


def test_grey_becomes_colour_and_colour_grey():
    grey = images_of()
    colour = next(iter(data(grey, channels=3, size=16).loader("report")))["inputs"]
    assert colour.shape == (4, 3, 16, 16)
    assert (colour[:, 0] == colour[:, 1]).all() and (colour[:, 0] == colour[:, 2]).all()
    white = np.full((2, 8, 8, 3), 255, np.uint8)
    inputs = next(iter(data(white, channels=1).loader("report")))["inputs"]
    assert inputs.shape == (2, 1, 8, 8)
    step = 1 / 255 / 0.25
    torch.testing.assert_close(inputs, torch.full_like(inputs, 2.0), atol=step + 1e-6, rtol=0)


def test_mean_and_std_per_channel():
    white = np.full((2, 8, 8, 3), 255, np.uint8)
    batch = next(iter(data(white, channels=3, mean=[0, 0.5, 1], std=[1, 0.5, 2]).loader("report")))
    assert batch["inputs"][0, :, 0, 0].tolist() == [1, 1, 0]


def test_the_shorter_side_is_resized_and_the_centre_cropped():
    wide = np.zeros((1, 8, 24, 1), np.uint8)
    wide[:, :, 8:16] = 255
    inputs = next(iter(data(wide).loader("report")))["inputs"]
    assert (inputs == 2).all()
    framed = np.zeros((1, 16, 16, 1), np.uint8)
    framed[:, 4:12, 4:12] = 255
    cropped = next(iter(data(framed, crop_pct=0.5).loader("report")))["inputs"]
    assert (cropped == 2).all()


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_images_are_the_same_whether_kept_or_made_per_batch(interpolation, monkeypatch):
    images = images_of(height=10, width=13, channels=3)
    settings = {"channels": 3, "interpolation": interpolation}
    kept = [batch["inputs"] for batch in data(images, **settings).loader("report")]
    monkeypatch.setattr(module, "KEPT_BYTES", 0)
    made = [batch["inputs"] for batch in data(images, **settings).loader("report")]
    assert all((a == b).all() for a, b in zip(kept, made, strict=True))


def test_files_give_what_their_arrays_give(tmp_path: Path, monkeypatch):
    images = images_of(n=5, height=9, width=12, channels=3)
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    from_arrays = [batch["inputs"] for batch in data(images, channels=3).loader("report")]
    for kept in (2**30, 0):
        monkeypatch.setattr(module, "KEPT_BYTES", kept)
        from_files = [batch["inputs"] for batch in data(paths, channels=3).loader("report")]
        assert all((a == b).all() for a, b in zip(from_arrays, from_files, strict=True))


@pytest.mark.parametrize("content", [b"", b"not an image", None])
def test_a_file_that_is_no_image_is_named(tmp_path: Path, content):
    path = tmp_path / "bad.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CascadeError, match=r"bad\.png: not an image that can be read"):
        data([path]).loader("report")


def test_a_file_cut_short_is_named(tmp_path: Path):
    path = tmp_path / "short.png"
    Image.fromarray(images_of(channels=3)[0]).save(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(CascadeError, match=r"short\.png: not an image that can be read"):
        data([path]).loader("report")


def test_shifted_moves_each_image_on_its_own():
    torch.manual_seed(0)
    images = torch.arange(1, 65, dtype=torch.uint8).reshape(1, 1, 8, 8).repeat(200, 1, 1, 1)
    moved = shifted(images, 2)
    assert moved.shape == images.shape and moved.dtype == torch.uint8
    seen = set()
    for image in moved[:, 0].numpy().astype(int):
        rows, columns = np.nonzero(image)
        part = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        top, left = divmod(int(part[0, 0]) - 1, 8)
        down, right = int(rows.min()) - top, int(columns.min()) - left
        seen.add((down, right))
        grid = (np.arange(len(part))[:, None] + top) * 8 + np.arange(part.shape[1]) + left + 1
        assert (part == grid).all()
        assert part.shape == (8 - abs(down), 8 - abs(right))
    assert seen == {(i, j) for i in range(-2, 3) for j in range(-2, 3)}


def test_crop_flip_mirrors_about_half():
    one_sided = np.zeros((400, 16, 16, 1), np.uint8)
    one_sided[:, :, :4] = 255
    loader = data(one_sided, size=16, augment="crop_flip", batch_size=400, mean=[0], std=[1])
    inputs = next(iter(loader.train_dataloader()))["inputs"]
    right = inputs[..., 8:].sum((1, 2, 3)) > 0
    left = inputs[..., :8].sum((1, 2, 3)) > 0
    assert (right ^ left).all()
    assert 120 < int(right.sum()) < 280


def test_augmentation_is_for_training_only():
    module_ = data(images_of(), augment="crop_flip")
    unchanged = data(images_of())
    for split in SPLITS:
        a = torch.cat([batch["inputs"] for batch in module_.loader(split)])
        b = torch.cat([batch["inputs"] for batch in unchanged.loader(split)])
        assert (a == b).all()


class Linear(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(64, 3)
        self.epochs: list[list[int]] = []

    def on_train_epoch_start(self) -> None:
        self.epochs.append([])

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        self.epochs[-1] += batch["id"].tolist()
        logits = self.layer(batch["inputs"].flatten(1))
        return torch.nn.functional.cross_entropy(logits, batch["label"])

    def predict_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        return batch["id"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def test_lightning_trains_and_predicts_on_it(tmp_path: Path):
    trainer = pl.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    model, module_ = Linear(), data(images_of())
    trainer.fit(model, datamodule=module_)
    assert len({tuple(epoch) for epoch in model.epochs}) == 3
    assert all(sorted(epoch) == [10 * i for i in range(10)] for epoch in model.epochs)
    loader = data(images_of()).train_dataloader()
    assert model.epochs[0] == [i for batch in loader for i in batch["id"].tolist()]
    predicted = trainer.predict(model, module_.loader("report"))
    assert torch.cat(predicted).tolist() == [10 * i + 3 for i in range(10)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"augment": "flip"}, "data.augment=flip: .*did you mean 'crop_flip'"),
        ({"interpolation": "cubic"}, "interpolation=cubic: .*did you mean 'bicubic'"),
        ({"size": 0}, "image size 0"),
        ({"channels": 2}, "2 image channels"),
        ({"mean": [0.1, 0.2, 0.3]}, "mean: 3 values for 1 channels"),
        ({"std": [0.0]}, "expected values above 0"),
        ({"crop_pct": 0.0}, "crop_pct=0.0"),
    ],
)
def test_an_argument_out_of_range_is_named(changes, message):
    with pytest.raises(CascadeError, match=message):
        data(images_of(), **changes)
