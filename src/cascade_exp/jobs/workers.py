"""Running the parts of a search in worker processes, on this machine or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cascade_exp.cascade.search_shards import Shard, ShardFront
from cascade_exp.errors import CascadeError

BACKENDS = ("loky", "ray")


def run_shards(shards: Sequence[Shard], workers: int, backend: str) -> Iterator[ShardFront]:
    """What each part found, as they finish, from ``workers`` processes of joblib's ``backend``.

    Recordings that are memory-mapped stay so in workers of this machine; to those of another one
    they are sent.

    Raises:
        CascadeError: for ``ray`` where Ray is not installed.
    """
    from joblib import Parallel, delayed, parallel_config

    if backend == "ray":
        try:
            from ray.util.joblib import register_ray
        except ImportError:
            raise CascadeError(
                "search.backend=ray: Ray is not installed; `uv sync --extra ray`"
            ) from None
        register_ray()
    with parallel_config(backend=backend, n_jobs=workers):
        yield from Parallel(return_as="generator_unordered")(
            delayed(Shard.front)(shard) for shard in shards
        )
