"""Invitations in e-mails: what is to happen, when and where."""

import re
from collections.abc import Iterator
from typing import Final

_FOLD: Final = re.compile(r"\n[ \t]")
_ESCAPE: Final = re.compile(r"\\(.)")
_TIME: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\d(Z?))?")
_SHOWN: Final = {
    "SUMMARY": "Event",
    "DTSTART": "Start",
    "DTEND": "End",
    "DUE": "Due",
    "LOCATION": "Location",
    "ORGANIZER": "Organizer",
    "DESCRIPTION": "Description",
}
_ENTRIES: Final = {"VEVENT", "VTODO"}


def read_calendar(text: str) -> str:
    """Return the entries of a calendar, a property a line."""
    entries: list[str] = []
    lines: list[str] = []
    around: list[str] = []
    for name, parameters, value in _properties(text):
        if name == "BEGIN":
            around.append(value.upper())
        elif name == "END":
            if around:
                around.pop()
            if value.upper() in _ENTRIES and lines:
                entries.append("\n".join(lines))
                lines = []
        elif around and around[-1] in _ENTRIES and name in _SHOWN:
            shown = _shown(name, parameters, value)
            lines += [f"{_SHOWN[name]}: {shown}"] if shown else []
    return "\n\n".join(entries)


def _properties(text: str) -> Iterator[tuple[str, str, str]]:
    for line in _FOLD.sub("", text.replace("\r\n", "\n")).split("\n"):
        head, colon, value = _cut(line)
        if colon:
            name, _, parameters = head.partition(";")
            yield name.strip().upper(), parameters, value.strip()


def _cut(line: str) -> tuple[str, str, str]:
    """Cut a line at its first colon that is not within quotes."""
    quoted, start = 0, 0
    while (place := line.find(":", start)) >= 0:
        quoted += line.count('"', start, place)
        if quoted % 2 == 0:
            return line[:place], ":", line[place + 1 :]
        start = place + 1
    return line, "", ""


def _parameter(parameters: str, name: str) -> str:
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().upper() == name:
            return value.strip().strip('"')
    return ""


def _shown(name: str, parameters: str, value: str) -> str:
    if name == "ORGANIZER":
        address = value.partition(":")[2] if value.lower().startswith("mailto:") else value
        person = _parameter(parameters, "CN")
        return f"{person} <{address}>" if person and person != address else address
    time = _TIME.fullmatch(value)
    if name.startswith("D") and name != "DESCRIPTION" and time:
        year, month, day, hour, minute, utc = time.groups()
        zone = "UTC" if utc else _parameter(parameters, "TZID")
        return f"{year}-{month}-{day}" + (f" {hour}:{minute}{f' ({zone})' if zone else ''}" if hour else "")
    return _ESCAPE.sub(lambda escape: "\n" if escape.group(1) in "nN" else escape.group(1), value).strip()
