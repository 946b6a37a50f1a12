"""Every registered metric, with settings where it needs some: new metrics are tested unasked."""

import inspect

from cascade_exp.cascade.confidence import METRICS, Metric, make_metric

SETTINGS = {"k": 2}  # by parameter; a new metric with a setting of its own adds a value here


def metric_called(name: str, **settings: object) -> Metric:
    """A metric with those of ``settings`` (or :data:`SETTINGS`) that it takes."""
    taken = list(inspect.signature(METRICS[name].function).parameters)[1:]
    bound = make_metric(name, **{key: {**SETTINGS, **settings}[key] for key in taken})
    assert isinstance(bound, Metric)
    return bound


def every_metric(**settings: object) -> list[Metric]:
    """All metrics, as :func:`metric_called` binds them."""
    return [metric_called(name, **settings) for name in METRICS]
