"""What results say of an answer that was not given."""

import numpy as np

from cascade_exp.evaluation.analyses import analyse
from cascade_exp.evaluation.evaluation import evaluate_recordings
from cascade_exp.recordings.folder import open_recordings
from cascade_exp.report.findings import Findings
from cascade_exp.report.pages import view
from cascade_exp.report.pages.html import html_text
from tests.evaluating import settings_of, write_answers


def test_an_absent_answer_is_none_on_the_page_and_minus_one_in_the_table(tmp_path):
    size = 60
    labels = np.arange(size) % 3
    small = np.where(np.arange(size) < 10, -1, labels)  # the first ten have no answer …
    small[10:14] = (labels[10:14] + 1) % 3
    large = np.where(np.arange(size) % 20 == 1, -1, labels)
    confidence = np.linspace(0.9, 0.5, size)  # … and are confident all the same
    for split in ("selection", "report"):
        answers = {"small": (small, confidence), "large": (large, np.ones(size))}
        write_answers(tmp_path, {"small": 1.0, "large": 9.0}, split, labels, answers)
    asked = settings_of(
        "cost.column=macs", "metric=recorded", "answers.absent=wrong", "cascade=stages",
        "cascade.stages=[small,large]", "threshold.rules=[fixed]", "threshold.fixed=[0.6]",
    )  # fmt: skip
    found = evaluate_recordings(open_recordings(tmp_path, absent="wrong"), asked, {})
    point = view.chosen(found.results)
    analyses = analyse(found.measuring, found.searching, point)
    errors = {error.example: error for error in analyses.cascade.early_errors}
    assert sorted(errors) == list(range(14))
    for row, error in errors.items():
        assert error.answer == small[row] and error.last_answer == large[row]
    page = html_text(Findings(found.results, analyses), config_yaml="", command="")
    shown = page.split("Left early, and wrong")[1].split("</section>")[0]
    rows = shown.split("<tr>")[2:]
    assert sum('data-label="answered">no answer<' in row for row in rows) == 10
    assert sum("last stage's answer\">no answer" in row for row in rows) == 1
