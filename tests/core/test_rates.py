"""How often one client may ask."""

import pytest

from assistant.core.rates import Rates, client_of


def test_a_burst_then_a_steady_rate() -> None:
    rates = Rates(per_s=2.0, burst=3)
    assert [rates.admit("a", 0.0) for _ in range(3)] == [0.0] * 3
    assert rates.admit("a", 0.0) == pytest.approx(0.5)
    assert rates.admit("a", 0.4) == pytest.approx(0.1)
    assert rates.admit("a", 0.5) == 0.0
    assert [rates.admit("a", 100.0) for _ in range(4)] == [0.0, 0.0, 0.0, pytest.approx(0.5)]


def test_one_client_takes_nothing_from_another() -> None:
    rates = Rates(per_s=1.0, burst=1)
    assert rates.admit("a", 0.0) == rates.admit("b", 0.0) == 0.0
    assert rates.admit("a", 0.0) > 0.0


def test_a_clock_that_goes_back_gives_nothing() -> None:
    rates = Rates(per_s=1.0, burst=1)
    rates.admit("a", 100.0)
    assert rates.admit("a", 0.0) > 0.0


def test_it_remembers_no_more_clients_than_it_should() -> None:
    rates = Rates(per_s=1.0, burst=1, keep=2)
    for client in "abc":
        rates.admit(client, 0.0)
    assert rates.admit("c", 0.0) > 0.0
    assert rates.admit("a", 0.0) == 0.0  # forgotten


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.168.1.2", "192.168.1.3", False),
        ("2001:db8::1", "2001:db8::2:3", True),  # one network, one client
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.168.1.2", "192.168.1.2", True),
        ("testclient", "testclient", True),
    ],
)
def test_whom_an_address_belongs_to(one: str, other: str, same: bool) -> None:
    assert (client_of(one) == client_of(other)) == same
