"""A shop of its own for each test."""

from pathlib import Path

import pytest
from tests.deploy.popular import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)
