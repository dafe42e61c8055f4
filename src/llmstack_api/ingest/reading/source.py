"""What is to be read: a file's bytes and all that was said about them."""

from dataclasses import dataclass
from email.message import Message


@dataclass(frozen=True, slots=True)
class Source:
    """A file and what its sender said of it; only its content is believed, the rest breaks ties."""

    data: bytes
    file_name: str | None = None
    media_type: str | None = None
    url: str | None = None
    main_text: bool = False
    """Whether only the main text of a web page is wanted, without its menus."""
    encoding: str | None = None
    """What its owner says that it is in, if it is text; nothing else is asked then."""

    @property
    def suffix(self) -> str:
        """Ending of the file's name in lower case, without the dot; empty where there is none."""
        stem, dot, suffix = (self.file_name or "").strip().rpartition(".")
        return suffix.lower() if dot and stem else ""

    @property
    def media(self) -> str:
        """Media type in lower case, without parameters; empty where there is none."""
        return (self.media_type or "").partition(";")[0].strip().lower()

    @property
    def charset(self) -> str | None:
        """Charset that the media type names."""
        if not self.media_type or "charset" not in self.media_type.lower():
            return None
        message = Message()
        message["Content-Type"] = self.media_type.replace("\r", " ").replace("\n", " ")
        return message.get_content_charset()
