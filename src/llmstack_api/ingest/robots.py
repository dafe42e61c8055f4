"""robots.txt as RFC 9309 has it: what a site lets us fetch."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import quote

PRODUCT: Final = "llmstack-api"
"""Our product token: what a site names us by in its robots.txt."""

MAX_BYTES: Final = 524_288
"""Bytes of a robots.txt that are read; the rest counts as not written."""

_LINE_END: Final = re.compile(r"\r\n?|\n")
_TOKEN: Final = re.compile(r"[A-Za-z_-]+")
_ESCAPED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]")
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~/?:@!$&'()*+,;=\[\]#-]*")
_SAFE: Final = "/?:@!$&'()*+,;=%~[]#"


@dataclass(frozen=True)
class Rule:
    """One Allow or Disallow."""

    allow: bool
    pattern: str
    """Normalised: what is not ASCII percent-encoded, what need not be encoded plain."""

    @cached_property
    def _parts(self) -> tuple[list[str], bool]:
        anchored = self.pattern.endswith("$")
        return (self.pattern[:-1] if anchored else self.pattern).split("*"), anchored

    def matches(self, path: str) -> bool:
        """Tell whether the pattern fits a normalised path, from its start.

        No regular expression: one of many `.*` would try every way to share the path out among them.
        """
        (first, *others), anchored = self._parts
        if not path.startswith(first):
            return False
        at = len(first)
        last = others.pop() if anchored and others else None
        for part in others:
            found = path.find(part, at)
            if found < 0:
                return False
            at = found + len(part)
        if last is not None:
            return len(path) - len(last) >= at and path.endswith(last)
        return not anchored or at == len(path)


@dataclass(frozen=True, slots=True)
class Rules:
    """What one robots.txt says to us, longest pattern first, Allow before Disallow of one length."""

    rules: tuple[Rule, ...] = ()

    @property
    def size(self) -> int:
        """Characters of all patterns: what it takes to keep them."""
        return sum(len(rule.pattern) for rule in self.rules)

    def allows(self, path: str) -> bool:
        """Judge a path with its query: the longest pattern that fits decides, none means yes."""
        if path.partition("?")[0] == "/robots.txt":
            return True
        normal = _normal(path)
        return next((rule.allow for rule in self.rules if rule.matches(normal)), True)


def parse_robots(data: bytes, *, product: str = PRODUCT) -> Rules:
    """Read the groups of a product, or of `*` where none names it. Anything is a robots.txt."""
    ours: list[Rule] = []
    everyones: list[Rule] = []
    named = False
    agents: set[str] = set()
    in_rules = True
    for key, value in _records(data):
        if key == "user-agent":
            if in_rules:
                agents.clear()
                in_rules = False
            agents.add(_agent(value))
            named = named or product in agents
        else:
            in_rules = True
            if value.startswith(("/", "*")):
                rule = Rule(allow=key == "allow", pattern=_normal(value))
                if product in agents:
                    ours.append(rule)
                if "*" in agents:
                    everyones.append(rule)
    chosen = dict.fromkeys(ours if named else everyones)
    return Rules(tuple(sorted(chosen, key=lambda rule: (-len(rule.pattern), not rule.allow))))


def _records(data: bytes) -> Iterator[tuple[str, str]]:
    text = data[:MAX_BYTES].decode("utf-8", errors="replace").removeprefix("\ufeff")
    if len(data) > MAX_BYTES:
        # Half a line would be another rule than the one that was written.
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1]
    for line in _LINE_END.split(text):
        key, colon, value = line.partition("#")[0].partition(":")
        name = key.strip().lower()
        if colon and name in {"user-agent", "allow", "disallow"}:
            yield name, value.strip()


def _agent(value: str) -> str:
    if value == "*" or value[:2].rstrip() == "*":
        return "*"
    token = _TOKEN.match(value)
    return token[0].lower() if token else ""


def _normal(text: str) -> str:
    """Encode alike what may be written in several ways (RFC 9309, 2.2.2)."""
    if _PLAIN.fullmatch(text):
        return text
    return _ESCAPED.sub(_plain_or_upper, quote(text, safe=_SAFE))


def _plain_or_upper(escape: re.Match[str]) -> str:
    character = chr(int(escape[0][1:], 16))
    return character if _UNRESERVED.fullmatch(character) else escape[0].upper()
