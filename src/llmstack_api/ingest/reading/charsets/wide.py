"""UTF-16 without a byte order mark: told by its NULs, or by the scripts that its pairs of bytes are in."""

from collections import Counter

_FEW = 0.01
_MANY = 0.8
_OTHERWISE = 0.8
_LEAST = 8
_LOOKED_AT = 8_192
_SOUND = (
    (0x09, 0x0D),
    (0x20, 0x7E),
    (0xA0, 0x24F),
    (0x0370, 0x06FF),
    (0x0E00, 0x0E7F),
    (0x2010, 0x203A),
    (0x3000, 0x30FF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xFF00, 0xFFEF),
)
"""Characters that texts are made of."""


def wide_encoding(sample: bytes) -> str | None:
    """Return `utf-16le` or `utf-16be` for bytes that are hardly anything else."""
    even, odd = sample[::2], sample[1::2]
    if not odd:
        return None
    if odd.count(0) > len(odd) * _MANY > 0 and even.count(0) < len(even) * _FEW:
        return "utf-16le"
    if even.count(0) > len(even) * _MANY > 0 and odd.count(0) < len(odd) * _FEW:
        return "utf-16be"
    if len(sample) < _LEAST:
        return None
    found = {name: _sense(sample, name) for name in ("utf-16le", "utf-16be")}
    best = max(found, key=lambda name: found[name])
    return best if found[best] > 1 - _FEW and min(found.values()) < _OTHERWISE else None


def _sense(sample: bytes, name: str) -> float:
    """Return the share of characters that texts are made of."""
    text = sample[:_LOOKED_AT].decode(name, "replace")
    sound = sum(
        count
        for mark, count in Counter(text).items()
        if any(first <= ord(mark) <= last for first, last in _SOUND)
    )
    return sound / len(text)
