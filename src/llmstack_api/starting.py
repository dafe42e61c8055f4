"""Why a process cannot start, in one line that names the setting."""

from collections.abc import Generator
from contextlib import contextmanager

from llmstack_api.errors import LLMStackError, StartError, StorageFullError, UnavailableError
from llmstack_api.settings import Settings


@contextmanager
def refusing_to_start(settings: Settings) -> Generator[None]:
    """Turn what keeps the database and the data directory from being opened into a `StartError`."""
    try:
        yield
    except (OSError, UnavailableError, StorageFullError, ExceptionGroup) as error:
        told = explained(error, settings)
        if told is error:
            raise
        raise told from error


def explained(error: Exception, settings: Settings) -> Exception:
    """Return the `StartError` for a failure, or the failure itself where no setting can mend it."""
    match error:
        case ExceptionGroup():
            found = [explained(inner, settings) for inner in error.exceptions]
            return next((inner for inner in found if isinstance(inner, StartError)), error)
        case UnavailableError() | StorageFullError():
            name = "LLMSTACK_DATABASE_URL" if settings.database_url else "LLMSTACK_DATA_DIR"
            return StartError(f"{name}: {str(error).rstrip('.')}{_reason(error)}")
        case OSError():
            return StartError(f"LLMSTACK_DATA_DIR: {settings.data_dir} cannot be used ({error.strerror})")
        case _:
            return error


def start_error_in(group: ExceptionGroup) -> StartError | None:
    """Return the first `StartError` that task groups have wrapped."""
    inner: BaseException | None = group.subgroup(StartError)
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner if isinstance(inner, StartError) else None


def _reason(error: LLMStackError) -> str:
    """Return what the engine itself said, which has neither password nor data in it at this point."""
    cause = error.__cause__
    said = str(getattr(cause, "orig", None) or cause or "").partition("\n")[0]
    return f" ({said})" if said else ""
