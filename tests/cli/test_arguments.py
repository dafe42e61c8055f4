from datetime import timedelta
from uuid import UUID

import pytest

from llmstack_api import __version__
from llmstack_api.auth import Scope
from llmstack_api.cli.arguments import SCOPES, parse
from llmstack_api.settings import describe


def test_a_token_has_every_scope_and_no_end_by_default() -> None:
    assert parse(["token", "create", "--account", "me"]) == {
        "command": "token create",
        "account": "me",
        "name": "cli",
        "scopes": ("run", "read", "write", "admin"),
        "expires_in": None,
    }


def test_the_scopes_of_the_command_line_are_those_of_tokens() -> None:
    assert list(SCOPES) == [scope.value for scope in Scope]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("12h", 43_200), ("30d", 2_592_000), ("8w", 4_838_400)]
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    given = parse(["token", "create", "--account", "me", "--expires-in", text])
    assert given["expires_in"] == timedelta(seconds=seconds)


def test_scopes_are_separated_by_commas() -> None:
    given = parse(["token", "create", "--account", "me", "--scopes", "run, read,run"])
    assert given["scopes"] == ("run", "read")


def test_a_token_is_revoked_by_its_id() -> None:
    given = parse(["token", "revoke", "0192f0b0-5c1d-7e2f-8a3b-4c5d6e7f8091"])
    assert given == {"command": "token revoke", "token_id": UUID("0192f0b0-5c1d-7e2f-8a3b-4c5d6e7f8091")}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "the following arguments are required: COMMAND"),
        ("sevre", "invalid choice: 'sevre'"),
        ("serve --port many", "argument --port: invalid int value: 'many'"),
        ("serve --por 1", "unrecognized arguments: --por 1"),
        ("token", "the following arguments are required: COMMAND"),
        ("token create", "the following arguments are required: --account"),
        ("token create --account=", "argument --account: must be 1 to 200 characters"),
        ("token create --account a\0b", "argument --account: must be 1 to 200 characters"),
        ("token create --account a\udc80", "argument --account: must be 1 to 200 characters"),
        ("token create --account " + 201 * "a", "argument --account: must be 1 to 200 characters"),
        ("token create --account a --scopes run,fly", "'run,fly' is not a list of run, read, write, admin"),
        ("token create --account a --scopes=", "is not a list of"),
        ("token create --account a --expires-in 30", "'30' is no duration such as 12h, 30d or 8w"),
        ("token create --account a --expires-in 0d", "'0d' is no duration"),
        ("token create --account a --expires-in 999999w", "is over ten years"),
        ("token revoke 7", "'7' is no token ID"),
    ],
)
def test_a_wrong_line_is_one_line_and_code_2(
    line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(line.split(" ") if line else [])
    out, err = capsys.readouterr()
    assert caught.value.code == 2
    assert out == ""
    assert err.startswith("llmstack-api: ")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "line",
    ["", "serve", "migrate", "token", "token create", "token list", "token revoke", "demo", "doctor"],
)
def test_every_command_has_help(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse([*line.split(), "--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: llmstack-api {line}")


def test_the_help_of_serve_lists_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["serve", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for variable, default, meaning in describe():
        assert f"{variable} (default: {default}) " in text if default else variable in text
        assert meaning in text


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"llmstack-api {__version__}\n"
