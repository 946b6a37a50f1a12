"""BERT-of-Theseus: the student's layers take the place of the teacher's, more and more often."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cascade_exp.errors import CascadeError
from cascade_exp.learning.task_loss import Batch, Taught
from cascade_exp.models.complete import CompleteModel
from cascade_exp.models.truncation import layer_list
from cascade_exp.schema.training import Theseus


class ModuleReplacing:
    """Cross-entropy of a network mixed anew for every batch out of the teacher's layers and ours.

    Each student layer stands for L/M of the teacher's; which of the two runs is drawn layer by
    layer. The student begins as the teacher's first M layers under the teacher's own embeddings and
    head; those two and the teacher's layers stay as they are. Source: Xu et al. 2020
    (BERT-of-Theseus), §3 and the authors' code, with the rate's linear schedule, under which
    replacing and the fine-tuning of the student are one training.

    Raises:
        CascadeError: if the teacher's layers cannot be shared out evenly, or teacher and student
            are not of one kind and width.
    """

    def __init__(self, student: CompleteModel, teacher: CompleteModel, settings: Theseus) -> None:
        self.settings = settings
        ours, theirs = (_transformer(model) for model in (student, teacher))
        where = f"distillation=theseus: {student.name} under {teacher.name}"
        self.path = layer_list(where, theirs.base_model)
        self.share = _take_over(where, ours, theirs, self.path)
        layers = theirs.base_model.get_submodule(self.path)
        self.teacher_layers: nn.ModuleList = copy.deepcopy(layers).requires_grad_(False)
        self._check(where, student.network, teacher.network)

    def __call__(self, network: nn.Module, batch: Batch, done: float) -> Taught:
        """The mixed network's answers to a training batch, and their cross-entropy."""
        rate = self.settings.rate(done)
        self.teacher_layers.to(batch["label"].device).train()
        logits = self._mixed_logits(network, batch["inputs"], rate)
        loss = nn.functional.cross_entropy(logits.float(), batch["label"])
        # a layer that was left out has a gradient of zero, not none: there may be no other, and
        # ranks that drew differently wait for each other's
        absent = sum(p.sum() for p in network.parameters() if p.requires_grad)
        loss = loss + 0.0 * absent
        return Taught(logits, loss, {"replacing_rate": torch.tensor(rate)})

    def _mixed_logits(self, network: Any, inputs: Any, rate: float) -> Tensor:
        base = network.transformer.base_model
        ours = base.get_submodule(self.path)
        mixed: list[nn.Module] = []
        for i, layer in enumerate(ours):
            replaced = bool(torch.rand(()) < rate)
            theirs = self.teacher_layers[i * self.share : (i + 1) * self.share]
            mixed += [layer] if replaced else list(theirs)
        with _layers(base, self.path, nn.ModuleList(mixed)):
            logits: Tensor = network(inputs)
        return logits

    def _check(self, where: str, student: Any, teacher: Any) -> None:
        """The student with all of the teacher's layers in place must be the teacher."""
        vocabulary = teacher.transformer.config.vocab_size
        inputs = {"input_ids": torch.arange(8)[None] % vocabulary}
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        modes = student.training, teacher.training
        self.teacher_layers.eval()
        with torch.no_grad():
            found = self._mixed_logits(student.eval(), inputs, rate=0.0)
            expected = teacher.eval()(inputs)
        student.train(modes[0])
        teacher.train(modes[1])
        if not torch.allclose(found, expected, rtol=1e-4, atol=1e-5):
            kind = teacher.transformer.config.model_type
            raise CascadeError(
                f"{where}: a {kind} does not run whatever layers it is given, so none can take "
                "another's place"
            )


def _transformer(model: CompleteModel) -> Any:
    return model.network.transformer


@contextmanager
def _layers(base: nn.Module, path: str, layers: nn.ModuleList) -> Iterator[None]:
    """``base`` with ``layers`` in place of its own while the block runs."""
    parent_path, _, name = path.rpartition(".")
    parent = base.get_submodule(parent_path)
    own = getattr(parent, name)
    setattr(parent, name, layers)
    try:
        yield
    finally:
        setattr(parent, name, own)


def _take_over(where: str, student: Any, teacher: Any, path: str) -> int:
    """Give ``student`` the teacher's weights; only its layers continue to learn. Returns L/M."""
    deep, shallow = (int(t.config.num_hidden_layers) for t in (teacher, student))
    if deep % shallow or deep == shallow:
        raise CascadeError(
            f"{where}: {deep} layers cannot be shared out among {shallow}; expected a number of "
            f"layers that divides {deep} ({', '.join(map(str, _divisors(deep)))})"
        )
    prefix = f"{teacher.base_model_prefix}.{path}."
    kept = {
        key: tensor
        for key, tensor in teacher.state_dict().items()
        if not (key.startswith(prefix) and int(key[len(prefix) :].split(".")[0]) >= shallow)
    }
    own = student.state_dict()
    if kept.keys() != own.keys() or any(kept[k].shape != own[k].shape for k in kept):
        raise CascadeError(f"{where}: expected two of one kind, width and vocabulary")
    student.load_state_dict(kept)
    for key, parameter in student.named_parameters():
        parameter.requires_grad_(key.startswith(prefix))
    return deep // shallow


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, number) if number % n == 0]
