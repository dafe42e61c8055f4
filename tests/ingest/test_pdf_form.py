"""What lies on the pages of a PDF: values of forms beside their labels, text typed over a page, comments."""

from collections.abc import AsyncIterator

import pytest

from llmstack_api.ingest.extract import Extractor, open_extractor
from tests.ingest.making_pdf import form, lines, note, pages, stream, text, widget


@pytest.fixture
async def extractor() -> AsyncIterator[Extractor]:
    async with open_extractor(timeout=20, memory=1 << 30) as opened:
        yield opened


async def read(extractor: Extractor, data: bytes) -> list[str]:
    document = await extractor.extract(data, file_name="a.pdf", media_type=None)
    return [line for line in document.text.split("\n") if line]


async def test_a_value_follows_its_label(extractor: Extractor) -> None:
    content = (
        text(72, 700, "Name:")
        + text(72, 670, "First: ______________ Last: ______________ Age:")
        + text(72, 640, "Your address")
    )
    found = await read(
        extractor,
        form(
            content,
            widget("Tx", (110, 695, 300, 712), "/T (name) /TU (Name of the applicant) /V (Rosa Muster)"),
            widget("Tx", (104, 666, 180, 682), "/T (a) /V (Rosa)"),
            widget("Tx", (215, 666, 300, 682), "/T (b) /V (Muster)"),
            widget("Tx", (330, 666, 360, 682), "/T (c) /V (41)"),
            widget("Tx", (72, 600, 300, 634), "/T (d) /V (Quay 4\\nRotterdam) /Ff 4096"),
            widget("Tx", (300, 300, 400, 320), "/T (Text7) /V () "),
        ),
    )
    assert found == [
        "Name: Rosa Muster",
        "First: Rosa Last: Muster Age: 41",
        "Your address",
        "Quay 4 Rotterdam",
    ]


async def test_a_value_that_stands_alone_is_named(extractor: Extractor) -> None:
    found = await read(
        extractor,
        form(
            text(72, 700, "Order"),
            widget("Tx", (72, 400, 300, 420), "/T (x1) /TU (Delivery date) /V (2024-05-17)"),
            widget("Tx", (72, 370, 300, 390), "/T (form1[0].page1[0].lastName[0]) /V (Muster)"),
            widget("Tx", (72, 340, 300, 360), "/T (Text12) /V (by the back door)"),
        ),
    )
    assert found == ["Order", "Delivery date: 2024-05-17", "last Name: Muster", "by the back door"]


async def test_boxes_buttons_and_lists_are_read_as_they_look(extractor: Extractor) -> None:
    content = (
        text(100, 700, "I agree")
        + text(100, 680, "Send me news")
        + text(72, 650, "Payment:")
        + text(150, 650, "Card")
        + text(220, 650, "Cash")
        + text(72, 620, "Country:")
        + text(72, 590, "Colours:")
    )
    found = await read(
        extractor,
        form(
            content,
            widget("Btn", (75, 696, 90, 711), "/T (agree) /V /Yes /AS /Yes"),
            widget("Btn", (75, 676, 90, 691), "/T (news) /V /Off /AS /Off"),
            widget("Btn", (130, 646, 145, 661), "/T (pay) /Ff 49152 /V /cash /AS /Off"),
            widget("Btn", (200, 646, 215, 661), "/T (pay2) /Ff 49152 /V /cash /AS /cash"),
            widget(
                "Ch",
                (130, 616, 230, 631),
                "/T (country) /Ff 131072 /Opt [[(DE) (Germany)] [(NL) (Netherlands)]] /V (NL)",
            ),
            widget(
                "Ch",
                (130, 570, 230, 600),
                "/T (colours) /Ff 2097152 /Opt [(red) (green) (blue)] /V [(red) (blue)]",
            ),
            widget("Btn", (72, 300, 120, 320), "/T (newsletter) /V /On /AS /On"),
            widget("Btn", (72, 270, 120, 290), "/T (post) /V /Off /AS /Off"),
            widget("Btn", (72, 240, 120, 260), "/T (send) /Ff 65536 /MK << /CA (Send) >>"),
        ),
    )
    assert found == [
        "[x] I agree",
        "[ ] Send me news",
        "Payment: [ ] Card [x] Cash",
        "Country: Netherlands",
        "Colours: red, blue",
        "newsletter: yes",
    ]


async def test_what_is_hidden_or_secret_is_not_read(extractor: Extractor) -> None:
    found = await read(
        extractor,
        pages(
            text(72, 700, "Visible"),
            catalog=b"/AcroForm << /Fields [NOTES] >>",
            annotations=[
                widget("Tx", (72, 400, 300, 420), "/T (one) /V (hidden value) /F 2"),
                widget("Tx", (72, 400, 300, 420), "/T (two) /V (not to be seen) /F 32"),
                widget("Tx", (72, 400, 300, 420), "/T (pass) /V (secret) /Ff 8192"),
                note("FreeText", "hidden words", entries="/F 2"),
                note("Popup", "the words of another"),
                note("Link", "a link"),
                note("Text", "Accepted set by Kessler", entries="/StateModel (Review) /State (Accepted)"),
            ],
        ),
    )
    assert found == ["Visible"]


async def test_a_field_takes_what_its_parent_says(extractor: Extractor) -> None:
    data = pages(
        text(72, 700, "Name:"),
        catalog=b"/AcroForm << /Fields [5 0 R] >>",
        more=[b"<< /T (person) /FT /Tx /V (Rosa Muster) /Kids [6 0 R] >>"],
        annotations=[b"<< /Type /Annot /Subtype /Widget /Parent 5 0 R /Rect [120 695 300 712] >>"],
    )
    assert await read(extractor, data) == ["Name: Rosa Muster"]


async def test_a_form_is_read_on_a_page_that_is_turned(extractor: Extractor) -> None:
    data = pages(
        text(300, 100, "Name:", matrix="0 1 -1 0"),
        page=b"/Rotate 90",
        catalog=b"/AcroForm << /Fields [NOTES] >>",
        annotations=[widget("Tx", (288, 140, 305, 300), "/T (n) /V (Rosa Muster)")],
    )
    assert await read(extractor, data) == ["Name: Rosa Muster"]


async def test_text_typed_over_a_page_and_comments_are_read(extractor: Extractor) -> None:
    data = pages(
        lines("Delivery note 552", "Received by:", "Two boxes were delivered."),
        annotations=[
            note("FreeText", "dock 4", area=(150, 700, 250, 715)),
            note("FreeText", "Left at the gate", area=(300, 300, 400, 320)),
            note("Text", "Ask Kessler \\(dock 4\\)\\nfor a refund."),
            note("Highlight", "Two boxes were delivered."),
            note("Underline", "which boxes?"),
            note("Stamp", "APPROVED"),
            note("Square", "", entries="/RC (<body><p>Rich &amp; short</p><p>note</p></body>)"),
        ],
    )
    assert await read(extractor, data) == [
        "Delivery note 552",
        "Received by: dock 4",
        "Two boxes were delivered.",
        "Left at the gate",
        "[Comment: Ask Kessler (dock 4)",
        "for a refund.]",
        "[Comment: which boxes?]",
        "[Stamp: APPROVED]",
        "[Comment: Rich & short",
        "note]",
    ]


async def test_the_data_of_a_form_that_other_readers_draw_are_read(extractor: Extractor) -> None:
    datasets = (
        b'<xfa:datasets xmlns:xfa="http://www.xfa.org/schema/xfa-data/1.0/"><xfa:data><order>'
        b"<lastName>Muster</lastName><date>2024-05-17</date><empty/></order></xfa:data></xfa:datasets>"
    )
    data = pages(
        text(72, 700, "Please wait..."),
        catalog=b"/AcroForm << /Fields [] /XFA [(datasets) 5 0 R] >>",
        more=[stream(datasets)],
    )
    assert await read(extractor, data) == ["Please wait...", "last Name: Muster", "date: 2024-05-17"]
