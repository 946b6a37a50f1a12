"""One layout and one drawing: what is placed stays where it is, whatever is asked for later."""

import io

import matplotlib.image
import pytest

from cascade_exp.report.figures import layout, style


@pytest.fixture(params=[1, 3])
def figure(request):
    with style.house_style():
        made = style.new_figure(style.ALONE)
        grid = made.subplots(request.param, 2, sharex=True, squeeze=False)
        for axes in grid.flat:
            axes.plot([0, 1], [0, 12345], label="a line with a name")
            axes.set_title("panel")
            axes.set_ylabel("a quantity")
        for axes in grid[-1]:
            axes.set_xlabel("another")
        made.suptitle("a title over all of them", x=0.012, ha="left")
        style.legend_below(made, grid[0][0])
        yield made


def boxes(figure):
    renderer = figure.canvas.get_renderer()
    panels = [axes.get_tightbbox(renderer) for axes in figure.axes]
    return panels, figure.legends[0].get_window_extent(renderer)


def test_nothing_is_cut_or_lies_on_anything_else(figure):
    layout.settle(figure)
    panels, legend = boxes(figure)
    title = figure._suptitle.get_window_extent()
    for i, panel in enumerate(panels):
        assert panel.x0 >= 0 and panel.x1 <= figure.bbox.x1 and panel.y1 < title.y0
        assert not panel.overlaps(legend)
        assert not any(panel.overlaps(other) for other in panels[i + 1 :])
    assert legend.x0 >= 0 and legend.y0 >= 0 and legend.x1 <= figure.bbox.x1


def test_it_is_settled_once(figure):
    layout.settle(figure)
    before = [axes.get_position().bounds for axes in figure.axes]
    figure.axes[0].set_ylabel("three\nlines\nmore")
    layout.settle(figure)
    figure.canvas.draw()
    assert [axes.get_position().bounds for axes in figure.axes] == before


def test_bytes_are_what_savefig_writes(figure):
    found = matplotlib.image.imread(io.BytesIO(layout.png(figure)))
    saved = io.BytesIO()
    figure.savefig(saved, format="png", dpi=style.DPI)
    assert (found == matplotlib.image.imread(io.BytesIO(saved.getvalue()))).all()
    assert found.shape[:2] == (style.ALONE.height * style.DPI, style.ALONE.width * style.DPI)


@pytest.mark.parametrize("names", [1, 2, 5, 11])
def test_a_legend_takes_as_many_columns_as_fit(names):
    with style.house_style():
        figure = style.new_figure(style.NARROW)
        axes = figure.add_subplot()
        for i in range(names):
            axes.plot([0], [i], label="name" * (1 + i % 3))
        style.legend_below(figure, axes)
        legend = figure.legends[0]
        assert legend.get_window_extent().width <= figure.bbox.width * 0.98
        handles, labels = axes.get_legend_handles_labels()
        wider = figure.legend(handles, labels, ncols=legend._ncols + 1, loc="lower left")
        full = legend._ncols == names
        assert full or wider.get_window_extent().width > figure.bbox.width * 0.98
