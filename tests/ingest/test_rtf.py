"""Links of RTF files."""

import pytest

from llmstack_api.ingest.reading.dispatch import find_reader
from llmstack_api.ingest.reading.source import Source


def read(body: str) -> str:
    return find_reader(Source(f"{{\\rtf1\\ansi {body}}}".encode("cp1252"), "a.rtf"))().text


def link(instruction: str, text: str) -> str:
    return f"{{\\field{{\\*\\fldinst {{{instruction}}}}}{{\\fldrslt {{\\ul {text}}}}}}}"


@pytest.mark.parametrize(
    ("instruction", "shown"),
    [
        ('HYPERLINK "https://example.org/a" ', "here (https://example.org/a)"),
        ("HYPERLINK https://example.org/a", "here (https://example.org/a)"),
        ('HYPERLINK "https://example.org/a" \\\\o "Tip"', "here (https://example.org/a)"),
        ('HYPERLINK "mailto:a@example.org"', "here (a@example.org)"),
        ('HYPERLINK \\\\l "Top"', "here"),
        ('HYPERLINK "file:///etc/passwd"', "here"),
        ("PAGE", "here"),
    ],
)
def test_the_target_of_a_link_stands_in_brackets_after_it(instruction: str, shown: str) -> None:
    assert read(f"The form is {link(instruction, 'here')}.\\par Next.") == f"The form is {shown}.\n\nNext."


def test_links_in_cells_and_notes_have_their_targets() -> None:
    here = link('HYPERLINK "https://example.org/a"', "here")
    assert read(f"\\trowd\\intbl Form\\cell {here}\\cell\\row\\pard After\\par").startswith(
        "Form | here (https://example.org/a)"
    )
    assert read(f"Text{{\\footnote {here}}}\\par") == "Text\n\n[Footnote: here (https://example.org/a)]"


def test_fields_within_fields_and_unfinished_ones_do_no_harm() -> None:
    inner = link('HYPERLINK "https://example.org/b"', "in")
    assert read(link('HYPERLINK "https://example.org/a"', f"out {inner}")).startswith("out in")
    assert read(link('HYPERLINK "https://example.org/a"', "one\\par two")) == (
        "one\n\ntwo (https://example.org/a)"
    )
    assert read("{\\field\\field{\\fldrslt x}}{\\*\\fldinst y}") == "x"
    assert read("{\\field{\\*\\fldinst HYPERLINK}" * 500 + "x" + "}" * 500) == "x"
