"""The benchmark: ours, PostGraphile, a hand-written endpoint and stock Strawberry on one database, in one run.

`python -m tests.bench --help`; `docs/benchmark.md` says how it is measured.
"""
