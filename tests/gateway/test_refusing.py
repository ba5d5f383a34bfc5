"""A gateway that must not start as it is configured says so, and what to do."""

import socket
from pathlib import Path

from tests import processes
from tests.processes import ended, read_until, started


def test_it_lets_no_other_machine_in_without_a_token(runtime: Path) -> None:
    with started(
        processes.service(runtime, "gateway", "assistant.services.gateway", host="0.0.0.0", port=0)
    ) as process:
        code, said = ended(process)
    assert code == 78
    assert said.count("\n") == 1
    assert "there is no token to ask them for; assistant gateway token makes one" in said


def test_a_port_that_is_taken_is_named(runtime: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = processes.service(runtime, "gateway", "assistant.services.gateway", port=port)
        with started(command) as process:
            said = read_until(process, f"gateway: the gateway cannot listen at 127.0.0.1 port {port}")
            assert ended(process)[0] == 1  # it may be free again when it is tried again
    assert "set gateway.port" in said
