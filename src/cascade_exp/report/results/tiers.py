"""A cascade of tiers on disk: ``tiers.csv``, ``latency.csv`` and three analyses.

``tiers.csv`` is CoE's Table 2, ``analyses/wrong_agreements.csv`` its Table 3,
``analyses/exits_by_threshold.csv`` its Fig. 7 and ``analyses/parallel.csv`` its Fig. 8 (Kolawole et
al. 2024). Pictures of the same live in ``figures.tiers``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cascade_exp.atomic import write_text
from cascade_exp.report.results.tiers_schema import (
    LatencyRow,
    TierAnalyses,
    TierRow,
    WrongAgreement,
)
from cascade_exp.tables import csv_dataclasses, csv_table, write_dataclasses

TIERS = "tiers.csv"
LATENCY = "latency.csv"
ANALYSES = ("exits_by_threshold", "wrong_agreements", "parallel")


def write_tiers(analyses: TierAnalyses | None, folder: Path) -> None:
    """Write the tables below ``folder`` (a job's ``results/``).

    What these results do not have is removed if an earlier evaluation left it there.
    """
    tables = {} if analyses is None else _tables(analyses)
    for name in (TIERS, *(f"analyses/{table}.csv" for table in ANALYSES)):
        if name in tables:
            write_text(folder / name, tables[name])
        else:
            (folder / name).unlink(missing_ok=True)


def write_latencies(rows: Sequence[LatencyRow], folder: Path) -> None:
    """Write ``latency.csv`` below ``folder``; without rows, remove an earlier one."""
    write_dataclasses(folder / LATENCY, LatencyRow, rows)


def _tables(found: TierAnalyses) -> dict[str, str]:
    tables = {TIERS: csv_dataclasses(TierRow, found.rows)}
    if found.thresholds:
        tables["analyses/exits_by_threshold.csv"] = csv_table(
            ["threshold", "stage", "examples", "wrong", "wrong_at_last_too"],
            [
                [at.threshold, stage, *counts]
                for at in found.thresholds
                for stage, *counts in zip(
                    found.stages, at.examples, at.wrong, at.wrong_at_last_too, strict=True
                )
            ],
        )
        tables["analyses/parallel.csv"] = csv_table(
            ["threshold", "score", "sequential_cost", "parallel_cost"],
            [
                [at.threshold, at.score, at.sequential_cost, at.parallel_cost]
                for at in found.thresholds
            ],
        )
    if found.agreements:
        tables["analyses/wrong_agreements.csv"] = csv_dataclasses(WrongAgreement, found.agreements)
    return tables
