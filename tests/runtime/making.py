"""Jobs whose models are saved and recorded as a training job does it, but have random weights.

Heads are scaled and shifted on examples, so that confidences and answers spread.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from cascade_exp.data.examples import Choice, Examples
from cascade_exp.data.images import ImageDataModule
from cascade_exp.data.splitting import Splits
from cascade_exp.data.text import TextDataModule
from cascade_exp.data.tokenizing import build_tokenizer
from cascade_exp.models.complete import CompleteModel, build_model, save_model
from cascade_exp.models.inputs import ImageInput
from tests.small_jobs import BAD, GOOD, OTHER, sentences

CLASSES = ("a", "b", "c")
SIZES = {"selection": 60, "report": 90}


def model_of(
    name: str, member: dict, classes: tuple[str, ...], seed: int, examples: Examples
) -> CompleteModel:
    torch.manual_seed(seed)
    model = build_model(name, member, classes)
    model.network.eval()
    logits = recorded(model, examples)
    heads = [
        module
        for module in model.network.modules()
        if isinstance(module, torch.nn.Linear) and module.out_features in (1, len(classes))
    ]
    for exit, head in enumerate(heads):
        own = logits if logits.ndim == 2 else logits[:, exit]
        with torch.no_grad():
            scale = 1.5 / max(float((own - own.mean(axis=0)).std()), 1e-9)
            if head.out_features == len(classes):
                head.bias.copy_((head.bias - torch.from_numpy(own.mean(axis=0))) * scale)
            head.weight.mul_(scale)
    return model


def loader_of(model: CompleteModel, examples: Examples):
    splits = Splits(train=examples, validation=examples, selection=examples, report=examples)
    common = {"batch_size": 16, "workers": 0, "seed": 0}
    wanted = model.input
    if isinstance(wanted, ImageInput):
        values = asdict(wanted)
        return ImageDataModule(splits, augment="none", **values, **common).loader("report")
    return TextDataModule(
        splits,
        tokenizer=wanted.tokenizer,
        max_length=wanted.max_length,
        bucketed=True,
        cache_dir=None,
        **common,
    ).loader("report")


@torch.no_grad()
def recorded(model: CompleteModel, examples: Examples) -> np.ndarray:
    """The logits of a whole split, in its order, by the data modules of training jobs."""
    found: dict[int, np.ndarray] = {}
    for batch in loader_of(model, examples):
        logits = model.network(batch["inputs"]).numpy()
        found |= dict(zip(batch["id"].tolist(), logits, strict=True))
    return np.stack([found[i] for i in examples.ids.tolist()])


def write_job(folder: Path, models: list[CompleteModel], splits: dict[str, Examples]) -> None:
    """``<folder>/models`` and ``<folder>/recordings``, as ``train.py`` leaves them."""
    rows, exits = [], []
    for number, model in enumerate(models, start=1):
        save_model(model, folder / "models" / model.name)
        rows.append(f"{model.name},{number * 10}")
        for split, examples in splits.items():
            home = folder / "recordings" / split
            home.mkdir(parents=True, exist_ok=True)
            np.save(home / "labels.npy", examples.labels)
            np.save(home / "ids.npy", examples.ids)
            logits = recorded(model, examples)
            np.save(home / f"{model.name}.npy", logits)
            about = {
                "weights": str(folder / "models" / model.name),
                "input": {"kind": type(model.input).__name__, **asdict(model.input)},
                "classes": list(model.classes),
            }
            (home / f"{model.name}.json").write_text(json.dumps({"model": about}))
        if logits.ndim == 3:
            exits += [f"{model.name},{e + 1},{e + 1}" for e in range(logits.shape[1])]
    table = folder / "recordings" / "models.csv"
    table.write_text("\n".join(["name,layers", *rows, ""]))
    if exits:
        lines = ["name,exit,layers", *exits, ""]
        (folder / "recordings" / "exits.csv").write_text("\n".join(lines))


def images(size: int, seed: int) -> Examples:
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 256, (size, 12, 12, 1)).astype(np.uint8)
    return Examples(np.arange(size), rng.integers(0, 3, size), pictures)


def image_models() -> list[CompleteModel]:
    """Of three resolutions, one of them in colour: each reads the pictures in its own way."""
    sizes = {"small": (8, 1), "middle": (16, 3), "large": (12, 1)}
    return [
        model_of(
            name,
            {
                "family": "timm",
                "architecture": "test_resnet",
                "image_size": size,
                "in_chans": channels,
            },
            CLASSES,
            seed,
            images(60, 0),
        )
        for seed, (name, (size, channels)) in enumerate(sizes.items())
    ]


def texts(size: int, seed: int, pairs: bool = False) -> Examples:
    rows = sentences(size, seed)
    other = sentences(size, seed + 100)
    inputs = [(text, other[i][0] if pairs else None) for i, (text, _) in enumerate(rows)]
    return Examples(np.arange(size), np.array([label for _, label in rows]), inputs)


def questions(size: int, seed: int) -> Examples:
    rng = np.random.default_rng(seed)
    endings = [[text for text, _ in sentences(3, seed * 1000 + i)] for i in range(size)]
    rows = [Choice(f"the {GOOD[i % 3]}", tuple(three)) for i, three in enumerate(endings)]
    return Examples(np.arange(size), rng.integers(0, 3, size), rows)


def bert(layers: int) -> dict:
    return {
        "model_type": "bert",
        "hidden_size": 32,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "num_hidden_layers": layers,
        "initializer_range": 0.2,
    }


def tokenizer_in(folder: Path) -> Path:
    build_tokenizer([*GOOD, *BAD, *OTHER], max_length=64).save_pretrained(folder)
    return folder


def text_models(folder: Path, head: str = "classification") -> list[CompleteModel]:
    """Of one, two and three layers; the last one is cut at fewer tokens."""
    tokenizer = str(tokenizer_in(folder / "tokenizer"))
    classes = CLASSES if head == "multiple_choice" else ("bad", "good")
    examples = questions(60, 0) if head == "multiple_choice" else texts(60, 0)
    lengths = {"one": 24, "two": 24, "three": 9}
    return [
        model_of(
            name,
            {
                "family": "transformers",
                "config": bert(layers),
                "tokenizer": tokenizer,
                "max_length": length,
                "head": head,
            },
            classes,
            layers,
            examples,
        )
        for layers, (name, length) in enumerate(lengths.items(), start=1)
    ]


def exit_models(folder: Path) -> list[CompleteModel]:
    tokenizer = str(tokenizer_in(folder / "tokenizer"))
    return [
        model_of(
            method,
            {
                "family": "exits",
                "method": method,
                "config": bert(4),
                "tokenizer": tokenizer,
                "max_length": 24,
            },
            ("bad", "good"),
            seed,
            texts(60, 0),
        )
        for seed, method in enumerate(("deebert", "pabee", "fastbert"))
    ]
