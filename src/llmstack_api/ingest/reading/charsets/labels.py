"""Names of encodings: what files, senders and users call them, what answers call them, and Python's codec for each.

Labels mean what the web's Encoding Standard says (`latin1` is windows-1252, `gb2312` is GBK), and where that knows
none, what Python says. Codecs that are no encodings of text, and UTF-7, by which text can hide, have no label.
"""

import re
from codecs import lookup
from dataclasses import dataclass
from typing import Final

MAX_LABEL: Final = 40

_SHAPE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]*")


@dataclass(frozen=True, slots=True)
class Label:
    """An encoding that has been named."""

    name: str
    """As answers show it."""
    codec: str
    """As Python knows it."""


_NAMES: Final = {
    "utf-8": "utf_8",
    "utf-16le": "utf_16_le",
    "utf-16be": "utf_16_be",
    "utf-32le": "utf_32_le",
    "utf-32be": "utf_32_be",
    "windows-1252": "cp1252",
    "windows-874": "cp874",
    **{f"windows-{page}": f"cp{page}" for page in (1250, 1251, 1253, 1254, 1255, 1256, 1257, 1258)},
    **{f"iso-8859-{part}": f"iso8859_{part}" for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    "koi8-r": "koi8_r",
    "koi8-u": "koi8_u",
    "koi8-t": "koi8_t",
    "kz-1048": "kz1048",
    "ptcp154": "ptcp154",
    "macintosh": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic",
    "x-mac-ce": "mac_latin2",
    "x-mac-croatian": "mac_croatian",
    "x-mac-greek": "mac_greek",
    "x-mac-icelandic": "mac_iceland",
    "x-mac-romanian": "mac_romanian",
    "x-mac-turkish": "mac_turkish",
    **{
        f"cp{page}": f"cp{page}"
        for page in (
            *(437, 720, 737, 775, 850, 852, 855, 856, 857, 858, 860, 861, 862, 863, 864, 865, 866, 869),
            *("037", 273, 424, 500, 875, 1006, 1026, 1125, 1140),
        )
    },
    "hp-roman8": "hp_roman8",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "hz-gb-2312": "hz",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc-jp": "euc_jp",
    "iso-2022-jp": "iso2022_jp_2",
    "euc-kr": "cp949",
    "iso-2022-kr": "iso2022_kr",
    "johab": "johab",
}
_OF_CODEC: Final = {
    **{codec: name for name, codec in reversed(_NAMES.items())},
    "ascii": "windows-1252",
    "iso8859_1": "windows-1252",
    "iso8859_9": "windows-1254",
    "iso8859_11": "windows-874",
    "tis_620": "windows-874",
    "gb2312": "gbk",
    "gbk": "gbk",
    "gb18030": "gb18030",
    "big5": "big5",
    "cp950": "big5",
    "shift_jis": "shift_jis",
    "shift_jis_2004": "shift_jis",
    "shift_jisx0213": "shift_jis",
    "euc_kr": "euc-kr",
    "euc_jis_2004": "euc-jp",
    "euc_jisx0213": "euc-jp",
    "iso2022_jp": "iso-2022-jp",
    "iso2022_jp_1": "iso-2022-jp",
    "iso2022_jp_3": "iso-2022-jp",
    "iso2022_jp_2004": "iso-2022-jp",
    "iso2022_jp_ext": "iso-2022-jp",
    "utf_8_sig": "utf-8",
    "utf_16": "utf-16le",
    "utf_32": "utf-32le",
}
"""Names by codec; the web reads a smaller set of characters by the larger one that holds it."""
_ALIASES: Final = {
    "ansi": "windows-1252",
    "cn-big5": "big5",
    "cn-gb": "gbk",
    "csiso88596e": "iso-8859-6",
    "dos-862": "cp862",
    "dos-866": "cp866",
    "iso-8859-6-e": "iso-8859-6",
    "iso-8859-6-i": "iso-8859-6",
    "iso-8859-8-e": "iso-8859-8",
    "iso-8859-8-i": "iso-8859-8",
    "logical": "iso-8859-8",
    "visual": "iso-8859-8",
    "koi": "koi8-r",
    "koi8": "koi8-r",
    "koi8-ru": "koi8-u",
    "ks_c_5601-1989": "euc-kr",
    "ksc5601": "euc-kr",
    "ksc_5601": "euc-kr",
    "mac": "macintosh",
    "ms_kanji": "shift_jis",
    "sjis": "shift_jis",
    "x-euc-jp": "euc-jp",
    "x-gbk": "gbk",
    "x-mac-roman": "macintosh",
    "x-mac-ukrainian": "x-mac-cyrillic",
    "x-sjis": "shift_jis",
    "x-x-big5": "big5",
    "unicode": "utf-16le",
    "ucs-2": "utf-16le",
    "iso-10646-ucs-2": "utf-16le",
    "csunicode": "utf-16le",
    "unicodefeff": "utf-16le",
    "unicodefffe": "utf-16be",
    **dict.fromkeys(("unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "x-unicode20utf8"), "utf-8"),
    **dict.fromkeys(("csgb2312", "gb_2312", "gb_2312-80"), "gbk"),
    **dict.fromkeys(("cseuckr", "csksc56011987", "iso-ir-149", "windows-949"), "euc-kr"),
    "windows-31j": "shift_jis",
    "cseucpkdfmtjapanese": "euc-jp",
    "csisolatin9": "iso-8859-15",
    "csiso88596i": "iso-8859-6",
    "csiso88598e": "iso-8859-8",
    "csiso88598i": "iso-8859-8",
    "sun_eu_greek": "iso-8859-7",
    "csmacintosh": "macintosh",
    "dos-874": "windows-874",
}
_SHORT: Final = (
    (re.compile(r"iso_?8859_?(\d+)"), r"iso-8859-\1"),
    (re.compile(r"x-cp(125\d)"), r"windows-\1"),
)
"""Spellings that neither the table nor Python has."""


def find_label(text: str) -> Label | None:
    """Return the encoding that a label names; None if there is no such encoding of text."""
    label = text.strip().lower()
    if len(label) > MAX_LABEL or not _SHAPE.fullmatch(label):
        return None
    for pattern, usual in _SHORT:
        label = pattern.sub(usual, label) if pattern.fullmatch(label) else label
    name = label if label in _NAMES else _ALIASES.get(label)
    if name is None:
        try:
            name = _OF_CODEC.get(lookup(label).name.replace("-", "_"))
        except LookupError:
            return None
    return Label(name, _NAMES[name]) if name else None
