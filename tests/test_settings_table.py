from pathlib import Path

from llmstack_api.settings import Settings
from tests.settings_table import render

DOCUMENT = Path(__file__).parents[1] / "docs" / "settings.md"


def test_the_table_of_settings_is_up_to_date() -> None:
    assert DOCUMENT.read_text() == render(), "run: python -m tests.settings_table > docs/settings.md"


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
