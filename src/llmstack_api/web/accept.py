"""What a client wants most, by its `Accept` header."""

from collections.abc import Collection


def prefers(accept: str, media_types: Collection[str]) -> bool:
    """Tell whether one of these media types is named and wanted most; of equals, the first."""
    wanted: list[tuple[float, bool]] = []
    for part in accept.split(","):
        media_type, *parameters = (item.strip().lower() for item in part.split(";"))
        weight = next((item[2:] for item in parameters if item.startswith("q=")), "1")
        wanted.append((_number(weight), media_type in media_types))
    quality, is_one = max(wanted, key=lambda item: item[0])
    return is_one and quality > 0


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
