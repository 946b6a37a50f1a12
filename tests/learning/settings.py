"""Settings of the learning tests, with what each test does not care about filled in."""

from typing import Any

from cascade_exp.schema.training import Dar, Optimizer, Patient, Theseus, TrainerOptions, Vanilla


def optimizer(builds: str, learning_rate: float, **others: Any) -> Optimizer:
    return Optimizer("test", builds=builds, learning_rate=learning_rate, **others)


def trainer(epochs: int, **others: Any) -> TrainerOptions:
    quick = {"accelerator": "cpu", "devices": 1, "precision": "32-true"}
    return TrainerOptions("test", max_epochs=epochs, **{**quick, **others})


def dar(weight: float = 0.5, margin: float = 0.5, pairs: str = "all") -> Dar:
    return Dar("dar", folds=2, seeds=1, weight=weight, margin=margin, pairs=pairs)


def vanilla(alpha: float, temperature: float) -> Vanilla:
    return Vanilla("vanilla", alpha=alpha, temperature=temperature)


def patient(beta: float = 100.0, layers: str = "skip") -> Patient:
    return Patient("patient", alpha=0.5, temperature=5.0, beta=beta, layers=layers)


def theseus(base_rate: float, ramp: float) -> Theseus:
    return Theseus("theseus", base_rate=base_rate, ramp=ramp)
