"""Outlines: the same headings that reading line by line finds, however they lie."""

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack_api.ingest import outline
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.outline import MAX_PATH, Outline

LINES = st.lists(
    st.sampled_from(
        [
            "text",
            "more text # here",
            "",
            "# One",
            "## Two",
            "   ### Three ###",
            "###### Six",
            "# ***",
            "#hashtag",
            "    # indented",
            "####### seven",
            "```",
            "```sh",
            "``` in `line`",
            "````",
            "~~~",
            "漢字",
        ]
    ),
    max_size=40,
)


def read_plainly(lines: list[str]) -> list[tuple[int, str] | None]:
    """Give the level and name of each line that is a heading."""
    found: list[tuple[int, str] | None] = []
    fence = ""
    for line in lines:
        bare = line.strip()
        mark = bare[: len(bare) - len(bare.lstrip(bare[:1]))] if bare[:1] in {"`", "~"} else ""
        heading = None
        if len(mark) >= 3:
            info = bare[len(mark) :]
            if not fence:
                fence = mark if "`" not in info else ""
            elif mark.startswith(fence) and not info:
                fence = ""
        elif not fence and not line.startswith("    "):
            marks, _, title = bare.partition(" ")
            name = title.strip("#* ")
            heading = (len(marks), name) if name and marks == "#" * len(marks) and len(marks) <= 6 else None
        found.append(heading)
    return found


@given(LINES, st.sampled_from([7, 262_144]))
def test_headings_are_those_that_reading_line_by_line_finds(lines: list[str], window: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outline, "_WINDOW", window)
        text = "\n".join(lines)
        starts = list(accumulate((len(line) + 1 for line in lines), initial=0))[:-1]
        headings = read_plainly(lines)
        seeking = Outline(Document(text=text))
        expected = [start for start, heading in zip(starts, headings, strict=True) if heading]
        found: list[int] = []
        place = seeking.next_heading(0)
        while place is not None:
            found.append(place)
            place = seeking.next_heading(place + 1)
        assert found == expected
        above: list[tuple[int, str]] = []
        for start, line, heading in zip(starts, lines, headings, strict=True):
            if heading:
                above = [(level, name) for level, name in above if level < heading[0]] + [heading]
            elif line.strip():
                path = " > ".join(name for _, name in above) or None
                assert seeking.over(start, start + len(line)) == path


def test_a_path_is_bounded_and_keeps_what_is_nearest() -> None:
    text = "".join(f"{'#' * level} {str(level) * 100}\n\n" for level in range(1, 7)) + "text"
    path = Outline(Document(text=text)).over(len(text) - 4, len(text))
    assert path == f"… > {'5' * 100} > {'6' * 100}"
    assert len(path or "") <= MAX_PATH


def test_a_picture_as_heading_ends_what_was_above_and_has_no_name() -> None:
    text = "# Before\n\ntext\n\n# ![](logo.png)\n\n## Install\n\ntext"
    assert Outline(Document(text=text)).over(len(text) - 4, len(text)) == "Install"


def test_a_heading_that_is_cut_anywhere_stands_over_what_follows() -> None:
    text = "Text\n\n  ## **Ti**tle\n\nmore"
    for cut in range(6, len(text) - 4):
        read = Outline(Document(text=text))
        for start, end in pairwise((0, cut, len(text) - 4)):
            read.over(start, end)
        assert read.over(len(text) - 4, len(text)) == "Title"


def test_a_chunk_of_many_headings_stands_under_one_of_the_first() -> None:
    text = "".join(f"# {number}\n" for number in range(1000))
    assert Outline(Document(text=text)).over(0, len(text)) == "5"


def test_after_more_code_than_is_looked_at_nothing_is_a_heading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outline, "MAX_FENCES", 3)
    text = "# One\n```\n```\n# Two\n```\n```\n# Three\ntext"
    read = Outline(Document(text=text))
    assert read.next_heading(1) == text.index("# Two")
    assert read.next_heading(text.index("# Two") + 1) is None
    assert read.over(0, 5) == "One"
    assert read.over(len(text) - 4, len(text)) is None
