"""Training throughput: length-bucketed batches against batches padded to 128 tokens.

    uv run benchmarks/training.py [data.root=path/to/glue] [steps=30]

Without ``data.root`` the texts are generated with SST-2's distribution of lengths out of the closed
vocabulary of ``synthetic_text``. Both train the same BERT-shaped model (2 layers, hidden 128)
through the project's own data module and LightningModule, in turns, in one process; the figure
is the ratio of examples per second.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf

from cascade_exp.data import load_source
from cascade_exp.data.examples import Source, source_of
from cascade_exp.data.sources.synthetic_text import vocabulary
from cascade_exp.data.splitting import carve
from cascade_exp.data.text import TextDataModule
from cascade_exp.data.tokenizing import build_tokenizer
from cascade_exp.learning.classifier import Classifier
from cascade_exp.models.complete import build_model
from cascade_exp.schema.training import Optimizer

BATCH, LENGTH, ROUNDS = 32, 128, 3


def generated(size: int = 20_000) -> Source:
    """Texts of log-normal length, median 9 words as in SST-2's training phrases."""
    rng = np.random.default_rng(0)
    words = np.array(vocabulary())
    lengths = np.clip(rng.lognormal(2.1, 0.7, size).astype(int), 1, 60)
    rows = [(" ".join(rng.choice(words, n)), None) for n in lengths]
    labels = rng.integers(0, 2, size)
    return source_of("generated", "text", ("0", "1"), (labels, rows))


def examples_per_second(data: TextDataModule, tokenizer: Any, steps: int) -> float:
    """Forward, backward and optimiser step on ``steps`` batches of the training loader."""
    torch.manual_seed(0)
    config = {
        "model_type": "bert",
        "num_hidden_layers": 2,
        "hidden_size": 128,
        "num_attention_heads": 2,
        "intermediate_size": 512,
        "vocab_size": len(tokenizer),
    }
    model = build_model("bert", {"family": "transformers", "config": config}, ("0", "1"))
    module = Classifier(
        model.network, 2, Optimizer("adamw", builds="torch.optim.AdamW", learning_rate=1e-4)
    )
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4)
    seen, start = 0, 0.0
    for number, batch in enumerate(data.train_dataloader()):
        if number == 2:  # the first steps warm up
            seen, start = 0, time.perf_counter()
        loss = torch.nn.functional.cross_entropy(module(batch["inputs"]), batch["label"])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seen += len(batch["label"])
        if number == steps + 1:
            break
    return seen / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    given = OmegaConf.merge({"data": {"root": None}, "steps": 30}, OmegaConf.from_cli())
    if given.data.root:
        from cascade_exp.data.tokenizing import load_tokenizer

        source = load_source({"source": "glue", "task": "sst2", "root": given.data.root})
        folder = Path(given.data.root).parents[1] / "models" / "bert_uncased_tokenizer"
        tokenizer = load_tokenizer(folder)
    else:
        source = generated()
        tokenizer = build_tokenizer(vocabulary())
    splits = carve(
        source,
        selection="report_half",
        validation_share=0.1,
        selection_share=0.1,
        limit_train=10_000,
        seed=0,
    )
    data = {
        name: TextDataModule(
            splits,
            tokenizer=tokenizer,
            max_length=LENGTH,
            batch_size=BATCH,
            bucketed=name == "bucketed",
            cache_dir=None,
            workers=0,
            seed=0,
        )
        for name in ("bucketed", "padded to 128")
    }
    rates: dict[str, list[float]] = {name: [] for name in data}
    for _ in range(ROUNDS):
        for name, module in data.items():
            rates[name].append(examples_per_second(module, tokenizer, given.steps))
    median = {name: statistics.median(found) for name, found in rates.items()}
    print(f"{source.name}: batches of {BATCH}, {torch.get_num_threads()} threads")
    for name, rate in median.items():
        print(f"{name:14} {rate:8.0f} examples/s")
    print(f"ratio          {median['bucketed'] / median['padded to 128']:8.2f}")


if __name__ == "__main__":
    main()
