"""The command line: runs a command, and says in one line what went wrong."""

import os
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

from llmstack_api.cli.arguments import USAGE_EXIT, parse
from llmstack_api.errors import LLMStackError, StartError
from llmstack_api.settings import Settings

FAILED_EXIT: Final = 1
INTERRUPTED_EXIT: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 (it failed) or 2 (usage, or a setting is wrong)."""
    given = parse(arguments)
    command: str = given.pop("command")
    try:
        code = _COMMANDS[command](**given)
        sys.stdout.flush()
    except LLMStackError as error:
        sys.stderr.write(f"llmstack-api: {error}\n")
        return USAGE_EXIT if isinstance(error, StartError) else FAILED_EXIT
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
    except BrokenPipeError:  # such as `token list | head -1`; at exit Python would flush, and fail, once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED_EXIT
    return code


# Each imports only what it needs: the server alone takes a second to import.


def _serve(*, host: str | None, port: int | None) -> int:
    from llmstack_api import serving  # noqa: PLC0415 # see above

    overrides = {"host": host, "port": port}
    serving.run(Settings.load(**{name: value for name, value in overrides.items() if value is not None}))
    return 0


def _worker() -> int:
    from llmstack_api.cli import work  # noqa: PLC0415 # see above

    work.run(Settings.load())
    return 0


def _migrate() -> int:
    from llmstack_api.cli import migration  # noqa: PLC0415 # see above

    migration.migrate(_settings())
    return 0


def _token_create(*, account: str, name: str, scopes: tuple[str, ...], expires_in: timedelta | None) -> int:
    from llmstack_api.cli import tokens  # noqa: PLC0415 # see above

    tokens.create(_settings(), account=account, name=name, scopes=scopes, expires_in=expires_in)
    return 0


def _token_list(*, account: str | None) -> int:
    from llmstack_api.cli import tokens  # noqa: PLC0415 # see above

    tokens.print_all(_settings(), account=account)
    return 0


def _token_revoke(*, token_id: UUID) -> int:
    from llmstack_api.cli import tokens  # noqa: PLC0415 # see above

    tokens.revoke(_settings(), token_id=token_id)
    return 0


def _apps_apply(*, files: list[Path], name: str | None, app_id: UUID | None) -> int:
    from llmstack_api.cli import apps  # noqa: PLC0415 # see above

    return apps.apply(files, name=name, app_id=app_id)


def _apps_diff(*, file: Path, name: str | None, app_id: UUID | None) -> int:
    from llmstack_api.cli import apps  # noqa: PLC0415 # see above

    return apps.diff(file, name=name, app_id=app_id)


def _apps_export(*, app: str, output: Path | None, form: Literal["yaml", "json"]) -> int:
    from llmstack_api.cli import apps  # noqa: PLC0415 # see above

    return apps.export(app, output=output, form=form)


def _apps_run(app: str, **options: Any) -> int:  # noqa: ANN401 # those of `apps.run`, which types them
    from llmstack_api.cli import apps  # noqa: PLC0415 # see above

    return apps.run(app, **options)


def _demo(*, model: str | None) -> int:
    from llmstack_api.cli import demo  # noqa: PLC0415 # see above

    return demo.run(_settings(), model=model)


def _doctor() -> int:
    from llmstack_api.cli import doctor  # noqa: PLC0415 # see above

    return doctor.run(_settings())


def _settings() -> Settings:
    from llmstack_api.telemetry import configure_logging  # noqa: PLC0415 # see above

    settings = Settings.load()
    configure_logging(settings.model_copy(update={"log_level": "error"}))  # a command says itself what failed
    return settings


_COMMANDS: Final[dict[str, Callable[..., int]]] = {
    "serve": _serve,
    "worker": _worker,
    "migrate": _migrate,
    "token create": _token_create,
    "token list": _token_list,
    "token revoke": _token_revoke,
    "apps apply": _apps_apply,
    "apps diff": _apps_diff,
    "apps export": _apps_export,
    "apps run": _apps_run,
    "demo": _demo,
    "doctor": _doctor,
}
