"""Byte pair encoding from a vocabulary alone: the word pieces whose vectors come with the server.

The tokenizer that the vectors were trained with joins neighbours in an order that its file lists in 61,000 lines.
That order follows from the numbers of the pieces, so the list need not be in memory.
"""

from heapq import heapify, heappop, heappush
from typing import Final

BLANK: Final = "▁"
"""What pieces have in place of a blank."""

_FIRST_BYTE: Final = 3
"""Number of the piece for byte 0; characters that are not in the vocabulary become pieces for their bytes."""

_BYTES_END: Final = _FIRST_BYTE + 256
"""Number of the first piece that is made of characters; those before have names such as `<0x0A>`."""

_LATE: Final = 1 << 20
"""Added to the rank of runs of blanks, which are joined after everything else."""

_Join = tuple[int, int, int, int]
"""Two neighbours that can be joined: the rank of the result, their numbers, and the place of the left one."""


class WordPieces:
    """Cuts words as the tokenizer would."""

    def __init__(self, numbers: dict[str, int]) -> None:
        """`numbers` is the tokenizer's vocabulary."""
        self._numbers = numbers

    def cut(self, word: str) -> list[int]:
        """Return the numbers of a word's pieces, in n log n of its length."""
        numbers = self._numbers
        if (whole := numbers.get(word, 0)) >= _BYTES_END:
            return [whole]  # what joining would come to as well
        pieces: list[int] = []
        for part in self._parts(word):
            number = numbers.get(part)
            if number is None:
                pieces += [_FIRST_BYTE + byte for byte in part.encode()]
            else:
                pieces.append(number)
        return pieces

    def _parts(self, word: str) -> list[str]:
        numbers = self._numbers
        parts = list(word)
        joins: list[_Join] = []
        for place in range(len(word) - 1):
            pair = word[place : place + 2]
            if pair in numbers:
                joins.append((self._rank(pair), numbers[pair[0]], numbers[pair[1]], place))
        if not joins:
            return parts
        heapify(joins)
        self._join(parts, joins)
        return [part for part in parts if part]

    def _join(self, parts: list[str], joins: list[_Join]) -> None:
        """Join parts, the lowest rank first; what stood to the right is left empty."""
        numbers = self._numbers
        end = len(parts)
        following = list(range(1, end + 1))
        preceding = list(range(-1, end - 1))
        while joins:
            _, left, right, place = heappop(joins)
            other = following[place]
            # Either may have been joined with its other neighbour.
            if other == end or numbers.get(parts[place]) != left or numbers.get(parts[other]) != right:
                continue
            joined = parts[place] + parts[other]
            parts[place], parts[other] = joined, ""
            following[place] = after = following[other]
            if after < end:
                preceding[after] = place
                if (longer := joined + parts[after]) in numbers:
                    join = (self._rank(longer), numbers[joined], numbers[parts[after]], place)
                    heappush(joins, join)
            before = preceding[place]
            if before >= 0 and (longer := parts[before] + joined) in numbers:
                heappush(joins, (self._rank(longer), numbers[parts[before]], numbers[joined], before))

    def _rank(self, piece: str) -> int:
        # A blank at the end of a longer piece means that it has nothing else.
        return self._numbers[piece] + (_LATE if piece[-1] == BLANK else 0)
