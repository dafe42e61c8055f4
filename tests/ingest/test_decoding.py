"""Bytes become characters: what is guessed, what is declared, what a user says, and which of them wins."""

import pytest

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Encoding
from llmstack_api.ingest.reading.charsets.decoding import decode
from llmstack_api.ingest.reading.charsets.guessing import SAMPLE, telling
from llmstack_api.ingest.reading.charsets.labels import find_label
from llmstack_api.ingest.reading.dispatch import find_reader, read_small
from llmstack_api.ingest.reading.source import Source

# One sentence a language, in every encoding that was used for it.
# ruff: noqa: RUF001 # letters of other scripts
WESTERN = "cp1252 iso8859-15 cp850 cp437 mac-roman"
BALTIC = "cp1257 iso8859-13 iso8859-4 cp775"
CYRILLIC = "cp1251 koi8-r cp866 iso8859-5 mac-cyrillic"
SENTENCES = {
    "Der Schlüssel hängt am Haken; bitte schließen Sie abends das große Tor.": WESTERN,
    "La réunion aura lieu à Évreux, près de la gare; le café est déjà payé.": WESTERN,
    "El señor Ibáñez llegó mañana al taller, según la compañía de autobús.": WESTERN,
    "La città è più bella di sera, perché c'è meno traffico e si può camminare.": "cp1252 iso8859-15 cp850 mac-roman",
    "A reunião não começou às três; a informação estará disponível amanhã.": "cp1252 iso8859-15 cp850 mac-roman",
    "Zij vond het idee geïnspireerd, maar de coördinatie kostte één dag meer.": "cp1252 iso8859-15 mac-roman",
    "Brødet ligger på køkkenbordet, og æblerne står ude ved den gamle dør.": "cp1252 iso8859-15 cp850 cp865 mac-roman",
    "Båten går från ön klockan sju på morgonen, även när det är dåligt väder.": WESTERN,
    "Vi må også kjøpe nøkler før lørdag, sa han og så på kartet over øya.": "cp1252 iso8859-15 cp850 cp865 mac-roman",
    "Äiti lähti töihin hyvin väsyneenä, mutta päivä oli silti kevyt ja mukava.": WESTERN,
    "Það er mjög kalt í dag, en við ætlum samt að ganga upp á fjallið þarna.": "cp1252 iso8859-15 cp850",
    "Proszę zgłosić usterkę w ciągu tygodnia; później naprawa będzie płatna.": "cp1250 iso8859-2 cp852",
    "Vlak odjíždí z třetího nástupiště, proto prosím počkejte u dveří čekárny.": "cp1250 iso8859-2 cp852",
    "Vážený zákazník, účet môžete zaplatiť až do konca budúceho týždňa.": "cp1250 iso8859-2 cp852",
    "A szerződés felmondása írásban történik, különben érvénytelen lesz később.": "cp1250 iso8859-2 cp852",
    "Račun plačajte v petnajstih dneh, sicer bo družba začela izterjavo še letos.": "cp1250 iso8859-2 cp852",
    "Molimo vas da račun platite što prije, jer će se usluga uskoro isključiti.": "cp1250 iso8859-2 cp852",
    "Vă rugăm să plătiţi factura în cincisprezece zile şi să păstraţi chitanţa.": "cp1250 iso8859-2 cp852",
    "Müşteri ürünü on beş gün içinde geri gönderebilir; ücret iade edilir.": "cp1254 cp857",
    "Prašome sumokėti sąskaitą per dvi savaites, nes vėliau didėja mokesčiai.": BALTIC,
    "Lūdzu, samaksājiet rēķinu divu nedēļu laikā, citādi pakalpojums beigsies.": BALTIC,
    "Palun makske arve kahe nädala jooksul, sest hiljem lisandub tasu päevas.": "cp1257 iso8859-13",
    "Оплатите счёт в течение двух недель, иначе мы отключим телефон.": f"{CYRILLIC} cp855",
    "Сплатіть рахунок протягом двох тижнів, інакше ми вимкнемо зв'язок.": "cp1251 koi8-u cp1125 iso8859-5 mac-cyrillic",
    "Моля, платете сметката до две седмици, иначе ще спрем връзката.": CYRILLIC,
    "Платите рачун у року од две недеље, иначе ћемо искључити телефон.": "cp1251 iso8859-5 mac-cyrillic",
    "Πληρώστε τον λογαριασμό σε δύο εβδομάδες, αλλιώς διακόπτουμε.": "cp1253 iso8859-7 cp737",
    "נא לשלם את החשבון בתוך שבועיים, אחרת ננתק את הטלפון שלכם.": "cp1255 iso8859-8 cp862",
    "يرجى دفع الفاتورة خلال أسبوعين وإلا سنقطع خط الهاتف عنكم.": "cp1256 iso8859-6",
    "لطفا صورت حساب را تا دو هفته ديگر پرداخت کنيد تا تلفن قطع نشود.": "cp1256",
    "กรุณาชำระค่าโทรศัพท์ภายในสองสัปดาห์ มิฉะนั้นจะถูกตัดสาย": "cp874 tis-620",
    "请在两周之内付清电话费，否则我们将停止服务。": "gbk gb18030",
    "請在兩週之內付清電話費，否則我們將停止服務。": "big5",
    "二週間以内に電話料金をお支払いください。": "shift_jis euc-jp iso2022_jp cp932",
    "이 주 안에 전화 요금을 내지 않으면 서비스를 중단합니다.": "euc-kr cp949",
}
CASES = [(codec, text) for text, codecs in SENTENCES.items() for codec in codecs.split()]


def read(data: bytes, name: str = "a.txt", media: str | None = None, encoding: str | None = None) -> str:
    return find_reader(Source(data, name, media, encoding=encoding))().text


@pytest.mark.parametrize(("codec", "text"), CASES)
def test_a_sentence_is_read_whatever_its_encoding(codec: str, text: str) -> None:
    decoded = decode(Source(text.encode(codec)))
    assert decoded.text == text
    assert decoded.encoding.guessed


@pytest.mark.parametrize(("codec", "text"), CASES)
def test_a_long_text_is_read_like_a_sentence(codec: str, text: str) -> None:
    plain = "Order 4711 was sent on Monday.\n" * 40
    long = plain * 20 + f"{text}\n{plain}" * 12 + plain * 20
    assert decode(Source(long.encode(codec))).text == long


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("gbk", "姓名,城市\n李雷,上海\n"),
        ("big5", "姓名,城市\n李雷,高雄\n"),
        ("cp932", "氏名,市\n佐藤,大阪\n"),
        ("cp949", "이름,도시\n김철수,부산\n"),
        ("cp1251", "имя;город\nПётр;Самара\n"),
        ("cp1252", "name;city\nAndré;Orléans\n"),
        ("cp1250", "jméno;město\nJiří;Třebíč\n"),
        ("cp1253", "όνομα;πόλη\nΓιώργος;Πάτρα\n"),
    ],
)
def test_a_table_of_two_lines_is_read(codec: str, text: str) -> None:
    assert decode(Source(text.encode(codec), "a.csv")).text == text


def test_a_page_without_a_declaration_is_read_by_its_words() -> None:
    page = "<html><body><div class='main'><p>Proszę zgłosić usterkę w ciągu tygodnia.</p></div></body></html>"
    assert read(page.encode("cp1250"), "a.html") == "Proszę zgłosić usterkę w ciągu tygodnia."


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text", ["请在两周之内付清电话费。", "Оплатите счёт, иначе мы отключим.", "Plain words only."]
)
def test_utf_16_without_a_mark_is_known_by_its_pairs(codec: str, text: str) -> None:
    decoded = decode(Source(text.encode(codec)))
    assert (decoded.text, decoded.encoding.name) == (text, codec.replace("-le", "le").replace("-be", "be"))


@pytest.mark.parametrize("text", ["", "plain", "naïve"])
def test_utf_8_is_no_guess(text: str) -> None:
    source = Source(f"{text} and so on".encode(), "a.txt")
    document = read_small(source)
    assert document is not None
    assert document.encoding == Encoding("utf-8", guessed=False)
    assert decode(source).encoding == Encoding("utf-8", guessed=False)


def test_the_best_part_of_a_long_text_is_looked_at() -> None:
    tail = "Правила порта обязательны для всех судов.\n".encode("koi8-r")
    data = b"0123456789,abcdef\n" * 200_000 + tail
    assert tail.split()[0] in telling(data)
    assert len(telling(b"a\xe9 " * 1_000_000)) <= 2 * SAMPLE
    assert len(telling(b"\xe9" * 1_000_000)) <= 2 * SAMPLE


# --- who says what -----------------------------------------------------------------------------------------

RUSSIAN = "Правила порта обязательны"


def test_what_the_sender_declares_wins_over_what_the_page_declares_and_this_over_a_guess() -> None:
    page = f'<html><head><meta charset="windows-1251"></head><body><p>{RUSSIAN}</p></body></html>'
    assert read(page.encode("koi8-r"), "a.html", "text/html; charset=KOI8-R") == RUSSIAN
    assert read(page.encode("cp1251"), "a.html") == RUSSIAN
    data = f'<?xml version="1.0" encoding="koi8-r"?><a>{RUSSIAN}</a>'.encode("koi8-r")
    assert read(data, "a.xml") == RUSSIAN


@pytest.mark.parametrize(
    ("label", "codec", "text", "name"),
    [
        ("gb2312", "gbk", "镕基", "gbk"),
        ("latin1", "cp1252", "12 €", "windows-1252"),
        ("iso-8859-1", "cp1252", "“so”", "windows-1252"),
        ("x-sjis", "cp932", "①番", "shift_jis"),
        ("ks_c_5601-1987", "cp949", "똠방", "euc-kr"),
        ("TIS-620", "cp874", "ไทย", "windows-874"),
        ("CP850", "cp850", "Größe", "cp850"),
    ],
)
def test_a_label_means_what_the_web_takes_it_for(label: str, codec: str, text: str, name: str) -> None:
    decoded = decode(Source(text.encode(codec), media_type=f"text/plain; charset={label}"))
    assert decoded.text == text
    assert decoded.encoding == Encoding(name, guessed=False)


def test_two_letters_in_a_declared_encoding_are_not_taken_for_utf_8() -> None:
    data = "隆".encode("gbk")
    assert data.decode() != "隆"
    assert decode(Source(data, media_type="text/csv; charset=gbk")).text == "隆"


@pytest.mark.parametrize("label", ["koi8-r", "iso-8859-1", "gbk", "utf-16", "no-such-thing", "us-ascii"])
def test_a_declaration_that_the_bytes_disprove_is_passed_over(label: str) -> None:
    text = "Größe, Straße und Äpfel: alles in UTF-8."
    decoded = decode(Source(text.encode(), media_type=f"text/plain; charset={label}"))
    assert (decoded.text, decoded.encoding) == (text, Encoding("utf-8", guessed=False))


def test_utf_8_that_was_cut_off_is_utf_8_whatever_is_declared() -> None:
    data = ("Größe, Straße, Äpfel und Öl, süß und schön, für alle Gäste. " * 2 + "ü").encode()[:-1]
    decoded = decode(Source(data, media_type="text/plain; charset=iso-8859-1"))
    assert decoded.text.startswith("Größe, Straße")
    assert decoded.encoding.name == "utf-8"


def test_a_declared_encoding_that_cannot_be_is_no_better_than_none() -> None:
    text = "Der Schlüssel hängt am Haken; bitte schließen Sie abends das große Tor."
    decoded = decode(Source(text.encode("cp1252"), media_type="text/plain; charset=shift_jis"))
    assert (decoded.text, decoded.encoding.guessed) == (text, True)


def test_a_mark_wins_over_what_is_declared() -> None:
    assert (
        decode(Source(b"\xef\xbb\xbfGr\xc3\xb6\xc3\x9fe", media_type="text/plain; charset=gbk")).text
        == "Größe"
    )


def test_what_the_user_says_wins_over_all_else() -> None:
    assert read(RUSSIAN.encode("koi8-r"), media="text/plain; charset=gbk", encoding="koi8-r") == RUSSIAN
    assert read("é".encode(), encoding="windows-1252") == "Ã©"
    marked = Source(b"\xef\xbb\xbfabc", encoding="windows-1252")
    assert decode(marked).text == "ï»¿abc"
    assert read_small(Source(b"abc", "a.txt", encoding="utf-16le")) is None


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-be", "utf-16-le"])
def test_a_user_who_says_utf_16_gets_the_order_of_bytes_that_the_mark_says(codec: str) -> None:
    data = "\ufeffGröße".encode(codec) if codec != "utf-16" else "Größe".encode(codec)
    assert decode(Source(data, encoding="utf-16")).text == "Größe"


def test_bytes_that_are_nothing_in_the_encoding_of_the_user_are_an_error() -> None:
    with pytest.raises(ExtractError, match="utf-8") as caught:
        decode(Source("Größe und Straße, Äpfel und Übel".encode("cp1252"), encoding="utf-8"))
    assert caught.value.code == "wrong-encoding"


def test_a_fault_or_two_in_a_long_text_are_replaced() -> None:
    data = "Größe ".encode() * 400 + b"\xff"
    assert decode(Source(data, encoding="utf-8")).text.count("\ufffd") == 1


@pytest.mark.parametrize(
    "label", ["base64", "rot13", "zip", "idna", "punycode", "unicode_escape", "utf-7", "hex"]
)
def test_what_is_no_encoding_of_text_has_no_label(label: str) -> None:
    assert find_label(label) is None


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.csv", "a.html", "a.xml", "a.json"])
def test_documents_of_text_know_their_encoding(name: str) -> None:
    bodies = {
        "a.html": "<p>Größe</p>",
        "a.xml": "<a>Größe</a>",
        "a.json": '["Größe"]',
        "a.csv": "a,b\nGröße,2\n",
    }
    data = bodies.get(name, "Größe").encode("cp850")
    document = find_reader(Source(data, name, encoding="cp850"))()
    assert "Größe" in document.text
    assert document.encoding == Encoding("cp850", guessed=False)
