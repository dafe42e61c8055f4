"""Measure how well old encodings are guessed: `python -m benchmarks.decoding TEXTS.json`.

TEXTS.json has paragraphs by language, `{"fr": ["...", ...], ...}`, of other texts than the guess was made with. Pieces
are cut from them at places that do not change, written in each encoding of their language, and read back. A piece is
right if every character is.
"""

import json
import random
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import process_time
from typing import Final

from llmstack_api.ingest.reading.charsets.decoding import decode
from llmstack_api.ingest.reading.source import Source

SIZES: Final = (40, 80, 160, 400, 4_000)
"""Bytes of a piece."""
PIECES: Final = 6
"""Of each size for each language and encoding."""
ENCODINGS: Final = {
    "cp1252 iso8859-15 cp850 cp437 mac-roman": "ca cy da de es eu fi fr ga gl is it nb nl no pt sq sv",
    "cp1250 iso8859-2 cp852": "cs hr hu pl ro sk sl sq",
    "cp1251 iso8859-5 mac-cyrillic": "be bg mk ru sr uk",
    "cp866 koi8-r": "bg ru",
    "koi8-u cp1125": "uk",
    "cp1253 iso8859-7": "el",
    "cp1254 cp857": "tr",
    "cp1255 iso8859-8": "he",
    "cp1256": "ar fa",
    "iso8859-6": "ar",
    "cp874": "th",
    "cp1257 iso8859-13 iso8859-4": "et lt lv",
    "gbk": "zh-hans",
    "big5": "zh-hant",
    "cp932 euc-jp iso2022_jp": "ja",
    "cp949": "ko",
}
_PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2018\u2019\u201a", "'"),
        **dict.fromkeys("\u2010\u2011\u2013\u2014", "-"),
        **dict.fromkeys("\u00a0\u200c\u200d\u202f", " "),
        **dict(
            zip("\u0218\u0219\u021a\u021b\u06cc\u06a9", "\u015e\u015f\u0162\u0163\u064a\u0643", strict=True)
        ),
    }
)
"""What was written before there were better characters."""


def main() -> None:
    """Print the share of right pieces by encoding and size."""
    texts: dict[str, list[str]] = json.loads(Path(sys.argv[1]).read_bytes())
    right: Counter[tuple[str, int]] = Counter()
    tried: Counter[tuple[str, int]] = Counter()
    began = process_time()
    for codecs, languages in ENCODINGS.items():
        for codec in codecs.split():
            for language in languages.split():
                for size, text in _pieces(texts.get(language, ()), codec):
                    is_right = decode(Source(text.encode(codec))).text == text
                    for name in (codec, "all"):
                        tried[name, size] += 1
                        right[name, size] += is_right
    print(f"{'':14}", *(f"{size:>7}" for size in SIZES))
    for name in dict.fromkeys(name for name, _ in tried):
        shares = (100 * right[name, size] / max(1, tried[name, size]) for size in SIZES)
        print(f"{name:14}", *(f"{share:7.1f}" for share in shares))
    print(f"{tried.total() // 2} pieces, {process_time() - began:.1f} s of CPU")


def _pieces(paragraphs: Sequence[str], codec: str) -> Iterator[tuple[int, str]]:
    """Cut pieces that the encoding can write and that are not plain ASCII in it."""
    usable = [text for written in paragraphs if (text := _writable(written, codec))]
    chance = random.Random(codec)  # noqa: S311 # the same pieces each time
    for size in SIZES if usable else ():
        for _ in range(PIECES):
            start = chance.randrange(len(usable))
            text = "\n".join((usable[start:] + usable[:start]) * 2)[:size]
            while len(text.encode(codec)) > size:
                text = text[:-1]
            if not text.encode(codec).isascii() or codec.startswith("iso2022"):
                yield size, text


def _writable(text: str, codec: str) -> str:
    for written in (text, unicodedata.normalize("NFC", text.translate(_PLAIN))):
        try:
            written.encode(codec)
        except UnicodeEncodeError:
            continue
        return written
    return ""


if __name__ == "__main__":
    main()
