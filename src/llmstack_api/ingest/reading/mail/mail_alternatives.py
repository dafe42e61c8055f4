"""Which of the alternatives of an e-mail says what it has to say."""

import re
from typing import Final

_WORD: Final = re.compile(
    r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]|[^\W_\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]+"
)
"""A word, or a character of a script that sets no blanks between words."""
_SAID: Final = 0.75
"""Share of the words of the HTML part that a full plain part has; invisible lines and buttons are the rest."""
_MUCH_LONGER: Final = 4


def is_stub(plain: str, html: str) -> bool:
    """Whether the plain part leaves out what the text of the HTML part says.

    It may ask for a program that shows HTML, name an address to read on, or hold the beginning only. A plain
    part that is much longer is no stub, whatever the HTML part says.
    """
    shown, said = _words(html), _words(plain)
    if not shown or len(said) > _MUCH_LONGER * len(shown):
        return False
    return len(shown & said) < _SAID * len(shown)


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))
