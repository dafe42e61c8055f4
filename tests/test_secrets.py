"""What encrypts secrets at rest: the setting, the file in the data directory, and the change of one to another."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from llmstack_api.errors import SecretsNotConfiguredError, StartError
from llmstack_api.secrets import KEY_FILE, Cipher, UnreadableSecretError, open_cipher
from llmstack_api.settings import Settings
from tests.conftest import make_settings

OLD = "the-old-secret-of-the-operator-0123456789"
NEW = "the new secret of the operator, 0123456789".replace(",", "")


def with_secret(settings: Settings, secret: str) -> Settings:
    return settings.model_copy(update={"secret_key": SecretStr(secret)})


@pytest.fixture
def embedded(tmp_path: Path) -> Settings:
    return make_settings(tmp_path, None)


@pytest.fixture
def shared(tmp_path: Path) -> Settings:
    return make_settings(tmp_path, "postgresql+asyncpg://nobody@127.0.0.1:9/none")


# --- the cipher ------------------------------------------------------------------------------------------


def test_what_was_encrypted_is_given_back_in_its_own_context_alone() -> None:
    cipher = Cipher((OLD,))
    token = cipher.encrypt(b"sk-1", context="openai of one")

    assert b"sk-1" not in token
    assert cipher.decrypt(token, context="openai of one") == b"sk-1"
    for _ in range(2):
        with pytest.raises(UnreadableSecretError):
            cipher.decrypt(token, context="openai of two")


def test_the_same_thing_is_encrypted_differently_each_time() -> None:
    cipher = Cipher((OLD,))

    assert cipher.encrypt(b"sk-1", context="") != cipher.encrypt(b"sk-1", context="")


def test_the_first_secret_encrypts_and_all_decrypt() -> None:
    token = Cipher((OLD,)).encrypt(b"sk-1", context="x")
    both = Cipher((NEW, OLD))
    again = both.rotate(token)

    assert both.decrypt(token, context="x") == both.decrypt(again, context="x") == b"sk-1"
    assert Cipher((NEW,)).decrypt(again, context="x") == b"sk-1"
    with pytest.raises(UnreadableSecretError):
        Cipher((NEW,)).decrypt(token, context="x")
    with pytest.raises(UnreadableSecretError):
        Cipher((NEW,)).rotate(token)


@pytest.mark.parametrize("damage", [b"", b"no token", b"\x00\xff"])
def test_what_is_damaged_cannot_be_read(damage: bytes) -> None:
    cipher = Cipher((OLD,))
    token = cipher.encrypt(b"sk-1", context="x")

    for wrong in (damage, token[:-8], token[:40] + b"AAAA" + token[44:]):
        with pytest.raises(UnreadableSecretError):
            cipher.decrypt(wrong, context="x")


def test_a_secret_is_named_without_being_told() -> None:
    names = {Cipher(keys).key_id for keys in ((OLD,), (OLD, NEW), (NEW,), (NEW, OLD))}

    assert len(names) == 2
    assert all(name and len(name) == 16 and name not in OLD + NEW for name in names)


def test_without_a_secret_nothing_is_encrypted_or_decrypted() -> None:
    cipher = Cipher(())

    assert cipher.key_id is None
    with pytest.raises(SecretsNotConfiguredError, match="LLMSTACK_SECRET_KEY"):
        cipher.encrypt(b"sk-1", context="x")
    with pytest.raises(UnreadableSecretError):
        cipher.decrypt(Cipher((OLD,)).encrypt(b"sk-1", context="x"), context="x")
    with pytest.raises(UnreadableSecretError):
        cipher.rotate(Cipher((OLD,)).encrypt(b"sk-1", context="x"))


# --- the file --------------------------------------------------------------------------------------------


def test_an_embedded_server_makes_its_secret_once_for_its_own_eyes(embedded: Settings) -> None:
    first = open_cipher(embedded)
    path = embedded.data_dir / KEY_FILE
    content = path.read_bytes()
    second = open_cipher(embedded)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert second.key_id == first.key_id
    assert path.read_bytes() == content
    assert [path.name for path in embedded.data_dir.iterdir()] == [KEY_FILE]
    assert open_cipher(with_secret(embedded, content.decode().strip())).key_id == first.key_id


def test_two_data_directories_have_two_secrets(tmp_path: Path) -> None:
    names: set[str | None] = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        names.add(open_cipher(make_settings(tmp_path / name, None)).key_id)

    assert len(names) == 2


def test_a_file_system_without_hard_links_will_do(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)

    assert open_cipher(embedded).key_id == open_cipher(embedded).key_id
    assert [path.name for path in embedded.data_dir.iterdir()] == [KEY_FILE]


def test_a_file_that_another_process_makes_meanwhile_is_taken(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link
    path = embedded.data_dir / KEY_FILE
    theirs = "T" * 43

    def be_late(source: Path, target: Path) -> None:
        path.write_text(theirs)
        link(source, target)

    monkeypatch.setattr(os, "link", be_late)
    cipher = open_cipher(embedded)

    assert path.read_text() == theirs
    assert cipher.key_id == Cipher((theirs,)).key_id
    assert [path.name for path in embedded.data_dir.iterdir()] == [KEY_FILE]


@pytest.mark.parametrize("content", [b"", b"short\n", b"A" * 42, b"A" * 44, b"A" * 42 + b"+", b"\xff" * 43])
@pytest.mark.parametrize("secret", [None, OLD])
def test_a_damaged_file_stops_the_start_with_one_line(
    embedded: Settings, content: bytes, secret: str | None
) -> None:
    path = embedded.data_dir / KEY_FILE
    path.write_bytes(content)
    settings = with_secret(embedded, secret) if secret else embedded

    with pytest.raises(StartError) as raised:
        open_cipher(settings)
    assert str(path) in str(raised.value)
    assert "damaged" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert path.read_bytes() == content


def test_a_file_that_cannot_be_read_stops_the_start_with_one_line(embedded: Settings) -> None:
    (embedded.data_dir / KEY_FILE).mkdir()

    with pytest.raises(StartError, match=r"secret\.key cannot be used \(Is a directory\)"):
        open_cipher(embedded)


# --- the setting -----------------------------------------------------------------------------------------


def test_with_the_setting_no_file_is_made(embedded: Settings) -> None:
    assert open_cipher(with_secret(embedded, OLD)).key_id == Cipher((OLD,)).key_id
    assert list(embedded.data_dir.iterdir()) == []


def test_the_setting_takes_over_from_the_file_which_goes_on_to_decrypt(embedded: Settings) -> None:
    token = open_cipher(embedded).encrypt(b"sk-1", context="x")
    cipher = open_cipher(with_secret(embedded, NEW))

    assert cipher.key_id == Cipher((NEW,)).key_id
    assert cipher.decrypt(token, context="x") == b"sk-1"


def test_with_postgresql_there_is_no_file(shared: Settings) -> None:
    assert open_cipher(shared).key_id is None
    assert list(shared.data_dir.iterdir()) == []
    token = Cipher((OLD,)).encrypt(b"sk-1", context="x")
    cipher = open_cipher(with_secret(shared, f" {NEW} , {OLD}"))
    assert cipher.key_id == Cipher((NEW,)).key_id
    assert cipher.decrypt(token, context="x") == b"sk-1"


@pytest.mark.parametrize("secret", ["short", f"{OLD},", f"{OLD},short", f"{OLD}\x00", "ä" * 40, ","])
def test_a_weak_secret_stops_the_start_without_being_told(tmp_path: Path, secret: str) -> None:
    with pytest.raises(StartError) as raised:
        make_settings(tmp_path, None, secret_key=secret)
    assert str(raised.value).startswith("LLMSTACK_SECRET_KEY: must be secrets of 32 or more printable ASCII")
    assert OLD not in str(raised.value)


def test_a_secret_is_not_shown_by_the_settings(embedded: Settings) -> None:
    assert OLD not in repr(with_secret(embedded, OLD))


def test_the_library_is_not_imported_before_it_is_needed(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from llmstack_api.secrets import open_cipher\n"
        "from llmstack_api.settings import Settings\n"
        f"cipher = open_cipher(Settings.load(_env_file=None, data_dir={str(tmp_path)!r}))\n"
        "assert 'cryptography' not in sys.modules\n"
        "cipher.encrypt(b'x', context='y')\n"
        "assert 'cryptography' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)  # noqa: S603 # our own code
