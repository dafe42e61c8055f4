"""What the form of a question says about its answer."""

import pytest

from llmstack_api.processors.expectations import Expectation, content_of, lacks_name, names_of
from llmstack_api.processors.terms import stem


@pytest.mark.parametrize(
    ("question", "has_it", "has_it_not"),
    [
        ("How much is it?", "It costs two euros.", "It is expensive."),
        ("What is the price?", "That is 30 euros.", "Ask at the desk."),
        ("When do you open?", "We open at eight.", "We open the shed."),
        ("What time is it shut?", "Shut on Sundays.", "Shut the door."),
        ("Where is it?", "It is under the desk.", "It is red."),
        ("What is the phone number?", "Call +49 30 123456.", "Ask at desk 12."),
        ("What is your e-mail address?", "desk@example.org", "Send an e-mail."),
        ("Which colour is the button?", "It is red.", "It is round."),
        ("Who pays?", "The members pay.", "The price is paid."),
        ("Who wrote it?", "It is by Ada Lovelace.", "A book."),
    ],
)
def test_an_answer_has_what_is_asked_for(question: str, has_it: str, has_it_not: str) -> None:
    expected = Expectation(question)
    assert (expected.judge(has_it), expected.judge(has_it_not)) == (1, -1)


def test_somebody_whom_the_question_names_is_no_answer_to_who() -> None:
    assert Expectation("Who runs the Quayside library?").judge("This is Quayside.") == -1


def test_other_questions_expect_nothing() -> None:
    expected = Expectation("How do I get a key?")
    assert (expected.judge("Any text."), expected.focus) == (0, None)


@pytest.mark.parametrize(
    ("question", "focus"),
    [
        ("Who founded the library?", "founded"),
        ("Who is the mayor?", "mayor"),
        ("Is there a restaurant at the pool?", "restaurant"),
        ("Who is it?", None),
    ],
)
def test_a_question_has_a_term_that_it_is_about(question: str, focus: str | None) -> None:
    assert Expectation(question).focus == (None if focus is None else stem(focus))


def test_names_are_words_in_capitals_or_with_digits_but_for_the_first_and_where_they_are_few() -> None:
    assert names_of("Does the server support MySQL or IPv6 at all?") == [["mysql"], ["ipv6"]]
    assert names_of("Wie hoch ist der Preis der Karte im Hallenbad am Markt?") == []
    assert lacks_name("Does the server support MySQL?", {"server", "support"})
    assert not lacks_name("Does the server support MySQL?", {"mysql"})


def test_words_of_the_form_are_no_content() -> None:
    assert content_of("How long can I park?").split() == ["can", "I", "park?"]
