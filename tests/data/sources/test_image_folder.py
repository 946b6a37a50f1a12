"""Images in class folders, CIFAR-10 in both of its forms, and what can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cascade_exp.data import load_source
from cascade_exp.data.images import ImageDataModule
from cascade_exp.data.sources.cifar10 import CLASSES
from cascade_exp.data.splitting import carve
from cascade_exp.errors import CascadeError
from tests.data.shared import shared


def picture(path: Path, grey: int = 0, size: tuple[int, int] = (32, 32)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), grey, np.uint8)).save(path)


def pictures(root: Path, *relative: str) -> Path:
    for name in relative:
        picture(root / name)
    return root


def folder(root: Path):
    return load_source({"source": "image_folder", "root": str(root)})


def cifar(root: Path):
    return load_source({"source": "cifar10", "root": str(root)})


def names(inputs, root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in inputs]


def test_classes_are_folders_and_files_are_in_order(tmp_path: Path):
    pictures(
        tmp_path,
        *("train/dog/b.png", "train/dog/a.JPEG", "train/cat/deep/er.jpg", "val/cat/x.jpg"),
    )
    (tmp_path / "train/dog/notes.txt").write_text("no image")
    source = folder(tmp_path)
    assert source.kind == "image" and source.classes == ("cat", "dog")
    assert source.name == tmp_path.name
    assert names(source.train.inputs, tmp_path / "train") == [
        *("cat/deep/er.jpg", "dog/a.JPEG", "dog/b.png"),
    ]
    assert source.train.labels.tolist() == [0, 1, 1]
    assert source.test is not None
    assert source.test.labels.tolist() == [0] and source.test.ids.tolist() == [3]


def test_test_goes_before_val_and_says_so(tmp_path: Path):
    pictures(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/1.png", "test/b/1.png")
    source = folder(tmp_path)
    assert source.test is not None
    assert source.test.labels.tolist() == [1]
    (note,) = source.notes
    assert "val is not read" in note


def test_a_folder_called_validation_is_read_like_val(tmp_path: Path):
    pictures(tmp_path, "train/a/1.png", "train/b/1.PNG", "validation/b/1.png", "extra/a/1.png")
    source = folder(tmp_path)
    assert source.test is not None
    assert source.test.labels.tolist() == [1]
    (note,) = source.notes
    assert note.startswith(f"{tmp_path / 'extra'} is not read")


def test_without_a_test_folder_there_is_no_test_set(tmp_path: Path):
    assert folder(pictures(tmp_path, "train/a/1.png", "train/b/1.png")).test is None


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], r"train: expected a folder with one folder of images per class"),
        (["train/1.png"], r"train: expected a folder with one folder of images per class"),
        (["train/a/1.png", "train/b/1.txt"], r"train/b: no image in it; expected \.jpg"),
        (["train/a/1.png"], r"one class only \(a\)"),
        (
            ["train/cat/1.png", "train/dog/1.png", "test/dogs/1.png"],
            r"test/dogs: not a class of train \(did you mean 'dog'\?\); it has cat, dog",
        ),
        (["train/a/1.png", "train/b/1.png", "val/1.png"], r"val: expected a folder with one"),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(tmp_path: Path, files, message):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(CascadeError, match=message):
        folder(tmp_path)


def test_a_missing_root_is_named(tmp_path: Path):
    with pytest.raises(CascadeError, match=r"data\.root=.*gone: no such folder; expected one with"):
        folder(tmp_path / "gone")
    with pytest.raises(
        CascadeError, match=r"data\.root=.*gone: no such file or folder; expected an"
    ):
        cifar(tmp_path / "gone")
    with pytest.raises(
        CascadeError, match=r"0 npz files in it; expected an npz file with train_im"
    ):
        cifar(tmp_path)


def arrays(**changes: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    whole = {
        "train_images": rng.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8),
        "train_labels": np.arange(20) % 10,
        "test_images": rng.integers(0, 256, (10, 32, 32, 3), dtype=np.uint8),
        "test_labels": np.arange(10)[::-1],
    }
    return whole | changes


def test_cifar_from_an_npz_by_file_or_folder(tmp_path: Path):
    whole = arrays()
    np.savez(tmp_path / "some.npz", **whole)
    for root in (tmp_path, tmp_path / "some.npz"):
        source = cifar(root)
        assert source.name == "cifar10" and source.classes == CLASSES
        assert source.test is not None
        assert (source.train.inputs == whole["train_images"]).all()
        assert source.test.labels.tolist() == list(range(10))[::-1]
        assert source.test.ids.tolist() == list(range(20, 30))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"train_images": np.zeros((20, 3, 32, 32), np.uint8)},
            r"train_images is uint8 \[20, 3, 32",
        ),
        (
            {"test_images": np.zeros((10, 32, 32, 3))},
            r"test_images is float64 \[10, 32, 32, 3\]; ex",
        ),
        ({"test_labels": np.arange(9)}, r"test_labels is int64 \[9\]; expected 10 integers"),
        ({"test_labels": np.arange(10) / 2}, r"test_labels is float64"),
        ({"test_labels": np.arange(10) + 1}, r"test_labels\[9\] is 10; expected 0 to 9"),
        ({"train_labels": np.array([{}] * 20)}, r"x\.npz: not an npz file that can be read"),
    ],
)
def test_arrays_that_are_not_cifars_are_named(tmp_path: Path, changes, message):
    np.savez(tmp_path / "x.npz", **arrays(**changes))
    with pytest.raises(CascadeError, match=message):
        cifar(tmp_path)


def test_an_npz_that_is_none_is_named(tmp_path: Path):
    np.savez(tmp_path / "x.npz", **arrays())
    whole = (tmp_path / "x.npz").read_bytes()
    for content in (b"", b"noise" * 99, whole[: len(whole) // 2]):
        (tmp_path / "x.npz").write_bytes(content)
        with pytest.raises(CascadeError, match=r"x\.npz: not an npz file that can be read"):
            cifar(tmp_path)
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(CascadeError, match=r"x\.npy: not an npz file that can be read"):
        cifar(tmp_path / "x.npy")
    np.savez(tmp_path / "x.npz", train_images=np.zeros(1))
    with pytest.raises(CascadeError, match=r"x\.npz: no array 'train_labels'"):
        cifar(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", **arrays())
    with pytest.raises(CascadeError, match=r"2 npz files in it"):
        cifar(tmp_path)


def test_cifar_from_class_folders(tmp_path: Path):
    for split, n in (("train", 4), ("test", 2)):
        for k, name in enumerate(CLASSES):
            for i in range(n):
                picture(tmp_path / split / name / f"{i:04}.jpg", grey=25 * k)
    source = cifar(tmp_path)
    assert source.name == "cifar10" and source.classes == CLASSES
    assert source.test is not None and (len(source.train), len(source.test)) == (40, 20)
    splits = carve(
        source,
        selection="report_half",
        validation_share=0.25,
        selection_share=0.1,
        limit_train=None,
        seed=0,
    )
    assert np.bincount(splits.report.labels).tolist() == [1] * 10
    module = ImageDataModule(
        splits,
        size=32,
        channels=3,
        mean=[0.0],
        std=[1.0],
        interpolation="bilinear",
        batch_size=10,
        augment="none",
        workers=0,
        seed=0,
    )
    (batch,) = module.loader("report")
    assert batch["inputs"].shape == (10, 3, 32, 32)
    shades = (batch["inputs"].mean((1, 2, 3)) * 255).round()
    assert (shades - 25 * batch["label"]).abs().max() <= 1


def test_other_class_folders_are_not_cifars(tmp_path: Path):
    pictures(tmp_path, "train/cat/1.png", "train/dog/1.png")
    with pytest.raises(
        CascadeError, match=r"train: classes cat, dog; expected CIFAR-10's: airplane"
    ):
        cifar(tmp_path)


@pytest.mark.real_data
def test_the_real_arrays():
    root = shared("data/cifar10")
    source = cifar(root)
    assert source.test is not None
    assert (len(source.train), len(source.test)) == (4000, 1000)
    assert np.bincount(source.test.labels).tolist() == [
        *(103, 89, 100, 103, 90, 86, 112, 102, 106, 109),
    ]
    splits = carve(
        source,
        selection="report_half",
        validation_share=0.1,
        selection_share=0.1,
        limit_train=None,
        seed=0,
    )
    module = ImageDataModule(
        splits,
        size=32,
        channels=3,
        mean=[0.4914, 0.4822, 0.4465],
        std=[0.247, 0.2435, 0.2616],
        interpolation="bilinear",
        batch_size=256,
        augment="crop_flip",
        workers=0,
        seed=0,
    )
    pixels = torch.cat([batch["inputs"] for batch in module.loader("train")])
    assert pixels.shape == (3600, 3, 32, 32)
    assert pixels.mean((0, 2, 3)).abs().max() < 0.05
    assert (pixels.std((0, 2, 3)) - 1).abs().max() < 0.05
