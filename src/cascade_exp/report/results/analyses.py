"""Analyses on disk: one CSV per table below ``results/analyses/``, long form, numbers as ``repr``.

An empty cell is what is not defined (the accuracy of no example). Pictures of the same tables live
in ``analysis_plots`` and ``comparison_plots``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from pathlib import Path

from cascade_exp.atomic import write_text
from cascade_exp.report.results.analyses_schema import (
    Analyses,
    CascadeAnalyses,
    Deferral,
    OracleRow,
)
from cascade_exp.tables import Cell, columns_of, csv_table

FOLDER = "analyses"

Table = tuple[Sequence[str], Sequence[Sequence[object]]]


def write_analyses(analyses: Analyses | None, folder: Path) -> list[Path]:
    """Write the tables below ``folder`` (a job's ``results/``); return the paths written.

    Each file is written atomically. Tables that these analyses do not have are removed if an
    earlier evaluation left them there; with None all are.
    """
    found = {} if analyses is None else tables(analyses)
    written = []
    for name in TABLES:
        path = folder / FOLDER / f"{name}.csv"
        if name in found:
            write_text(path, csv_table(*found[name]))
            written.append(path)
        else:
            path.unlink(missing_ok=True)
    return written


def tables(analyses: Analyses) -> dict[str, Table]:
    """The tables by name, each with its columns and rows; those that do not apply are missing."""
    found = _model_tables(analyses)
    if analyses.cascade is not None:
        found |= _cascade_tables(analyses.cascade)
    if analyses.reoptimised is not None:
        columns = columns_of(OracleRow)
        rows = [*map(attrgetter(*columns), analyses.reoptimised.rows)]
        found["reoptimised_frontier"] = (columns, rows)
    return found


TABLES = (
    "reliability_curve",
    "threshold_curve",
    "risk_coverage",
    "most_confident",
    "deferral",
    "agreement",
    "wrong_exits",
    "exits_by_class",
    "early_errors",
    "reoptimised_frontier",
)


def _model_tables(analyses: Analyses) -> dict[str, Table]:
    models = analyses.models
    return {
        "reliability_curve": (
            ("model", "confidence", "accuracy"),
            [
                (m.model, *point)
                for m in models
                for point in _points(m.reliability.confidence, m.reliability.accuracy)
            ],
        ),
        "threshold_curve": (
            ("model", "threshold", "below", "accuracy_below", "accuracy_above"),
            [
                (m.model, *point)
                for m in models
                for point in _points(
                    m.threshold.threshold,
                    m.threshold.below,
                    m.threshold.accuracy_below,
                    m.threshold.accuracy_above,
                )
            ],
        ),
        "risk_coverage": (
            ("model", "coverage", "risk", "aurc"),
            [
                (m.model, *point, m.risk_coverage.area)
                for m in models
                for point in _points(m.risk_coverage.coverage, m.risk_coverage.risk)
            ],
        ),
        "most_confident": (
            ("model", "share", "accuracy", "bound"),
            [
                (m.model, *point)
                for m in models
                for point in _points(
                    m.most_confident.share, m.most_confident.accuracy, m.most_confident.bound
                )
            ],
        ),
    }


def _cascade_tables(found: CascadeAnalyses) -> dict[str, Table]:
    exits = found.wrong_exits
    return {
        "deferral": (("curve", "threshold", "cost", "score"), _deferral_rows(found.deferral)),
        "agreement": (
            (
                *("first", "second", "both_right", "only_first", "only_second"),
                *("both_wrong", "same_wrong"),
            ),
            [
                (
                    *(pair.first, pair.second, pair.agreement.both_right),
                    *(pair.agreement.only_first, pair.agreement.only_second),
                    *(pair.agreement.both_wrong, pair.agreement.same_wrong),
                )
                for pair in found.agreements
            ],
        ),
        "wrong_exits": (
            ("stage", "left", "wrong", "wrong_at_last_too"),
            [
                (stage, *counts)
                for stage, counts in zip(
                    found.stages,
                    _points(exits.left, exits.wrong, exits.wrong_at_last_too),
                    strict=True,
                )
            ],
        ),
        "exits_by_class": (
            ("class", "name", "examples", "stage", "exit_rate"),
            [
                (one.label, one.name, one.examples, stage, rate)
                for one in found.exits_by_class
                for stage, rate in zip(found.stages, one.exit_rates, strict=True)
            ],
        ),
        "early_errors": (
            ("example", "stage", "confidence", "answer", "label", "last_answer"),
            [
                (e.example, found.stages[e.stage], e.confidence, e.answer, e.label, e.last_answer)
                for e in found.early_errors
            ],
        ),
    }


def _deferral_rows(found: Deferral) -> list[Sequence[Cell]]:
    """``curve`` is cascade, random, ideal, leave_iff_right or chosen; the last two are points."""
    rows: list[Sequence[Cell]] = []
    for name, curve in (("cascade", found.cascade), ("random", found.random)):
        rows += [(name, *point) for point in _points(found.threshold, curve.cost, curve.score)]
    if found.ideal is not None:
        rows += [("ideal", None, *point) for point in _points(found.ideal.cost, found.ideal.score)]
    if found.leave_iff_right is not None:
        rows.append(("leave_iff_right", None, *found.leave_iff_right))
    rows.append(("chosen", None, *found.chosen))
    return rows


def _points(*columns: Iterable[Cell]) -> list[tuple[Cell, ...]]:
    """Columns, numpy's or not, as rows of plain numbers."""
    listed = [column.tolist() if hasattr(column, "tolist") else list(column) for column in columns]
    return list(zip(*listed, strict=True))
