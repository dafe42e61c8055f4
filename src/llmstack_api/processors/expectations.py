"""What the form of a question says about its answer: a number, a time, a place, somebody, a certain name."""

import re
from collections.abc import Container
from typing import Final

from llmstack_api.processors.terms import STOP_WORDS, stem, terms, words

_NUMBER: Final = (
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty"
    r"|sixty|hundred|thousand|million|once|twice|half|dozen|none|nothing|free|never|always|every|no)\b"
)
_TIME: Final = (
    r"\b(?:after|until|till|before|during|while|as soon as|at once|morning|noon|afternoon|evening|night|midnight"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|march|april|may|june|july|august|september"
    r"|october|november|december|spring|summer|autumn|winter|holidays?|then)\b"
)
_PLACE: Final = (
    r"\b(?:in|at|on|under|beside|beneath|behind|near|next to|opposite|left|right|above|below|between|inside"
    r"|outside|from|to|into)\b|[/~]"
)
_COLOUR: Final = (
    r"\b(?:red|green|blue|yellow|white|black|orange|brown|gr[ae]y|pink|purple|violet|silver|gold)\b"
)
_HOW: Final = (
    "much|many|long|old|often|large|big|far|high|deep|heavy|wide|fast|soon|quickly|late|tall|hot|cold"
)
_MEASURES: Final = (
    "price|cost|fee|size|weight|temperature|age|height|length|speed|number|limit|maximum|longest|biggest|largest"
    "|smallest|version"
)
_KINDS: Final = tuple(
    (re.compile(asked), re.compile(answer))
    for asked, answer in (
        (r"\b(?:tele)?phone number\b", r"\+?\d[\d\s/().-]{5,}\d"),
        (r"\be-?mail address\b", "@"),
        (r"\bcolou?rs?\b", _COLOUR),
        (rf"\bhow (?:{_HOW})\b|\b(?:{_MEASURES})\b", _NUMBER),
        (r"\bwhen\b|\bwhat time\b|\b(?:which|what) (?:day|date|month|year)\b", f"{_NUMBER}|{_TIME}"),
        (r"\bwhere\b|\bwhich (?:address|place|folder|shelf|room)\b", _PLACE),
    )
)
"""How a question is put, and what its answer has then; the first that fits counts."""

_FORM: Final = re.compile(rf"\bhow (?:{_HOW})\b|\bwhat time\b", re.IGNORECASE)
_WHO: Final = re.compile(r"(?:by |to |from |with )?who(?:m|se)?\b(.*)", re.DOTALL)
_THERE: Final = re.compile(r"(?:is|are) there\b(.*)", re.DOTALL)
_SOMEBODY: Final = re.compile(
    r"\b(?:who(?:ever)?|everybody|everyone|somebody|someone|nobody|anybody|anyone|persons?|people|we|you|they|he|she"
    r"|members?|staff|team|author|users?|owner|guests?|children|adults?|us|ours?|your|its?)\b"
)
_NAME: Final = re.compile(r"(?<=[\w,;:)] )[A-Z][\w-]+")
_FEW: Final = 3
"""At most one word in so many is written like a name; where more are, it is the language's habit, or a title."""


class Expectation:
    """What a question expects."""

    def __init__(self, question: str) -> None:
        asked = question.strip().lower()
        self._answer = next((answer for kind, answer in _KINDS if kind.search(asked)), None)
        who = _WHO.match(asked)
        self._asked = set(words(question)) if who and self._answer is None else None
        self.focus = _first_term(who or _THERE.match(asked))
        """The term without which nothing answers: who *founded*, is there a *restaurant*; None where none is told."""

    def judge(self, text: str) -> int:
        """Return 1 where a text has what is expected, -1 where it has not, 0 where nothing is."""
        if self._answer is not None:
            return 1 if self._answer.search(text.lower()) else -1
        if self._asked is None:
            return 0
        found = [*_SOMEBODY.findall(text.lower()), *(name.lower() for name in _NAME.findall(text))]
        return 1 if any(name not in self._asked for name in found) else -1


def content_of(question: str) -> str:
    """Return a question without the words that only say what kind of answer is expected: how long, what time."""
    return _FORM.sub(" ", question)


def _first_term(match: re.Match[str] | None) -> str | None:
    rest = words(match[1]) if match else []
    return next((stem(word) for word in rest if word not in STOP_WORDS), None)


def names_of(question: str) -> list[list[str]]:
    """Return the terms of each name in a question: words in capitals or with digits, but for its first one."""
    said = question.split()
    names = [word for word in said[1:] if any(letter.isupper() or letter.isdecimal() for letter in word)]
    return [found for name in names if (found := terms(name))] if len(names) * _FEW <= len(said) else []


def lacks_name(question: str, known: Container[str]) -> bool:
    """Tell whether a question names what no passage speaks of."""
    return any(not any(term in known for term in name) for name in names_of(question))
