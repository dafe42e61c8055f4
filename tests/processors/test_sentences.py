"""How passages are cut into what can be quoted, and words into what can be compared."""

import pytest

from llmstack_api.processors.sentences import MAX_HEADING, MAX_SENTENCE, split_passage
from llmstack_api.processors.terms import stem, terms, words


def texts(passage: str) -> list[str]:
    return [sentence.text for sentence in split_passage(passage)]


@pytest.mark.parametrize(
    ("passage", "expected"),
    [
        ("One ends. Two ends! Three?", ["One ends.", "Two ends!", "Three?"]),
        ("It costs 5.50 euros. Version 1.2.3 is out.", ["It costs 5.50 euros.", "Version 1.2.3 is out."]),
        ("Ask Dr. Brown, e.g. Today. Or J. Smith.", ["Ask Dr. Brown, e.g. Today.", "Or J. Smith."]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("Wait... and go on. (It is late.) Go.", ["Wait... and go on.", "(It is late.)", "Go."]),
        ("See `a.b`. `c` is next. **Bold.** Then.", ["See `a.b`.", "`c` is next.", "**Bold.**", "Then."]),
        ("Straße ist lang. Über ihr ist Licht.", ["Straße ist lang.", "Über ihr ist Licht."]),
        (
            "\u4f60\u597d\u3002\u518d\u89c1\uff01\u8c01\uff1f",
            ["\u4f60\u597d\u3002", "\u518d\u89c1\uff01", "\u8c01\uff1f"],
        ),
        ("A line that\nis wrapped.\n\nNo end", ["A line that is wrapped.", "No end"]),
        ("- first item\n- second\n  goes on\n3. third", ["first item", "second goes on", "third"]),
        ("", []),
        (" \n\n--- \n***\n", []),
        ("...!", []),
    ],
)
def test_running_text_is_cut_where_sentences_end(passage: str, expected: list[str]) -> None:
    assert texts(passage) == expected


def test_a_sentence_knows_the_headings_above_it() -> None:
    found = split_passage("# A\n\nOne.\n\n## B ##\n\nTwo.\n\n### C\n\nThree.\n\n## D\n\nFour.")
    assert [(sentence.text, sentence.heading) for sentence in found] == [
        ("One.", "A"),
        ("Two.", "A > B"),
        ("Three.", "A > B > C"),
        ("Four.", "A > D"),
    ]


def test_a_short_line_before_a_sentence_is_a_heading_where_lines_are_not_wrapped_there() -> None:
    found = split_passage(
        "Fire\nThe extinguisher is to the left of the sink, behind the door.\nRing the bell."
    )
    assert [(sentence.text, sentence.heading) for sentence in found] == [
        ("The extinguisher is to the left of the sink, behind the door.", "Fire"),
        ("Ring the bell.", "Fire"),
    ]


def test_rows_of_a_table_are_quoted_with_the_names_of_their_columns() -> None:
    found = split_passage("| Name | Default |\n|---|---|\n| PORT | 3000 |\n| HOST | |\n\nAfter.")
    assert [(sentence.text, sentence.columns) for sentence in found] == [
        ("PORT | 3000", "Name | Default"),
        ("HOST |", "Name | Default"),
        ("After.", ""),
    ]


def test_a_table_that_begins_amid_its_rows_has_no_columns() -> None:
    found = split_passage("| PORT | 3000 |\n| HOST | none |")
    assert [(sentence.text, sentence.columns) for sentence in found] == [
        ("PORT | 3000", ""),
        ("HOST | none", ""),
    ]


def test_rows_without_outer_bars_are_named_by_their_first() -> None:
    found = split_passage("Day | Desk\nMonday | 9 to 5")
    assert [(sentence.text, sentence.columns) for sentence in found] == [
        ("Day | Desk", "Day | Desk"),
        ("Monday | 9 to 5", "Day | Desk"),
    ]


def test_a_record_is_quoted_whole() -> None:
    record = "Tool: Tile cutter\nShelf: B3\nDeposit in euros: 25"
    assert texts(f"{record}\n\nOther text.") == [record, "Other text."]


def test_lines_of_code_are_told_apart_and_stand_under_what_announces_them() -> None:
    found = split_passage("Make a token:\n\n```sh\ntoken create\n```\n\nKeep it.")
    assert [(sentence.text, sentence.code, sentence.heading) for sentence in found] == [
        ("Make a token:", False, ""),
        ("token create", True, "Make a token"),
        ("Keep it.", False, ""),
    ]


def test_items_stand_under_what_announces_them_until_the_next_paragraph() -> None:
    found = split_passage("At SIGTERM\n\n1. it stops;\n2. it ends.\n\nThat is all. More.")
    assert [(sentence.text, sentence.heading) for sentence in found] == [
        ("At SIGTERM", ""),
        ("it stops;", "At SIGTERM"),
        ("it ends.", "At SIGTERM"),
        ("That is all.", ""),
        ("More.", ""),
    ]


def test_what_a_chunk_cut_off_is_marked() -> None:
    found = split_passage("of a sentence. A whole one. And the beginning of the next")
    assert [sentence.cut for sentence in found] == [True, False, True]


@pytest.mark.parametrize("passage", ["word " * 1000, "x" * 3000, "\u6f22" * 3000, "- " + "y " * 2000])
def test_no_sentence_is_long_and_nothing_is_lost(passage: str) -> None:
    found = texts(passage)
    assert max(map(len, found)) <= MAX_SENTENCE
    assert "".join(found).replace(" ", "") == passage.replace(" ", "").removeprefix("-")


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "line", ["( " * 50_000, "a. " * 50_000, '."' * 50_000, "|" * 100_000, "# " * 50_000, "1." * 50_000]
)
def test_no_text_takes_long(line: str) -> None:
    split_passage(line)
    split_passage(f"{line}\n" * 3)


@pytest.mark.parametrize(
    "forms",
    [
        "cancel cancels cancelled cancelling",
        "lend lent lending",
        "member members",
        "library libraries",
        "store stores stored storing",
        "pay pays paid paying",
        "embed embedded embedding",
        "year yearly annual",
    ],
)
def test_forms_of_a_word_are_one_term(forms: str) -> None:
    assert len({stem(form) for form in forms.split()}) == 1


def test_words_are_compared_without_case_accents_and_apostrophes() -> None:
    assert words("The Café's MENU_2, don\u2019t!") == ["the", "cafe", "menu", "2", "don"]
    assert terms("How do I pay for the menu?") == [stem("pay"), stem("menu")]


def test_scripts_without_blanks_are_compared_by_pairs() -> None:
    assert words("ok \u6f22\u5b57\u4eee") == ["ok", "\u6f22\u5b57", "\u5b57\u4eee"]
    assert words("\u6f22") == ["\u6f22"]


def test_headings_and_names_of_columns_are_kept_short_as_every_sentence_below_has_them() -> None:
    long = "x" * 100_000
    found = split_passage(f"# {long}\n\nOne.\n\n| {long} |\n|---|\n| cell |")
    assert [len(sentence.heading) for sentence in found] == [MAX_HEADING] * 2
    assert [len(sentence.columns) for sentence in found] == [0, MAX_HEADING]


def test_a_line_that_is_nearly_a_rule_is_read_in_the_time_of_its_length() -> None:
    assert texts("-" * 1_000_000 + "x")[-1].endswith("x")
    assert texts("One.\n" + "- = |" * 100_000 + "\nTwo.") == ["One.", "Two."]
