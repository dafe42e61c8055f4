import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from llmstack_api import auth
from llmstack_api.auth import Caller, Scope
from llmstack_api.cli import tokens
from llmstack_api.db import open_database
from llmstack_api.errors import TokenNotFoundError
from llmstack_api.settings import Settings
from tests.command import environment, run_command


def caller_of(settings: Settings, secret: str) -> Caller | None:
    async def run() -> Caller | None:
        db = open_database(settings.database)
        authenticator = auth.Authenticator(db)
        try:
            return await authenticator.caller(secret)
        finally:
            await authenticator.close()
            await db.close()

    return asyncio.run(run())


def create(settings: Settings, account: str, **options: timedelta) -> None:
    tokens.create(
        settings, account=account, name="site", scopes=("run", "read"), expires_in=options.get("expires_in")
    )


def test_a_token_stands_alone_on_standard_output_and_is_valid(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    create(settings, "Ada & Söhne", expires_in=timedelta(days=30))
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert "'Ada & Söhne' for run, read, valid until 2" in err
    assert out.strip() not in err
    caller = caller_of(settings, out.strip())
    assert caller is not None
    assert caller.scopes == {Scope.RUN, Scope.READ}


def test_an_account_is_made_once(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    create(settings, "me")
    create(settings, "me")
    callers = [caller_of(settings, secret) for secret in capsys.readouterr().out.split()]
    assert callers[0] is not None
    assert callers[1] is not None
    assert callers[0].account_id == callers[1].account_id
    assert callers[0].token_id != callers[1].token_id


def test_the_list_has_no_secret_and_nothing_that_was_revoked(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    create(settings, "one")
    create(settings, "two\x1b[31m")
    secrets = capsys.readouterr().out.split()
    tokens.print_all(settings, account=None)
    heading, two, one = capsys.readouterr().out.splitlines()
    assert heading.split()[:3] == ["ID", "ACCOUNT", "NAME"]
    assert "two?[31m" in two
    assert not any(secret in two + one for secret in secrets)

    tokens.revoke(settings, token_id=UUID(two.split()[0]))
    assert caller_of(settings, secrets[1]) is None
    assert caller_of(settings, secrets[0]) is not None
    capsys.readouterr()
    tokens.print_all(settings, account=None)
    _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == [one.split()[0]]
    assert rows[0].endswith("UTC")


def test_the_list_can_be_that_of_one_account(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    create(settings, "one")
    create(settings, "two")
    capsys.readouterr()
    tokens.print_all(settings, account="one")
    _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split()[1] for row in rows] == ["one"]


def test_an_unknown_or_revoked_token_cannot_be_revoked(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TokenNotFoundError):
        tokens.revoke(settings, token_id=uuid4())
    create(settings, "me")
    caller = caller_of(settings, capsys.readouterr().out.strip())
    assert caller is not None
    tokens.revoke(settings, token_id=caller.token_id)
    with pytest.raises(TokenNotFoundError):
        tokens.revoke(settings, token_id=caller.token_id)


async def test_the_commands_work_from_an_empty_folder(tmp_path: Path) -> None:
    env = environment(tmp_path / "data")
    made = await run_command("token", "create", "--account", "me", env=env, folder=tmp_path)
    listed = await run_command("token", "list", env=env, folder=tmp_path)
    refused = await run_command("token", "revoke", str(uuid4()), env=env, folder=tmp_path)
    assert (made.code, made.out.count("\n")) == (0, 1)
    assert made.out[:8] in listed.out
    assert (refused.code, refused.out, refused.err.count("\n")) == (1, "", 1)
    assert refused.err.startswith("llmstack-api: There is no token ")
