"""How well searches find, on small sets of our own: codes, headings and names, languages."""

from collections.abc import Callable
from pathlib import Path

import pytest

from llmstack_api.vectors.index import Mode
from llmstack_api.vectors.languages import analyser
from llmstack_api.vectors.sparse import encode_passage, encode_query
from llmstack_api.vectors.store import SparseVector
from tests.vectors.relevance.searching import searching

NAMES = ["anna", "rosa", "peter", "max", "lena", "omar"]
FAMILIES = ["muster", "schmidt", "garcia", "chen", "okoro", "haas", "lind", "novak", "silva", "abe"]
CODES: dict[str, Callable[[int], str]] = {
    "error codes": lambda n: f"ERR-{n + 1:05d}",
    "order numbers": lambda n: f"{4500 + n // 7}-{1000 + n * 37}",
    "versions": lambda n: f"{1 + n // 20}.{n % 20}.{n * 7 % 10}",
    "short versions": lambda n: f"{n // 8}.{n % 8 + 1}",
    "mixed codes": lambda n: f"AX{n * 13 + 100}B{n % 9}",
    "e-mail addresses": lambda n: f"{NAMES[n % 6]}.{FAMILIES[n // 6]}@example.org",
    "part numbers": lambda n: f"MAT/{'ABC'[n % 3]}{n // 3:03d}/{n * 5 % 60}",
    "standards": lambda n: f"EN {60601 + n // 20}-{n % 20 // 5 + 1}-{n % 5 + 1}",
}
FIELDS = ("address proof", "tax number", "date of birth", "signature", "photograph", "bank account")
MANY = 60


def rows(code: Callable[[int], str]) -> list[tuple[str, str]]:
    """Rows of a sheet of codes, and as many of one that speaks of reasons."""
    codes = [
        (
            f"Error code: {code(n)}\nError description: {FIELDS[n % 6].upper()} MISSING",
            "Rejection reasons\ncodes",
        )
        for n in range(MANY)
    ]
    notes = [
        (
            f"Field: {FIELDS[n % 6]} reason\nRemarks: see rejection reasons for {FIELDS[n * 5 % 6]}",
            "Fields\ncodes",
        )
        for n in range(MANY)
    ]
    return codes + notes


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
async def test_a_code_is_found_first_alone_and_in_a_question(
    tmp_path: Path, code: Callable[[int], str]
) -> None:
    async with searching(tmp_path, rows(code)) as index:
        for asked in ("{}", "What is rejection reason {}?"):
            for mode in (Mode.HYBRID, Mode.KEYWORD):
                found = [(await index.ranked(asked.format(code(n)), mode=mode, limit=1)) for n in range(MANY)]
                assert found == [[n] for n in range(MANY)], (asked, mode)


@pytest.mark.parametrize(
    "written", ["ERR-4012", "ERR4012", "err-4012", "ERR 4012", "ERR\u20134012", "err_4012"]
)
async def test_a_code_is_found_however_it_is_written(tmp_path: Path, written: str) -> None:
    near = ["4012 pieces", "ERR-4013", "ERR-401", "ERX-4012", "ERR-40121", "an error of 4012 units"]
    async with searching(tmp_path, [("Reason ERR-4012: late", ""), *((text, "") for text in near)]) as index:
        for mode in (Mode.HYBRID, Mode.KEYWORD):
            assert (await index.ranked(written, mode=mode))[0] == 0
            assert (await index.ranked(f"What does {written} mean?", mode=mode))[0] == 0


MACHINES = ["lathe", "drill", "press", "saw", "planer", "kiln", "crane", "mixer"]
MAINTENANCE = "Clean the housing once a week. Oil the bearings every month and note it in the log."


async def test_sections_that_say_the_same_are_told_apart_by_their_headings(tmp_path: Path) -> None:
    sections = [
        (f"## Maintenance\n\n{MAINTENANCE}", f"Machine {number} {name} > Maintenance\nManual of the workshop")
        for number, name in enumerate(MACHINES)
    ]
    others = [(f"The {name} is switched on at the panel. Wear gloves.", f"Machine {number} {name} > Use\nManual")
              for number, name in enumerate(MACHINES)]  # fmt: skip
    async with searching(tmp_path, sections + others) as index:
        for number, name in enumerate(MACHINES):
            for mode in (Mode.HYBRID, Mode.KEYWORD):
                for query in (f"maintenance of the {name}", f"When is the maintenance of the {name} due?"):
                    assert (await index.ranked(query, mode=mode))[0] == number, (query, mode)


async def test_texts_that_say_the_same_are_told_apart_by_their_names(tmp_path: Path) -> None:
    found = [
        (f"The warranty lasts {number + 2} years from the day of purchase.", f"QT-{number} handbook")
        for number in range(6)
    ]
    async with searching(tmp_path, found) as index:
        for number in range(6):
            for mode in Mode:
                query = f"How long is the warranty of the QT-{number}?"
                if mode is not Mode.SEMANTIC:
                    assert (await index.ranked(query, mode=mode))[0] == number, (query, mode)


LANGUAGES = [
    ("Die Mietverträge enden nach zwölf Monaten, wenn niemand sie verlängert.", ["Mietvertrag", "verlängern"]),
    ("Договоры аренды продлеваются письменно за месяц до окончания срока.", ["договора", "аренда", "сроки"]),
    ("تنتهي العقود بعد سنة واحدة إذا لم يتم تجديدها.", ["عقود", "التجديد"]),
    ("Les travaux commencent au printemps et durent six semaines.", ["travail", "printemps"]),
    ("Los contratos se renuevan cada año si nadie los cancela.", ["contrato", "cancelación"]),
    ("Umowy są odnawiane co roku, jeśli nikt ich nie wypowie.", ["umowa", "odnawianie"]),
    ("Οι συμβάσεις λήγουν στο τέλος του έτους.", ["σύμβαση", "έτος"]),  # noqa: RUF001 # Greek
    ("Sözleşmeler her yıl yenilenir ve imzalanır.", ["sözleşme", "imza"]),  # noqa: RUF001 # Turkish
    ("合同每年续签一次。", ["合同", "续签"]),
    ("契約は毎年更新されます。", ["契約", "更新"]),
    ("The leases end after a year unless they are renewed in writing.", ["lease", "renewing"]),
]  # fmt: skip


async def test_other_forms_of_a_word_are_found_by_words_in_many_languages(tmp_path: Path) -> None:
    async with searching(tmp_path, [(text, "") for text, _ in LANGUAGES]) as index:
        for number, (_, queries) in enumerate(LANGUAGES):
            for query in queries:
                for mode in (Mode.KEYWORD, Mode.HYBRID):
                    found = await index.ranked(query, mode=mode)
                    assert found[:1] == [number], (query, mode, found)


def version_1(text: str) -> SparseVector:
    """The words of a passage as the version before stored them."""
    vector = analyser("english").embed_document(text)
    return SparseVector(vector.indices, [count * 3 / (count + 1) for count in vector.values])


async def test_questions_find_what_the_version_before_stored(tmp_path: Path) -> None:
    texts = ["Reason ERR-4012: late", "Отпуска даются летом", "Die Frist endet", "إجازة سنوية", "two words"]
    async with searching(
        tmp_path, [(text, "") for text in texts], words=[version_1(text) for text in texts]
    ) as index:
        for number, query in enumerate(["ERR4012", "отпуска", "Wann endet die Frist?", "إجازة", "words"]):
            for mode in (Mode.KEYWORD, Mode.HYBRID):
                assert (await index.ranked(query, mode=mode))[0] == number, (query, mode)


def test_the_context_counts_twice_and_headings_at_the_beginning_not_again() -> None:
    def weight(query: str, text: str, context: str = "") -> float:
        stored = encode_passage(text, context)
        weights = dict(zip(stored.indices, stored.values, strict=True))
        return sum(weights.get(index, 0.0) for index in encode_query(query).indices)

    assert weight("the pump", "It runs.", "Pump") == pytest.approx(weight("the pump", "Pump Pump"), rel=0.01)
    whole, apart = (weight("the pump", "## Pump\n\nIt runs.", around) for around in ("Plant > Pump", "Plant"))
    assert whole == pytest.approx(weight("the pump", "It runs and runs.", "Pump"), rel=0.02)
    assert apart < whole
