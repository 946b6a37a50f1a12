# What developers and CI run; `make check` is formatting, lint and types, `make test` all tests.
.PHONY: check test demo bench

check:
	uv run ruff format --check .
	uv run ruff check .
	uv run mypy

test:
	uv run pytest

demo:
	uv run train.py

bench:
	@for file in benchmarks/*.py; do echo "== $$file"; uv run $$file || exit 1; done
