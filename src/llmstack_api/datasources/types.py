"""The types of datasources: what the entries of each are made of."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

Kind = Literal["content", "url", "file"]

SITEMAP: Final = "sitemap"
"""Kind of the entries of a sitemap datasource, which are sent as a URL."""


class DatasourceType(StrEnum):
    """Slug of a type."""

    TEXT = "text"
    URL = "url"
    SITEMAP = "sitemap"
    FILE = "file"
    PDF = "pdf"
    CSV_FILE = "csv_file"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """What there is to know about a type."""

    name: str
    description: str
    takes: tuple[Kind, ...]


TYPES: Final[dict[DatasourceType, TypeInfo]] = {
    DatasourceType.TEXT: TypeInfo("Text", "Texts sent as they are.", ("content",)),
    DatasourceType.URL: TypeInfo("URL", "Web pages and documents, fetched by their address.", ("url",)),
    DatasourceType.SITEMAP: TypeInfo(
        "Sitemap", "Websites: each page that a sitemap names becomes an entry of its own.", ("url",)
    ),
    DatasourceType.FILE: TypeInfo("File", "Files of any format that can be read.", ("file",)),
    DatasourceType.PDF: TypeInfo("PDF", "PDF files; each passage knows its page.", ("file",)),
    DatasourceType.CSV_FILE: TypeInfo(
        "CSV file", "Tables; each row is a passage with its column names.", ("file",)
    ),
    DatasourceType.MIXED: TypeInfo(
        "Mixed", "Texts, URLs and files side by side.", ("content", "url", "file")
    ),
}
