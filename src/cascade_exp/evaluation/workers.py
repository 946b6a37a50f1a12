"""Running the parts of a search in worker processes, on this machine or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module

from cascade_exp.cascade.search.shards import Shard, ShardFront
from cascade_exp.errors import CascadeError

BACKENDS = {"loky": "generator_unordered", "ray": "list"}
"""How each gives back what its workers found: as they finish, or all at the end."""


def run_shards(shards: Sequence[Shard], workers: int, backend: str) -> Iterator[ShardFront]:
    """What each part found, in any order, from ``workers`` processes of joblib's ``backend``.

    Recordings that are memory-mapped stay so in workers of this machine; to those of another one
    they are sent.

    Raises:
        CascadeError: for ``ray`` where Ray is not installed.
    """
    from joblib import Parallel, delayed, parallel_config

    if backend == "ray":
        try:
            ray = import_module("ray.util.joblib")
        except ImportError:
            raise CascadeError(
                "search.backend=ray: Ray is not installed; `uv sync --extra ray`"
            ) from None
        ray.register_ray()
    with parallel_config(backend=backend, n_jobs=workers):
        yield from Parallel(return_as=BACKENDS[backend])(
            delayed(Shard.front)(shard) for shard in shards
        )
