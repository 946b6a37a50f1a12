"""One evaluation: kinds of cascade, pricing, operating points, analyses; no torch."""
