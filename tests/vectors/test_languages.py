"""Languages: what is positively not English, and the forms of a word that meet."""

import pytest

from llmstack_api.vectors.languages import Language, asks_prefixes, has_prefixes, prefixes

TEXTS = {
    "de": "Die Frist beginnt, wenn der Antrag bei uns ist.",
    "fr": "Les chevaux sont nourris deux fois par jour.",
    "es": "La factura se paga antes del fin de mes.",
    "it": "Il cane della vicina non dorme mai di notte.",
    "pt": "O pedido foi enviado ontem para o cliente, mas ainda não chegou.",
    "nl": "De rekening wordt niet betaald voor het einde van de maand.",
    "sv": "Fakturan ska betalas och skickas till oss.",
    "pl": "Umowa jest ważna do końca roku.",
    "cs": "Smlouva je platná do konce roku, když se nezmění.",
    "hu": "A szerződés nem érvényes, ha az egyik fél hiányzik.",
    "tr": "Fatura bu ay için ödendi ve gönderildi.",
    "fi": "Sopimus on voimassa, mutta se ei ole pysyvä.",
    "id": "Karyawan dapat mengambil cuti dengan izin atasan.",
}
ENGLISH = (
    "The contract ends when both parties sign it.",
    "Café Müller is open on Sundays and in the summer.",
    "Pumps of series 4, made in Zürich",
    "Torque 40 Nm",
    "",
)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_passage_of_another_language_has_prefixes(text: str) -> None:
    assert has_prefixes(text, Language.AUTO)
    assert asks_prefixes(text, Language.AUTO)
    assert not has_prefixes(text, Language.ENGLISH)


@pytest.mark.parametrize("text", ENGLISH)
def test_a_passage_that_may_be_english_has_none(text: str) -> None:
    assert not has_prefixes(text, Language.AUTO)
    assert has_prefixes(text, Language.GERMAN)


def test_a_question_asks_for_prefixes_unless_it_is_clearly_english() -> None:
    assert not asks_prefixes("What is the notice period?", Language.AUTO)
    assert asks_prefixes("Kündigungsfrist", Language.AUTO)
    assert asks_prefixes("cheval", Language.AUTO)
    assert not asks_prefixes("cheval", Language.ENGLISH)
    assert asks_prefixes("What is the notice period?", Language.GERMAN)


def test_latin_words_in_a_text_of_unspaced_script_stay_english() -> None:
    assert not has_prefixes("FastAPIは日本語の文書です。", Language.AUTO)
    assert not has_prefixes("FastAPI manual", Language.JAPANESE)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cheval", "chevaux"),
        ("Kündigungsfrist", "kundigungsfristen"),
        ("الإجازة", "إجازة"),
        ("отпуска", "ОТПУСК"),
        ("ἄνθρωπος", "ανθρώπους"),
        ("कर्मचारी", "कर्मचारियों"),
        ("שולחנות", "שולחן"),
    ],
)
def test_forms_of_a_word_share_a_prefix(one: str, other: str) -> None:
    assert set(prefixes(one, latin=True)) & set(prefixes(other, latin=True))


def test_words_of_other_scripts_have_prefixes_by_themselves() -> None:
    assert prefixes("The word сотрудник in English", latin=False) == prefixes("сотрудник", latin=False)
    assert len(prefixes("сотрудник", latin=False)) == 2
    assert prefixes("plain words", latin=False) == []
