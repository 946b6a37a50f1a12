"""Where the classes lie after some layers: t-SNE of a job's models (CascadeBERT, Fig. 4).

``train.py representations.layer=2`` draws them at the end of the job, ``tools.representations`` for
a job that is done. A job is a training job over
texts. Its models, complete or with exits, are cut open after the same layer, each with the accuracy
of its answer there. Leaves ``representations.csv`` and ``representations.png`` in the job's
``results/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import MISSING, OmegaConf

from cascade_exp.atomic import write_text
from cascade_exp.cascade.stages import Floats
from cascade_exp.data import load_source
from cascade_exp.data.examples import Examples, Source
from cascade_exp.data.splitting import carve
from cascade_exp.errors import CascadeError, choice
from cascade_exp.jobs.job import Job
from cascade_exp.learning.feeding import saved_texts
from cascade_exp.models.complete import CompleteModel, load_model
from cascade_exp.models.representations import first_token_states
from cascade_exp.report.figures.representations import Projection, write_representations_figure
from cascade_exp.schema.training import Representations
from cascade_exp.tables import csv_table


@dataclass
class Options:
    """The ``key=value`` arguments of the command.

    Attributes:
        run: the folder of a training job.
        layer: after how many layers the models are cut open.
        models: their names; null = all that have so many layers.
        split: one of the recorded splits.
        examples: the most examples drawn, of all classes as they come.
        perplexity: t-SNE's, about how many neighbours an example has.
        seed: of the draw and of t-SNE.
        batch_size: texts in a batch.
    """

    run: str = MISSING
    layer: int = 2
    models: Any = None
    split: str = "report"
    examples: int = 1000
    perplexity: float = 30.0
    seed: int = 0
    batch_size: int = 32


def project(options: Options) -> list[Projection]:
    """The projections by model, in the order of their layers; written beside the job's results.

    Raises:
        CascadeError: if the run is no training job over texts, or a model or layer is not there.
    """
    run = Path(options.run)
    source, splits = _data(run)
    part = choice(options.split, ("selection", "report"), "split")
    given = splits[part]
    rng = np.random.default_rng(options.seed)
    drawn = np.sort(rng.permutation(len(given))[: options.examples])
    if not 1 <= options.perplexity < len(drawn):
        raise CascadeError(
            f"perplexity={options.perplexity}: expected from 1 to below the number of examples, "
            f"{len(drawn)}"
        )
    found = []
    for model in _models(run, options):
        logits = np.load(run / "recordings" / part / f"{model.name}.npy", allow_pickle=False)
        found.append(_projection(options, model, given.take(drawn), logits[drawn]))
    results = run / "results"
    write_text(results / "representations.csv", _table(found, given.ids[drawn], source))
    title = f"t-SNE of the first token after layer {options.layer}, {part}"
    write_representations_figure(found, source.classes, title, results / "representations.png")
    return found


def check_representations(
    wanted: Representations, layers: Mapping[str, int], source: Source
) -> None:
    """Refuse what :func:`project` could not draw, before anything is trained.

    Args:
        layers: of every model of the job.

    Raises:
        CascadeError: naming the key.
    """
    if wanted.layer is None:
        return
    if source.kind != "text":
        raise CascadeError(
            f"representations.layer={wanted.layer}: data {source.name} holds no texts, "
            f"but {source.kind}s"
        )
    names = [choice(name, layers, "representations.models") for name in wanted.models or layers]
    shallow = [name for name in names if layers[name] < wanted.layer]
    if wanted.layer < 1 or len(shallow) == len(names) or (wanted.models and shallow):
        raise CascadeError(
            f"representations.layer={wanted.layer}: expected 1 to the layers of "
            f"{', '.join(f'{name} ({layers[name]})' for name in names)}"
        )


def show_representations(job: Job, wanted: Representations) -> None:
    """Draw them for a training job that has recorded its models, and say where they lie."""
    assert wanted.layer is not None
    size = len(np.load(job.folder / "recordings" / "report" / "labels.npy", allow_pickle=False))
    drawn = min(size, wanted.examples)
    with job.console.status(f"t-SNE of the states after layer {wanted.layer}"):
        project(
            Options(
                run=str(job.folder),
                layer=wanted.layer,
                models=wanted.models,
                examples=drawn,
                perplexity=min(Options.perplexity, max(1.0, (drawn - 1) / 3)),
                seed=job.settings.seed,
            )
        )
    picture = job.folder / "results" / "representations.png"
    if job.loggers.wandb is not None:
        from cascade_exp.report.tracking.board import log_picture

        log_picture(job.loggers.wandb, picture)
    job.console.print(f"t-SNE   {picture}", highlight=False, soft_wrap=True)


def _data(run: Path) -> tuple[Source, dict[str, Examples]]:
    path = run / "config.yaml"
    if not (run / "models").is_dir() or not path.is_file():
        raise CascadeError(f"run={run}: expected a training job, with config.yaml and models/")
    data: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=True)["data"]  # type: ignore[index,call-overload]
    source = load_source(data)
    if source.kind != "text":
        raise CascadeError(f"run={run}: data={data['name']} holds no texts, but {source.kind}s")
    keys = ("selection", "validation_share", "selection_share", "limit_train", "seed")
    splits = carve(source, **{key: data[key] for key in keys})
    return source, {"selection": splits.selection, "report": splits.report}


def _models(run: Path, options: Options) -> list[CompleteModel]:
    """The models that were named, else all that have so many layers, by their number of layers."""
    there = {path.name: path for path in sorted((run / "models").iterdir())}
    given = [options.models] if isinstance(options.models, str) else options.models
    names = [choice(str(name), there, "models") for name in given] if given else list(there)
    models = [load_model(there[name]) for name in names]
    found = models if given else [m for m in models if m.layers >= options.layer]
    if not found:
        raise CascadeError(f"layer={options.layer}: no model of {run} has so many layers")
    return sorted(found, key=lambda model: model.layers)


def _projection(
    options: Options, model: CompleteModel, examples: Examples, logits: Floats
) -> Projection:
    import torch
    from sklearn.manifold import TSNE

    place = {int(i): at for at, i in enumerate(examples.ids)}
    states: Floats | None = None
    with torch.no_grad():
        for batch in saved_texts(model, examples, options.batch_size).loader("report"):
            found = first_token_states(model, batch["inputs"], options.layer).double().numpy()
            if states is None:
                states = np.empty((len(examples), found.shape[1]))
            states[[place[int(i)] for i in batch["id"]]] = found
    assert states is not None
    tsne = TSNE(perplexity=options.perplexity, random_state=options.seed, init="pca")
    exits = logits.ndim == 3
    answered = logits[:, options.layer - 1] if exits else logits
    return Projection(
        model=model.name,
        points=tsne.fit_transform(states),
        labels=examples.labels,
        accuracy=float((answered.argmax(axis=1) == examples.labels).mean()),
        answer=f"its exit {options.layer}" if exits else f"all its {model.layers} layers",
    )


def _table(found: list[Projection], ids: np.ndarray[Any, Any], source: Source) -> str:
    return csv_table(
        ["model", "id", "label", "x", "y"],
        (
            [one.model, int(i), source.classes[label], float(x), float(y)]
            for one in found
            for i, label, (x, y) in zip(ids, one.labels, one.points, strict=True)
        ),
    )
