"""E-mails: which part is read, how its lines were broken, and what invitations and messages within them say."""

from email.message import EmailMessage

from llmstack_api.ingest.reading.dispatch import find_reader
from llmstack_api.ingest.reading.mail.mail_flow import unflow
from llmstack_api.ingest.reading.source import Source

HEAD = "From: a@example.org\r\nTo: b@example.org\r\nSubject: Pumps\r\nMIME-Version: 1.0\r\n"
PROSE = (
    "The pump in hall three leaks. Please order the seal kit 88-B before Friday, and tell the night shift."
)


def read(data: bytes | str) -> str:
    raw = data.encode() if isinstance(data, str) else data
    return find_reader(Source(raw, "m.eml"))().text


def body(data: bytes | str) -> str:
    """What follows the headers."""
    return read(data).partition("\n\n")[2]


def alternatives(plain: str, html: str) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", "Pumps"
    message.set_content(plain)
    message.add_alternative(html, subtype="html")
    return message.as_bytes()


def test_the_html_part_is_read_if_the_plain_one_is_a_stub() -> None:
    html = f"<html><body><p>{PROSE}</p><table><tr><td>Kit</td><td>59.90</td></tr></table></body></html>"
    for stub in (
        "Please view this message in a program that shows HTML.",
        "Read online: https://example.org/m/1?id=8213",
        "The pump in hall three leaks.",
        "Dieses Programm zeigt kein HTML an. " * 3,
    ):
        assert body(alternatives(stub, html)) == f"{PROSE}\n\nKit | 59.90", stub


def test_the_plain_part_is_read_if_it_says_as_much() -> None:
    for html in (
        f"<p>{PROSE}</p>",
        f"<h1>Pumps</h1><p>{PROSE}</p><p>Unsubscribe</p>",
        "<p>x</p>",
        "<img src='a.png'>",
        "<div>Please show the plain text</div>",
    ):
        assert body(alternatives(f"{PROSE}\n{PROSE[::-1]}", html)).startswith(PROSE), html


def test_scripts_without_blanks_are_compared_too() -> None:
    html = "<p>请在四月三十日之前支付四百一十二元。发票号码是一一八二。</p>"
    assert body(alternatives("您的邮件程序无法显示网页。", html)).startswith("请在四月")
    wrapped = "请在四月三十日之前支付\n四百一十二元。发票号码是一一八二。"
    assert body(alternatives(wrapped, html)) == wrapped


def test_html_with_its_pictures_beside_it_is_an_alternative() -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", "Pumps"
    message.set_content("Your program shows no HTML.")
    message.add_alternative(f"<p>{PROSE}</p><img src='cid:x'>", subtype="html")
    html = list(message.iter_parts())[1]
    assert isinstance(html, EmailMessage)
    html.add_related(b"GIF89a", "image", "gif", cid="<x>", filename="logo.gif")
    assert body(message.as_bytes()) == f"{PROSE}\n\nAttachment: logo.gif"


def test_an_alternative_of_html_alone_is_read() -> None:
    parts = "--b\r\nContent-Type: text/plain\r\n\r\n \r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Hello</p>\r\n--b--"
    assert body(f'{HEAD}Content-Type: multipart/alternative; boundary="b"\r\n\r\n{parts}') == "Hello"


# --- lines -----------------------------------------------------------------------------------------------


def flowed(text: str, parameters: str = "format=flowed") -> str:
    return body(f"{HEAD}Content-Type: text/plain; charset=utf-8; {parameters}\r\n\r\n{text}")


def test_flowed_lines_are_joined() -> None:
    text = "The pump leaks \r\nand must be \r\nreplaced.\r\n\r\n * one\r\n * two \r\nlines\r\n"
    assert flowed(text) == "The pump leaks and must be replaced.\n\n* one\n* two lines"
    assert flowed(text, "format=fixed").startswith("The pump leaks\nand must be\n")
    assert (
        flowed("It must be re \r\nplaced, \r\n \r\nnow.", "Format=Flowed; DelSp=Yes")
        == "It must be replaced,\nnow."
    )
    assert flowed("東京湾の潮 \r\n汐表", 'format="flowed"; delsp="yes"') == "東京湾の潮汐表"


def test_quotes_and_signatures_end_a_flowed_paragraph() -> None:
    text = ">> older \r\n>> text\r\n> newer \r\n> text \r\nMine \r\n-- \r\nJane \r\nDoe"
    assert (
        unflow(text.replace("\r\n", "\n"), delete_space=False)
        == ">> older text\n> newer text \nMine \n-- \nJane Doe"
    )


def test_stuffed_blanks_are_taken_away() -> None:
    assert unflow(" From here\n >no quote\n", delete_space=False) == "From here\n>no quote\n"


# --- what else may be in it ------------------------------------------------------------------------------


def test_a_message_in_a_message_keeps_its_headers() -> None:
    inner = EmailMessage()
    inner["Subject"], inner["From"] = "Prüfbericht", "c@example.org"
    inner.set_content("Seriennummer PX-4471")
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Fwd", "a@example.org", "b@example.org"
    message.set_content("See below.")
    message.add_attachment(inner)
    assert body(message.as_bytes()) == (
        "See below.\n\nSubject: Prüfbericht\nFrom: c@example.org\n\nSeriennummer PX-4471"
    )


def test_an_invitation_says_what_when_and_where() -> None:
    event = (
        "BEGIN:VCALENDAR\r\nBEGIN:VTIMEZONE\r\nDTSTART:19701025T030000\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\n"
        'SUMMARY:Site visit\\, hall 3\r\nDTSTART;TZID="Europe/Berlin":20260302T100000\r\nDTEND:20260302T100000Z\r\n'
        'ORGANIZER;CN="Ada: Chief":mailto:ada@example.org\r\nLOCATION:Gate\r\n  4\r\nDESCRIPTION:Bring\\nboots\r\n'
        "BEGIN:VALARM\r\nDESCRIPTION:no\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    plain = "--b\r\nContent-Type: text/plain\r\n\r\nYou are invited.\r\n"
    parts = f"{plain}--b\r\nContent-Type: text/calendar\r\n\r\n{event}--b--"
    assert body(f'{HEAD}Content-Type: multipart/alternative; boundary="b"\r\n\r\n{parts}') == (
        "You are invited.\n\nEvent: Site visit, hall 3\nStart: 2026-03-02 10:00 (Europe/Berlin)\n"
        "End: 2026-03-02 10:00 (UTC)\nOrganizer: Ada: Chief <ada@example.org>\nLocation: Gate 4\n"
        "Description: Bring\nboots"
    )


def test_names_of_attachments_are_decoded_in_every_form() -> None:
    for header in (
        "filename*=utf-8''Gezeiten%20M%C3%A4rz.pdf",
        'filename="=?utf-8?Q?Gezeiten_M=C3=A4rz.pdf?="',
        "filename*0*=utf-8''Gezeiten%20; filename*1*=M%C3%A4rz.pdf",
    ):
        part = f"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; {header}\r\n\r\nx\r\n--b--"
        assert body(f'{HEAD}Content-Type: multipart/mixed; boundary="b"\r\n\r\n{part}') == (
            "Attachment: Gezeiten März.pdf"
        ), header


def test_headers_of_raw_bytes_are_decoded() -> None:
    for encoding in ("utf-8", "cp1252"):
        data = "From: Zoë <z@example.org>\nTo: b\nSubject: Größe\n\nx".encode(encoding)
        assert read(data).startswith("Subject: Größe\nFrom: Zoë <z@example.org>"), encoding


def test_transfer_encodings_and_charsets_are_undone() -> None:
    head = f"{HEAD}Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: "
    assert body(f"{head}quoted-printable\r\n\r\nGr=F6=\r\n=DFe") == "Größe"
    assert body(f"{head}base64\r\n\r\nR3L232U=\r\n") == "Größe"


def mixed(*parts: str) -> str:
    bodies = "".join(f"--b\r\n{part}\r\n" for part in parts)
    return f'{HEAD}Content-Type: multipart/mixed; boundary="b"\r\n\r\n{bodies}--b--\r\n'


def test_text_with_a_name_is_read_if_it_is_inline() -> None:
    plain = "Content-Type: text/plain\r\n\r\nSee below."
    named = 'Content-Type: text/{}; name="n.{}"\r\nContent-Disposition: {}; filename="n.{}"\r\n\r\n{}'
    notes = named.format("plain", "txt", "inline", "txt", "Valve 7 sticks.")
    assert body(mixed(plain, notes)) == "See below.\n\nValve 7 sticks.\n\nAttachment: n.txt"
    html = named.format("html", "html", "inline", "html", "<p>Valve 7 sticks.</p>")
    assert body(mixed(plain, html)) == "See below.\n\nValve 7 sticks.\n\nAttachment: n.html"
    away = named.format("plain", "txt", "attachment", "txt", "Valve 7 sticks.")
    assert body(mixed(plain, away)) == "See below.\n\nAttachment: n.txt"
    code = named.format("x-python", "py", "inline", "py", "print(1)")
    assert body(mixed(plain, code)) == "See below.\n\nAttachment: n.py"


def test_texts_after_one_another_are_all_read() -> None:
    texts = (f"Content-Type: text/plain\r\n\r\n{text}" for text in ("One.", "Two.", "Three."))
    assert body(mixed(*texts)) == "One.\n\nTwo.\n\nThree."


def test_tables_of_the_html_part_keep_their_columns() -> None:
    rows = "<tr><th>Item<th>Price<tr><td rowspan=2>Seal kit<td>59.90<tr><td>62.00"
    invoice = f"<table><tr><td><h1>Invoice</h1><table>{rows}</table></td></tr></table>"
    text = body(f"{HEAD}Content-Type: text/html\r\n\r\n{invoice}")
    assert text == "# Invoice\n\nItem | Price\nSeal kit | 59.90\nSeal kit | 62.00"
