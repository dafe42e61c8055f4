"""Text, Markdown, tables, JSON, pages and mail: what the readers make of content, whatever its encoding."""

import json
from email.message import EmailMessage
from itertools import pairwise
from typing import Any

import pytest

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading import json_stream
from llmstack_api.ingest.reading.dispatch import find_reader, read_small
from llmstack_api.ingest.reading.source import Source

GERMAN = "Die Größe der Straße überrascht viele Besucher, denn die Häuser stehen schräg. " * 3
ENCODINGS = {
    "utf-8-sig": GERMAN,
    "utf-16": GERMAN,
    "utf-16-le": GERMAN,
    "utf-16-be": GERMAN,
    "utf-32": GERMAN,
    "cp1252": "Das Menü kostet 12 € \u2013 „köstlich“, sagen die Gäste. Übermäßig süße Äpfel.",
    "latin-1": "Señor Núñez llegó mañana por la tarde a la estación de Logroño, cerca del río.",
    "cp1250": "Žluťoučký kůň úpěl ďábelské ódy. Příliš žluťoučký kůň šel ke dveřím a těšil se na večeři.",
    "cp1251": "Правила порта обязательны для всех судов, которые входят в гавань после захода солнца.",
    "koi8-r": "Правила порта обязательны для всех судов, которые входят в гавань после захода солнца.",
    "iso8859-7": "Οι κανόνες του λιμανιού ισχύουν όλη τη νύχτα μετά τη δύση του ήλιου.",  # noqa: RUF001 # Greek
    "shift_jis": "東京湾の潮汐表は毎月更新されます。船長は必ず確認してください。港の規則を守りましょう。",
    "euc-jp": "東京湾の潮汐表は毎月更新されます。船長は必ず確認してください。港の規則を守りましょう。",
    "gb18030": "所有船只必须在日落前登记。港口规则适用于每一位船长和船员\uff0c违反者将被罚款。",
    "big5": "所有船隻必須在日落前登記。港口規則適用於每一位船長和船員\uff0c違反者將被罰款。",
    "euc-kr": "모든 선박은 해가 지기 전에 등록해야 합니다. 항구 규칙은 모든 선장에게 적용됩니다.",
    "cp1256": "يجب على جميع السفن التسجيل قبل غروب الشمس. تنطبق قواعد الميناء على كل قبطان.",
}


def read(
    data: bytes | str, name: str | None = None, media: str | None = None, *, main_text: bool = False
) -> Document:
    raw = data.encode() if isinstance(data, str) else data
    return find_reader(Source(raw, name, media, main_text=main_text))()


def passages(document: Document) -> list[str]:
    starts = [*document.passages, len(document.text)]
    return [document.text[start:end].strip() for start, end in pairwise(starts)]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_text_is_decoded_whatever_its_encoding(encoding: str) -> None:
    assert read(ENCODINGS[encoding].encode(encoding), "notes.txt").text == ENCODINGS[encoding].strip()


def test_a_declared_charset_is_believed_where_the_bytes_allow_it() -> None:
    text = "Правила порта обязательны"
    assert read(text.encode("koi8-r"), "a.txt", "text/plain; charset=koi8-r").text == text
    page = f'<html><head><meta charset="windows-1251"></head><body><p>{text}</p></body></html>'
    assert read(page.encode("cp1251")).text == text
    assert read(text.encode(), "a.txt", "text/plain; charset=koi8-r").text == text


def test_what_is_no_text_never_gets_through() -> None:
    marked = "one\x00two\r\nthree\rfour\x0cfive\x07\ufffe\n\n\n\n\nsix   \n".encode()
    document = read(GERMAN.encode() * 2 + b"\xed\xa0\x80" + marked)
    assert not {"\x00", "\r", "\x07", "\ud800", "\ufffe"} & set(document.text)
    assert document.text.endswith("onetwo\nthree\nfour\nfive\n\nsix")


def test_utf8_cut_off_within_a_character_is_utf8_still() -> None:
    assert read(GERMAN.encode()[:-1] + "ü".encode()[:1], "a.txt").text.startswith("Die Größe der Straße")


@pytest.mark.parametrize("data", [b"", b" \n\t ", b"\xef\xbb\xbf", b"\x00\x00\x00\x00"])
def test_an_empty_file_is_refused(data: bytes) -> None:
    with pytest.raises(ExtractError) as caught:
        read(data, "a.txt")
    assert caught.value.code == "empty-file"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "no-text"),
        (b"\xff\xd8\xff\xe0" + bytes(64), "no-text"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "no-text"),
        (b"\x1f\x8b\x08\x00" + bytes(64), "unsupported-type"),
        (b"\x7fELF" + bytes(64), "unsupported-type"),
        (bytes(range(256)) * 40, "unsupported-type"),
        (b"PK\x05\x06" + bytes(18), "unsupported-type"),
    ],
)
def test_files_without_a_reader_are_refused_whatever_their_name(data: bytes, code: str) -> None:
    for name in ("a.txt", "a.pdf", "a.json", None):
        with pytest.raises(ExtractError) as caught:
            read(data, name)
        assert caught.value.code == code


def test_markdown_keeps_its_text_and_gives_its_title() -> None:
    document = read("intro\n\n# The Title #\n\n- a\n- b\n\n```\n# code\n```\n", "readme.md")
    assert (document.title, document.mime_type) == ("The Title", "text/markdown")
    assert document.text == "intro\n\n# The Title #\n\n- a\n- b\n\n```\n# code\n```"


# --- tables ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_of_a_table_is_found(delimiter: str) -> None:
    rows = (("name", "city", "note"), ("Åsa", "Malmö", "a, b; c"), ("Bo", "Lund", ""))
    text = "\n".join(delimiter.join(f'"{cell}"' if cell else "" for cell in row) for row in rows)
    assert passages(read(text, "t.csv")) == ["name: Åsa\ncity: Malmö\nnote: a, b; c", "name: Bo\ncity: Lund"]


def test_cells_may_hold_line_breaks_quotes_and_megabytes() -> None:
    huge = "x" * 300_000
    document = read(f'id,text\r\n1,"two\r\nlines, and ""quotes"""\r\n2,{huge}\r\n', "t.csv")
    assert passages(document) == ['id: 1\ntext: two\nlines, and "quotes"', f"id: 2\ntext: {huge}"]


def test_a_table_without_names_is_rows_of_cells() -> None:
    assert passages(read("1,2.5\n3,4\n", "t.csv")) == ["1 | 2.5", "3 | 4"]


def test_excel_may_name_its_delimiter_and_lines_may_stand_above_the_names() -> None:
    document = read("sep=;\nReport of May;;\na;b;c\n1;2;3\n", "t.csv")
    assert passages(document) == ["Report of May", "a: 1\nb: 2\nc: 3"]


def test_a_table_of_names_only_is_still_text() -> None:
    assert read("alpha,beta\n", "t.csv").text == "alpha | beta"


def test_a_name_breaks_the_tie_between_table_and_text() -> None:
    table = "name,city\nBo,Lund\nÅsa,Malmö\nEva,Ystad\n"
    assert read(table, "t.txt").mime_type == "text/plain"
    assert read(table, None).mime_type == "text/csv"
    assert read(table, None, "text/csv").mime_type == "text/csv"
    assert read("Well, yes.\nNo, never.\nSo, so.\n", None).mime_type == "text/plain"


# --- JSON ------------------------------------------------------------------------------------------------


def test_records_of_json_are_passages_and_values_have_their_path() -> None:
    value = [
        {"id": 1, "who": {"name": "Bo", "tags": ["a", "b"], "gone": None}},
        {"id": 2, "ok": True, "rows": [{"x": 1.5}]},
    ]
    document = read(json.dumps(value), "a.json")
    assert passages(document) == ["id: 1\nwho.name: Bo\nwho.tags: a, b", "id: 2\nok: true\nrows.x: 1.5"]


def test_json_lines_are_known_without_a_name() -> None:
    document = read('{"a": "é"}\n{"a": 2}\n\n')
    assert (passages(document), document.mime_type) == (["a: é", "a: 2"], "application/jsonl")


def test_json_as_programs_write_it_is_read() -> None:
    assert read('{"a": NaN, "b": 123456789012345678901234567890}', "a.json").text.startswith(
        "a: nan\nb: 1234567890"
    )


@pytest.mark.parametrize("text", ['{"a": ', "[" * 100_000, "[" * 900 + "1" + "]" * 900, "[1, 2"])
def test_broken_or_endless_json_is_corrupt(text: str) -> None:
    with pytest.raises(ExtractError) as caught:
        read(text, "a.json")
    assert caught.value.code == "corrupt"


@pytest.mark.parametrize("window", [1, 20, 300])
def test_json_is_read_the_same_however_much_of_it_is_looked_at(
    window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    value: list[Any] = [
        {"id": 1, "who": {"name": "Bo", "tags": ["a", "b"], "gone": None}, "empty": [[], {}]},
        7,
        [1, 2.5, -3, True, None, "x, y", 4, 5],
        {"rows": [1, 2, {"x": 1.5}, 3, [4, 5]], "long": "z" * 100, "": "no name"},
    ]
    text = json.dumps(value)
    expected = read(text, "a.json")
    assert "rows: 2\nrows.x: 1.5\nrows: 3\nrows: 4, 5" in expected.text
    monkeypatch.setattr(json_stream, "WINDOW", window)
    for name, form in (("a.json", text), ("a.json", json.dumps(value, indent=1))):
        document = read(form, name)
        assert (document.text, passages(document)) == (expected.text, passages(expected))


@pytest.mark.parametrize(
    "text", ["[1,]", '{"a": 1,}', "[1 2]", '{"a" 1}', "[1, 2] 3", "[[1], ,[2]]", "[", "{"]
)
def test_json_with_a_fault_is_corrupt_however_much_of_it_is_looked_at(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for window in (json_stream.WINDOW, 1):
        monkeypatch.setattr(json_stream, "WINDOW", window)
        with pytest.raises(ExtractError) as caught:
            read(text, "a.json")
        assert caught.value.code == "corrupt"


def test_text_that_only_begins_like_json_is_text() -> None:
    assert read("[draft] Notes of the meeting", "notes.txt").mime_type == "text/plain"
    assert read("[draft] Notes of the meeting").mime_type == "text/plain"


# --- pages and mail --------------------------------------------------------------------------------------

PAGE = """<!DOCTYPE html><html><head><title> The  Page </title><style>p{}</style></head><body>
<nav><a href="/">Home</a> <a href="/blog">Blog</a> <a href="/shop">Shop</a></nav>
<main><article><h1>Tides of the harbour</h1>
<p>The tide at the harbour <b>rises</b> by four metres<br>twice a day, and every skipper has to know the table by
heart before leaving the quay in the morning.</p>
<h2>Spring tides</h2><p>At new moon and at full moon the tide is stronger than on any other day of the month, so
that the lower quay is under water for nearly two hours.</p>
<ul><li>Moor high</li><li>Long lines<ul><li>at least 20 m</li></ul></li></ul>
<table><tr><th>Day</th><th>Height</th></tr><tr><td>Monday</td><td>4.1 m</td></tr></table>
<pre>a  b
  c</pre><script>var tracking = 1;</script></article></main>
<footer>Imprint and cookies</footer></body></html>"""


def test_a_page_gives_its_whole_text() -> None:
    document = read(PAGE, "p.html")
    assert document.title == "The Page"
    for part in (
        "Home Blog Shop",
        "# Tides of the harbour\n\nThe tide at the harbour rises by four metres\ntwice a day",
        "## Spring tides",
        "- Moor high\n- Long lines\n  - at least 20 m\n\n",
        "Day | Height\nMonday | 4.1 m",
        "a  b\n  c",
        "Imprint and cookies",
    ):
        assert part in document.text
    assert "tracking" not in document.text


def test_the_main_text_of_a_page_has_no_menus() -> None:
    text = read(PAGE, None, "text/html", main_text=True).text
    for part in (
        "Tides of the harbour",
        "rises by four metres",
        "## Spring tides",
        "Moor high",
        "Monday | 4.1 m",
    ):
        assert part in text
    for part in ("Shop", "Imprint", "tracking"):
        assert part not in text


def test_a_page_that_is_hardly_a_page_is_still_read() -> None:
    assert read("<p>one<p>two &amp; three <b>four", "p.html").text == "one\n\ntwo & three four"
    assert read("<div>short</div>", "p.html", main_text=True).text == "short"


def test_a_table_that_lays_out_a_page_is_not_a_row_of_cells() -> None:
    page = "<html><body><table><tr><td><h2>News</h2><p>One</p></td><td><p>Two</p></td></tr></table></body></html>"
    assert read(page).text == "## News\n\nOne\n\nTwo"


def test_entities_of_xml_stay_as_they_stand_and_nesting_is_bounded() -> None:
    declared = '<!DOCTYPE x [<!ENTITY a "boom"><!ENTITY f SYSTEM "file:///etc/hostname">]>'
    assert read(f"{declared}<x>one &a; &f; &lt;&#65;<![CDATA[<b>]]> <!-- no -->end</x>", "f.xml").text == (
        "one &a; &f; <A<b> end"
    )
    for hostile in ("<a>" * 300 + "x" + "</a>" * 300, "<a>" * 10, "<a></b>"):
        with pytest.raises(ExtractError) as caught:
            read(hostile, "f.xml")
        assert caught.value.code == "corrupt"


def test_xml_gives_the_text_of_its_elements() -> None:
    assert (
        read("<?xml version='1.0' encoding='UTF-8'?><a x='1'><b>één</b> <c>two</c></a>", "f.xml").text
        == "één\ntwo"
    )


def mail(html: str | None = None, text: str | None = None) -> bytes:
    message = EmailMessage()
    message["From"] = "Zoë Müller <zoe@example.org>"
    message["To"] = "crew@example.org"
    message["Subject"] = "Grüße vom Kai \u2013 港口"
    message["Date"] = "Tue, 03 Jun 2025 09:30:00 +0200"
    message.set_content(text or "", charset="iso-8859-1")
    if html:
        message.add_alternative(html, subtype="html")
    message.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="Gezeiten März.pdf")
    return message.as_bytes()


def test_a_mail_gives_headers_text_and_names_of_attachments() -> None:
    data = mail(html="<p>other</p>", text="Das Schiff läuft um 9 aus.")
    for name in ("m.eml", None, "m.txt"):
        document = read(data, name)
        assert document.title == "Grüße vom Kai \u2013 港口"
        assert document.text == (
            "Subject: Grüße vom Kai \u2013 港口\nFrom: Zoë Müller <zoe@example.org>\nTo: crew@example.org\n"
            "Date: Tue, 03 Jun 2025 09:30:00 +0200\n\nDas Schiff läuft um 9 aus.\n\nAttachment: Gezeiten März.pdf"
        )


def test_a_mail_of_html_only_gives_its_text() -> None:
    assert (
        "Das Schiff läuft\n\naus."
        in read(mail(html="<div><p>Das Schiff läuft</p><p>aus.</p></div>"), "m.eml").text
    )


def test_small_text_is_read_at_once_and_everything_else_is_not() -> None:
    assert read_small(Source(b"plain", "a.txt")) is not None
    assert read_small(Source(b'{"a": 1}', "a.json")) is not None
    assert read_small(Source(b"x" * 300_000, "a.txt")) is None
    assert read_small(Source(GERMAN.encode("cp1252"), "a.txt")) is None
    assert read_small(Source(b"a,b\n1,2\n", "a.csv")) is None
    assert read_small(Source(PAGE.encode(), "p.html")) is None
