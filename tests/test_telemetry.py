"""What a crash leaves in the log: where it happened, and nothing of what was at hand."""

from typing import Literal

import pytest
import structlog

from llmstack_api.settings import Settings
from llmstack_api.telemetry import configure_logging

SECRET = "lls_a-secret-in-a-local-variable"


def crash() -> None:
    secret = SECRET
    raise KeyError(len(secret))


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_traceback_in_the_log_holds_no_locals(
    sqlite_settings: Settings, capsys: pytest.CaptureFixture[str], log_format: Literal["console", "json"]
) -> None:
    configure_logging(sqlite_settings.model_copy(update={"log_format": log_format}))
    structlog.configure(cache_logger_on_first_use=False)
    try:
        crash()
    except KeyError:
        structlog.get_logger().exception("crashed")
    logged = capsys.readouterr().err

    assert "crash" in logged
    assert "KeyError" in logged
    assert SECRET not in logged
