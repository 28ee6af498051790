"""The long runs: `python -m pytest -p tests.full --full tests/security/test_bleed.py`."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the tests under chance at their full length")


def is_full(config: pytest.Config) -> bool:
    """Whether the long run was asked for."""
    return bool(config.getoption("--full", default=False))
