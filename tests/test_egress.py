"""The judgement of addresses that users wrote."""

import pytest

from llmstack_api.egress import Egress, check_url, parse_egress, refusal
from llmstack_api.errors import AddressRefusedError, StartError

NOTHING = Egress()

REFUSED = [
    "http://127.0.0.1/",
    "http://127.0.0.1:8080/v1",
    "https://127.255.255.254/",
    "http://127.1/",
    "http://127.0.1/",
    "http://0x7f.1/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://2130706433/",
    "http://127.0.0.1./",
    "http://0/",
    "http://0.0.0.0/",
    "http://0.1.2.3/",
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://100.64.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.0.0.8/",
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://192.168.1.1/",
    "http://198.18.0.1/",
    "http://198.51.100.7/",
    "http://203.0.113.9/",
    "http://224.0.0.1/",
    "http://239.255.255.250/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://134744072/",
    "http://169.254.169.254/latest/meta-data",
    "http://169.254.170.2/",
    "http://168.63.129.16/",
    "http://100.100.100.200/",
    "http://[::]/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:8.8.8.8]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::a00:1]/",
    "http://[2001::1]/",
    "http://[2001:db8::1]/",
    "http://[2002:7f00:1::]/",
    "http://[3fff::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[ff02::1]/",
    "http://[5f00::1]/",
    "http://[2606:4700::1%251]/",
    "http://user@example.com/",
    "http://user:password@example.com/",
    "http://example.com@127.0.0.1/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "example.com",
    "//example.com/",
    "http://",
    "http:///v1",
    "http://:80/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:port/",
    "http://[::1",
    "http://exa$mple.com/",
    "http://-example.com/",
    "http://127.0.0.1%2f@example.com/",
    "javascript:alert(1)",
]

PASSED = [
    "http://example.com",
    "https://example.com:8443/v1?api-version=1",
    "http://EXAMPLE.com./",
    "http://localhost:11434/v1",
    "http://my_host.internal/",
    "http://8.8.8.8/",
    "https://1.1.1.1:1/",
    "http://[2606:4700:4700::1111]/v1",
    "http://bücher.example/",
    "http://xn--bcher-kva.example/",
]


@pytest.mark.parametrize("url", [*REFUSED, "http://\uff11\uff12\uff17.0.0.1/", "http://\u2460.0.0.1/", "\0"])
def test_a_url_is_refused_by_what_is_written(url: str) -> None:
    with pytest.raises(AddressRefusedError) as refused:
        check_url(url, NOTHING)
    assert refused.value.status == 422
    assert "password" not in str(refused.value).replace("user name or password", "")


@pytest.mark.parametrize("url", PASSED)
def test_public_literals_and_all_names_pass_at_save(url: str) -> None:
    check_url(url, NOTHING)


def test_an_allowed_network_is_allowed_in_every_form_and_only_on_its_port() -> None:
    egress = parse_egress("10.2.0.0/16, 127.0.0.1:11434 ,[fd12::/16]:443,fd34::1")
    for url in (
        "http://10.2.3.4:1/",
        "http://[::ffff:10.2.3.4]/",
        "http://127.0.0.1:11434/v1",
        "https://[fd12::9]/",
        "http://[fd34::1]:5/",
    ):
        check_url(url, egress)
    for url in (
        "http://10.3.0.1/",
        "http://127.0.0.1:11435/",
        "http://127.0.0.2:11434/",
        "http://[fd12::9]/",
    ):
        with pytest.raises(AddressRefusedError):
            check_url(url, egress)


def test_metadata_addresses_are_refused_whatever_is_allowed() -> None:
    egress = parse_egress("0.0.0.0/0, ::/0")
    check_url("http://10.0.0.1/", egress)
    check_url("http://[64:ff9b::a00:1]/", egress)
    for url in (
        "http://169.254.169.254/",
        "http://[::ffff:169.254.169.254]/",
        "http://[::169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[2002:a9fe:a9fe::]/",
        "http://[fd00:ec2::254]/",
        "http://[fd20:ce::254]/",
        "http://168.63.129.16/",
        "http://100.100.100.200/",
        "http://192.0.0.192/",
    ):
        with pytest.raises(AddressRefusedError):
            check_url(url, egress)
    assert refusal("169.254.169.254", 80, egress=egress, named=True)
    assert not refusal("10.0.0.1", 80, egress=NOTHING, named=True)


def test_what_is_no_plain_address_is_refused() -> None:
    assert refusal("localhost", 80, egress=NOTHING, named=True)


def test_an_allowed_name_counts_for_its_port_only_and_in_any_spelling() -> None:
    egress = parse_egress("Ollama.Internal:11434,gateway.")
    assert egress.admits_host("ollama.internal.", 11434)
    assert not egress.admits_host("ollama.internal", 80)
    assert egress.admits_host("GATEWAY", 1)
    assert not egress.admits_host("sub.gateway", 1)


@pytest.mark.parametrize(
    "entry",
    [
        "http://ollama.internal",
        "10.2.0.0/33",
        "10.2.0.1/16",
        "*.internal",
        "host:0",
        "host:99999",
        "host:port",
        "host:",
        "127.1",
        "2130706433",
        "[fd00::1",
        "[fd00::1]x",
        "fd00::zz",
        "host name",
        "user@host",
        "host/24",
    ],
)
def test_a_wrong_entry_stops_the_start_and_is_named(entry: str) -> None:
    with pytest.raises(StartError) as refused:
        parse_egress(f"10.0.0.0/8,{entry}")
    assert str(refused.value).startswith("LLMSTACK_EGRESS_ALLOW")
    assert repr(entry) in str(refused.value)


def test_an_empty_allow_list_allows_nothing() -> None:
    assert parse_egress(" , ") == NOTHING
