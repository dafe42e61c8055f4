"""Numbers as spreadsheets show them."""

import pytest

from llmstack_api.ingest.reading.sheets.number_format import around_text, general, shower


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("General", 7.000000000000001, "7"),
        ("General", 0.1 + 0.2, "0.3"),
        ("General", 4006381333931.0, "4006381333931"),
        ("General", 1e21, "1E+21"),
        ('General" kg"', 5, "5 kg"),
        ("0", 12.5, "13"),
        ("0.00", 1.005, "1.01"),
        ("0.00", -0.001, "0.00"),
        ("0.##", 5, "5"),
        ("0.##", 5.256, "5.26"),
        ("#", 0, "0"),
        (".00", 0.5, ".50"),
        ("#,##0.00", 1234.5, "1234.50"),
        ("# ##0", 1234567, "1234567"),
        ("#\\ ##0.00", 1234567.5, "1234567.50"),
        ("#'##0", 1234, "1234"),
        ("##\\ ##\\ ##\\ ##", 12345678, "12 34 56 78"),
        ("#,##0,", 1234567, "1235"),
        ('0.0,,"M"', 1234567, "1.2M"),
        ("00000", 123, "00123"),
        ("000-00-0000", 123456789, "123-45-6789"),
        ('"+41 "00 000 00 00', 791234567, "+41 79 123 45 67"),
        ('#,##0.00\\ "€"', 1234.5, "1234.50 €"),
        ("[$€-407]\\ #,##0.00", 3, "€ 3.00"),
        ("#,##0.00 [$CHF]", 1, "1.00 CHF"),
        ('_("$"* #,##0.00_);_("$"* \\(#,##0.00\\)', -5, "$(5.00)"),
        ('0.00;-0.00;_("$"* "-"??_)', 0, "$-"),
        ("[Red]-0.00;[Blue]0", -1, "1"),
        ('[>100]"big";0', 200, "big"),
        ('[>100]"big";0', 20, "20"),
        (";;;", 5, "5"),
        ("0.0%", 0.125, "12.5 %"),
        ("0%", 0.07, "7 %"),
        ("0.0 %", 0.125, "12.5 %"),
        ("0.000%", 1e-5, "0.001 %"),
        ('0.0"%"', 12.5, "12.5%"),
        ("0.00E+00", 12345, "1.23E+04"),
        ("# ?/?", 0.5, "1/2"),
        ("# ?/?", 1.5, "1 1/2"),
        ("# ??/??", 3, "3"),
        ("?/8", 0.25, "2/8"),
    ],
)
def test_a_number_is_written_as_its_format_shows_it(code: str, value: float, shown: str) -> None:
    show = shower(code)
    assert (show(value) if show else general(value)) == shown


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("yyyy-mm-dd", 45658, "2025-01-01"),
        ("dd.mm.yyyy", 45658, "2025-01-01"),
        ("[$-409]d-mmm-yy;@", 45658, "2025-01-01"),
        ("mmm yyyy", 45658, "2025-01-01"),
        ("yyyy", 45658, "2025"),
        ('yyyy"年"m"月"d"日"', 45658, "2025-01-01"),
        ("yyyy-mm-dd", 1, "1900-01-01"),
        ("yyyy-mm-dd", 61, "1900-03-01"),
        ("yyyy-mm-dd h:mm:ss", 45658.545138888891, "2025-01-01 13:05:00"),
        ("yyyy-mm-dd h:mm:ss", 45658, "2025-01-01"),
        ("hh:mm", 15 / 1440, "00:15"),
        ("h:mm:ss", 15 / 1440, "00:15:00"),
        ("h:mm AM/PM", 0.645833333, "3:30 PM"),
        ("mm:ss.0", 15.51 / 1440, "15:30.6"),
        ("[h]:mm:ss", 1.5, "36:00:00"),
        ("[h]:mm", -0.5, "-12:00"),
        ("[mm]:ss", 1.5, "2160:00"),
        ("yyyy-mm-dd", -5, "-5"),
        ("yyyy-mm-dd", 1e9, "1000000000"),
    ],
)
def test_dates_are_iso_and_times_as_they_are_shown(code: str, value: float, shown: str) -> None:
    show = shower(code)
    assert show is not None
    assert show(value) == shown


def test_dates_may_count_from_1904() -> None:
    show = shower("yyyy-mm-dd", since_1904=True)
    assert show is not None
    assert show(44196) == "2025-01-01"


def test_a_format_may_put_words_around_a_text() -> None:
    assert around_text('0;0;0;"ID-"@') == ("ID-", "")
    assert around_text("@") is None
    assert around_text("General") is None


def test_any_format_shows_any_number() -> None:
    for code in (
        "[",
        '"',
        "\\",
        "%",
        "/",
        "0/",
        "/0",
        "E+",
        "[h",
        ";",
        "0.0.0",
        "?" * 999,
        "0" * 5000,
        "[$",
        "h:m:s:h",
    ):
        show = shower(code)
        for value in (0, -1, 0.5, 1e300, -1e300, 5e-324, float("nan"), float("inf")):
            assert show is None or show(value)
