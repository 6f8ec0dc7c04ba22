"""What the services' tests share."""

from pathlib import Path

import pytest

from app.services.context import Context
from tests.app.services.ports import Harbour


@pytest.fixture
def harbour(ctx: Context, tmp_path: Path) -> Harbour:
    return Harbour(ctx, tmp_path / "logins")
