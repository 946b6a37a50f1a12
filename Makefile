# What developers and CI run; `make check` is formatting, lint and types, `make test` all tests,
# `make quick` those that start no process, train nothing and run no whole job.
.PHONY: check test quick demo bench

check:
	uv run ruff format --check .
	uv run ruff check .
	uv run mypy

test:
	uv run pytest

quick:
	uv run pytest -m "not (slow or process or job or training)"

demo:
	uv run train.py

bench:
	@for file in benchmarks/*.py; do echo "== $$file"; uv run $$file || exit 1; done
