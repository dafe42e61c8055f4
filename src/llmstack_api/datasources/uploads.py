"""Files of entries as they arrive: base64, data URIs, and the parts of a form."""

from llmstack_api.engine.files import HOW_TO_WRITE, is_data_uri, read_base64, read_data_uri, read_head
from llmstack_api.engine.ports import File, JsonObject
from llmstack_api.web.multipart import invalid, parse_json_at, read_parts, shown_name


def read_file(value: str | File) -> File:
    """Decode a file that was sent as text.

    Raises:
        InvalidInputError: it is neither base64 nor such a data URI, or holds nothing.
    """
    file = value if isinstance(value, File) else _decoded(value)
    if not file.data:
        raise invalid("entry_data.file", "the file is empty")
    return file


def _decoded(value: str) -> File:
    try:
        if not is_data_uri(value):
            return File(read_base64(value))
        if not read_head(value).is_base64:  # base64 whose sender forgot to say so would be taken for text
            raise invalid("entry_data.file", f"write a data URI as {HOW_TO_WRITE}")
        return read_data_uri(value)
    except ValueError as error:
        raise invalid("entry_data.file", str(error)) from None


def parse_form(content_type: str, body: bytes) -> JsonObject:
    """Read a form into the shape of the JSON body: parts such as `file` and `entry_metadata`.

    Raises:
        MalformedRequestError: it is no form.
        InvalidInputError: a part is unknown, double, or no text.
    """
    entry_data: JsonObject = {}
    wanted: JsonObject = {"entry_data": entry_data}
    for part in read_parts(content_type, body):
        name, data = part.name, part.file.data
        if name == "entry_metadata":
            wanted[name] = parse_json_at(name, data) if data.strip() else {}
        elif name == "entry_data":
            given = parse_json_at(name, data)
            if not isinstance(given, dict):
                raise invalid("entry_data", "must be a JSON object")
            entry_data.update(given)  # pyright: ignore[reportUnknownArgumentType] # JSON
        elif name in {"name", "content", "url", "encoding"}:
            entry_data[name] = part.text(f"entry_data.{name}")
        elif name == "file":
            if data or part.file.name:  # else the file field of a form in which none was chosen
                entry_data[name] = part.file
        else:
            raise invalid(
                shown_name(name),
                "unknown part; known are file, name, content, url, encoding, entry_data, entry_metadata",
            )
    return wanted
