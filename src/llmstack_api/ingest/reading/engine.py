"""Kreuzberg, the engine for PDF and spreadsheets: how it is asked, and what its errors mean.

Imported by the readers that need it, and these only where files are read: it is slow to import.
"""

import kreuzberg
from kreuzberg import ExtractionResult
from kreuzberg.exceptions import KreuzbergError

from llmstack_api.errors import ExtractError


def extract(data: bytes, mime_type: str, *, structure: bool = False) -> ExtractionResult:
    """Extract with nothing left out, nothing kept and nothing but this file looked at.

    Raises:
        ExtractError: the file has a password (`encrypted`) or is damaged (`corrupt`).
    """
    config = kreuzberg.ExtractionConfig(
        use_cache=False,
        enable_quality_processing=False,
        output_format="markdown" if structure else "plain",
        include_document_structure=structure,
        pages=kreuzberg.PageConfig(extract_pages=True),
        content_filter=kreuzberg.ContentFilterConfig(
            include_headers=True, include_footers=True, strip_repeating_text=False, include_watermarks=True
        ),
        concurrency=kreuzberg.ConcurrencyConfig(max_threads=1),
    )
    try:
        return kreuzberg.extract_bytes_sync(data, mime_type, config)
    except KreuzbergError as error:
        if "password" in str(error).lower() or "encrypt" in str(error).lower():
            raise ExtractError("The file is protected by a password.", code="encrypted") from error
        raise ExtractError("The file is damaged or incomplete.", code="corrupt") from error
