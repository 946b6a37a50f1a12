"""W&B's custom charts: which there are, of which numbers."""

from __future__ import annotations

from dataclasses import replace

from cascade_exp.report.tracking.charts import charts


def test_a_chart_without_points_is_left_out(results):
    every = charts(results, None)
    assert set(every) == {"charts/front", "charts/improvement"}
    lowest = min(min(row.score, row.report_score) for row in results.frontier)
    beaten = {role: [(lowest / 3, 1.0), (lowest / 2, 2.0)] for role in results.baseline}
    above = charts(replace(results, baseline=beaten), None)  # no single model scores as high
    assert set(above) == {"charts/front"}
