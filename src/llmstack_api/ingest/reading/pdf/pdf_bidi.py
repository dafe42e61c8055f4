"""Lines of Hebrew and Arabic: from the order in which they stand on the page to the order in which they are read."""

import re
import unicodedata
from bisect import bisect
from dataclasses import dataclass
from itertools import pairwise

_PRESENTATION = re.compile("[\ufb1d-\ufdfb\ufe70-\ufefc]")
_ALEFS = "\u0622\u0623\u0625\u0627\u0671"
_LAM = "\u0644"
_LEFT, _RIGHT, _NUMBER, _NEUTRAL = "L", "R", "N", " "
_NUMBER_JOINS = ".,:/+-"
_ARABIC_NUMBER_JOINS = ".,:/"
_TIE = 0.01
_BLANK = 0.18
_BLANK_AFTER_SEVERAL = 0.32
"""PDFium gives too little width to a glyph of several characters."""
_CLOSING = ".,;:!?،؛؟"
_BRACKETS = ("()", "[]", "{}")
_MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")


@dataclass(frozen=True, slots=True)
class Character:
    """A character that is drawn: its place, which all of one glyph share, and what it takes."""

    text: str
    place: float
    left: float
    right: float


@dataclass(slots=True)
class _Glyph:
    """What is drawn at one place: a letter, several in a ligature, and their marks."""

    letters: str
    left: float
    right: float
    marks: str = ""


def has_right_to_left(text: str) -> bool:
    """Whether some of it is read from right to left."""
    return not text.isascii() and any(
        unicodedata.bidirectional(character) in ("R", "AL") for character in text
    )


def leans_right(text: str) -> int:
    """Return how many letters more are read from right to left than from left to right."""
    kinds = [_kind(character) for character in text]
    return kinds.count(_RIGHT) - kinds.count(_LEFT)


def read_line(characters: list[Character], size: float, *, page_leans_right: bool) -> str:
    """Return the text of a line whose characters come in any order.

    `page_leans_right` settles what the line itself leaves open: from which side it is read as a whole.
    """
    glyphs = _with_blanks(_glyphs(characters), size)
    kinds = _kinds([glyph.letters for glyph in glyphs])
    if _is_from_right(glyphs, kinds, page_leans_right=page_leans_right):
        logical = _from_right(glyphs, kinds)
    else:
        logical: list[_Glyph] = []
        for start, end, right in _islands(kinds):
            piece = glyphs[start:end]
            logical += _from_right(piece, kinds[start:end]) if right else piece
    return normalise(_bracketed("".join(glyph.letters + glyph.marks for glyph in logical)))


def _is_from_right(glyphs: list[_Glyph], kinds: list[str], *, page_leans_right: bool) -> bool:
    """Judge by the side on which it closes, by the letters at both ends, or by what there is more of."""
    strong = [kind for kind in kinds if kind in (_LEFT, _RIGHT)]
    lean = strong.count(_RIGHT) - strong.count(_LEFT)
    closes_left, closes_right = (glyphs[end].letters[0] in _CLOSING for end in (0, -1))
    if closes_left != closes_right:
        return closes_left
    if strong and strong[0] == strong[-1]:
        return strong[0] == _RIGHT or lean > 0
    return page_leans_right or lean > 0


def normalise(text: str) -> str:
    """Replace the shapes of Hebrew and Arabic letters by the letters, marks in their order."""
    text = _PRESENTATION.sub(lambda match: unicodedata.normalize("NFKC", match.group()), text)
    return unicodedata.normalize("NFC", text)


def _bracketed(text: str) -> str:
    """Pair brackets that are not: some come as they look, some as they are meant."""
    for opening, closing in _BRACKETS:
        places = [place for place, character in enumerate(text) if character in (opening, closing)]
        depth = lowest = 0
        for place in places:
            depth += 1 if text[place] == opening else -1
            lowest = min(lowest, depth)
        if len(places) % 2 == 0 and (depth or lowest):
            characters = list(text)
            for number, place in enumerate(places):
                characters[place] = closing if number % 2 else opening
            text = "".join(characters)
    return text


def _kind(character: str) -> str:
    kind = unicodedata.bidirectional(character)
    if kind in ("R", "AL"):
        return _RIGHT
    if kind in ("EN", "AN"):
        return _NUMBER
    return _LEFT if kind == "L" else _NEUTRAL


def _glyphs(characters: list[Character]) -> list[_Glyph]:
    """Return the glyphs from left to right, each mark with the letter that it stands on."""
    groups: dict[int, list[int]] = {}
    for number, character in enumerate(characters):
        groups.setdefault(round(character.place / _TIE), []).append(number)
    glyphs: list[_Glyph] = []
    loose: list[Character] = []
    for _, numbers in sorted(groups.items()):
        group = [characters[number] for number in numbers]
        letters = [character.text for character in group if not unicodedata.combining(character.text[0])]
        if not letters:
            loose += group
            continue
        if len(letters) > 1 and not _is_in_reading_order(characters, numbers, letters):
            letters.reverse()
        left, right = min(character.left for character in group), max(character.right for character in group)
        marks = "".join(character.text for character in group if unicodedata.combining(character.text[0]))
        glyphs.append(_Glyph("".join(letters), left, right, marks))
    _put_marks(loose, [glyph for glyph in glyphs if not glyph.letters.isspace()])
    return glyphs


def _put_marks(marks: list[Character], glyphs: list[_Glyph]) -> None:
    """Put marks that are drawn for themselves to the glyph above or below which they are; glyphs go by place."""
    starts = [glyph.left for glyph in glyphs]
    for mark in marks:
        middle = (mark.left + mark.right) / 2
        after = bisect(starts, middle)
        near = glyphs[max(after - 1, 0) : after + 1]
        if near:
            min(
                near, key=lambda glyph: max(glyph.left - middle, middle - glyph.right, 0.0)
            ).marks += mark.text


def _is_in_reading_order(characters: list[Character], numbers: list[int], letters: list[str]) -> bool:
    """Judge the letters of a ligature by what they are, or by the way in which those around them go."""
    if len(letters) == 2 and _LAM in letters and (letters[0] in _ALEFS or letters[1] in _ALEFS):  # noqa: PLR2004 # a pair
        return letters[0] == _LAM
    if _kind(letters[0]) != _RIGHT:
        return True
    here = characters[numbers[0]].place
    for number, ahead in ((numbers[0] - 1, False), (numbers[-1] + 1, True)):
        if 0 <= number < len(characters) and not characters[number].text.isspace():
            return (characters[number].place < here) == ahead
    return True


def _with_blanks(glyphs: list[_Glyph], size: float) -> list[_Glyph]:
    """Put a blank into every gap between words."""
    spaced = glyphs[:1]
    for before, after in pairwise(glyphs):
        gap = after.left - before.right
        several = len(before.letters) + len(before.marks) > 1
        if (
            gap > size * (_BLANK_AFTER_SEVERAL if several else _BLANK)
            and not before.letters.isspace()
            and not after.letters.isspace()
        ):
            spaced.append(_Glyph(" ", before.right, after.left))
        spaced.append(after)
    return spaced


def _kinds(texts: list[str]) -> list[str]:
    """Tell letters and numbers, what belongs to a number with it."""
    kinds = [_kind(text[0]) for text in texts]
    arabic = any(unicodedata.bidirectional(text[0]) == "AL" for text in texts)
    joins = _ARABIC_NUMBER_JOINS if arabic else _NUMBER_JOINS
    for place in range(1, len(texts) - 1):
        if texts[place] in joins and kinds[place - 1] == kinds[place + 1] == _NUMBER:
            kinds[place] = _NUMBER
    if not arabic:
        for places in (range(1, len(texts)), range(len(texts) - 2, -1, -1)):
            for place in places:
                beside = kinds[place - places.step]
                if beside == _NUMBER and unicodedata.bidirectional(texts[place][0]) == "ET":
                    kinds[place] = _NUMBER
    return kinds


def _from_right(glyphs: list[_Glyph], kinds: list[str]) -> list[_Glyph]:
    """Turn all of it round, but for the words and numbers that are read from left to right."""
    logical: list[_Glyph] = []
    end = len(glyphs)
    while end > 0:
        start = end - 1
        if kinds[start] in (_LEFT, _NUMBER):
            start = _start_of_run(kinds, end)
            logical += glyphs[start:end]
        else:
            glyph = glyphs[start]
            logical.append(_Glyph(glyph.letters.translate(_MIRRORED), glyph.left, glyph.right, glyph.marks))
        end = start
    return logical


def _start_of_run(kinds: list[str], end: int) -> int:
    """Find where the run that ends here starts: words go on over blanks, numbers do not."""
    start = place = end - 1
    words = kinds[start] == _LEFT
    while place > 0 and kinds[place - 1] != _RIGHT:
        place -= 1
        if kinds[place] == _LEFT or (kinds[place] == _NUMBER and (words or place == start - 1)):
            words = words or kinds[place] == _LEFT
            start = place
        elif kinds[place] == _NUMBER:
            break
    return start


def _islands(kinds: list[str]) -> list[tuple[int, int, bool]]:
    """Cut a line that is read from left to right at the words that are not."""
    pieces: list[tuple[int, int, bool]] = []
    place = 0
    while place < len(kinds):
        right = kinds[place] == _RIGHT
        end = place + 1
        if right:
            after = end
            while after < len(kinds) and kinds[after] != _LEFT:
                after += 1
                if kinds[after - 1] == _RIGHT:
                    end = after
        else:
            while end < len(kinds) and kinds[end] != _RIGHT:
                end += 1
        pieces.append((place, end, right))
        place = end
    return pieces
