"""What the first rule's operating point did to each reported example: ``per_example.npz``.

Two jobs can be compared on the same examples only by what each did to every one of them, wherever
their recordings are by then.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade_exp.atomic import write_bytes
from cascade_exp.cascade.stages import Floats, Ints
from cascade_exp.errors import CascadeError, one_line
from cascade_exp.recordings.arrays import Ids, load_members

PER_EXAMPLE = "per_example.npz"


@dataclass(frozen=True)
class PerExample:
    """One operating point on the N examples of the report split.

    Attributes:
        labels: int64 [N]. ids: [N], None where the recordings have none.
        statistics: int64 [N, S], the objective's summands. cost: float64 [N].
    """

    labels: Ints
    ids: Ids | None
    statistics: Ints
    cost: Floats


def write_per_example(found: PerExample | None, folder: Path) -> None:
    """Write the file into ``folder``, a job's ``results/``; with nothing, remove an earlier one."""
    path = folder / PER_EXAMPLE
    if found is None:
        path.unlink(missing_ok=True)
        return
    arrays: dict[str, NDArray[Any]] = {"labels": found.labels, "cost": found.cost}
    arrays |= {f"statistics_{s}": column for s, column in enumerate(found.statistics.T)}
    if found.ids is not None:
        arrays["ids"] = found.ids
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_bytes(path, buffer.getvalue())


def read_per_example(folder: Path, size: int) -> PerExample | None:
    """What ``folder``, a job's ``results/``, has of ``size`` examples; None without the file.

    Raises:
        CascadeError: if the file is damaged, or is of another number of examples.
    """
    path = folder / PER_EXAMPLE
    if not path.is_file():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
    except Exception as error:  # zipfile raises several kinds on damaged files
        raise CascadeError(f"{path}: {one_line(error)}") from None
    columns = sorted((n for n in names if n.startswith("statistics_")), key=lambda n: (len(n), n))
    needed = {"labels": "i", "cost": "f", **dict.fromkeys(columns or ["statistics_0"], "i")}
    found = load_members(path, needed, {"ids": "iU"}, size, "the operating point")
    return PerExample(
        labels=found["labels"],
        ids=found.get("ids"),
        statistics=np.stack([found[name] for name in columns], axis=1),
        cost=found["cost"],
    )
