"""The supervisor and its services as real processes."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from assistant.bus import Bus
from assistant.messages import SERVICES, CameraState, Heartbeat, Picture
from assistant.supervisor import STOP_ORDER, children_of
from tests import processes
from tests.processes import PATIENCE_S, Process, ended, hear, nursed, read_until, started, supervisor

Join = Callable[..., Bus]


def left(runtime: Path) -> set[str]:
    return {path.name for path in runtime.iterdir()} - {"state"}


def ready_pid(client: Bus, but: int = 0) -> int:
    """The process id of a service that says that it is ready."""
    beat = client.wait_for(Heartbeat, PATIENCE_S, lambda beat: beat.state == "ready" and beat.figures["pid"] != but)
    assert beat is not None
    return int(beat.figures["pid"])


def tell(client: Bus, command: str) -> None:
    client.send(Picture(label=command), timeout_s=PATIENCE_S)


def stopped(process: Process) -> tuple[int, str]:
    process.terminate()
    return ended(process)


# --- starting and stopping ---


def test_all_start_at_once_and_are_stopped_in_order(runtime: Path) -> None:
    sections = {name: {"together": SERVICES} for name in SERVICES}
    with nursed(supervisor(runtime, SERVICES, **sections)) as (nursery, child):
        hear(nursery, lambda fields: "READY" in fields)
        assert child.status.startswith("ready")
        running = processes.of(runtime)
        assert len(running) == 1 + len(SERVICES)
        child.process.terminate()
        assert child.process.wait(PATIENCE_S) == 0
    assert (runtime / "state" / "ended").read_text().split() == list(STOP_ORDER)
    assert left(runtime) == set()
    assert processes.of(runtime) == []


def test_stop_order_knows_every_service() -> None:
    assert set(STOP_ORDER) == set(SERVICES)


def test_one_that_ignores_sigterm_is_killed(runtime: Path) -> None:
    command = supervisor(runtime, camera={"act": "stubborn"}, supervisor={"stop_patience_s": 0.2})
    with started(command) as process:
        read_until(process, "ready in")
        code, _ = stopped(process)
    assert code == 0
    assert left(runtime) == set()
    assert processes.of(runtime) == []


def test_a_second_one_is_refused_with_the_process_of_the_first(runtime: Path, join: Join) -> None:
    with started(supervisor(runtime)) as first:
        read_until(first, "ready in")
        with started(supervisor(runtime)) as second:
            code, said = ended(second)
        assert code == 69
        assert f"supervisor already runs in {runtime} (process {first.pid})" in said
        ready_pid(join())
        assert stopped(first)[0] == 0


def test_a_service_of_somebody_else_is_named_and_left_alone(runtime: Path, join: Join) -> None:
    """systemd starts services without a supervisor."""
    with started(processes.service(runtime)) as alone:
        client = join()
        ready_pid(client)
        with started(supervisor(runtime)) as process:
            code, said = ended(process)
        assert code == 69
        assert f"camera already runs in {runtime} (process {alone.pid})" in said
        client.listen(CameraState)
        tell(client, "hello")
        assert client.wait_for(CameraState, PATIENCE_S, lambda state: state.label == "hello")


# --- services that fail ---


def test_one_that_is_killed_is_started_again(runtime: Path, join: Join) -> None:
    client = join()
    with started(supervisor(runtime)) as process:
        tell(client, "babble")  # what a service says must not hurt the supervisor
        pid = ready_pid(client)
        os.kill(pid, signal.SIGKILL)
        again = ready_pid(client, but=pid)
        assert again != pid
        assert "camera died (signal 9); starting it again" in read_until(process, "ready again")
        assert stopped(process)[0] == 0
    assert client.wire.gaps == 0


def test_one_that_dies_too_often_stops_everything_and_says_which_and_why(runtime: Path) -> None:
    command = supervisor(runtime, ["speaker", "camera"], camera={"act": "crashing"}, supervisor={"restarts": 2})
    with started(command) as process:
        code, said = ended(process)
    assert code == 1
    assert said.count("camera died (something broke); starting it again") == 2
    assert "camera died 3 times: something broke\n" in said


def test_a_gateway_that_dies_often_stops_nothing_and_is_tried_again_later(runtime: Path) -> None:
    limits = {"restarts": 1, "restart_window_s": 600.0}
    with started(supervisor(runtime, ["gateway", "camera"], gateway={"act": "crashing"}, supervisor=limits)) as process:
        read_until(process, "ready in")  # it is not waited for
        read_until(process, "gateway: something broke; it is tried again in 600 s")
        assert list(children_of(SERVICES, runtime)) == ["camera"]
        assert stopped(process)[0] == 0


def test_a_gateway_with_settings_that_it_must_not_start_with_stops_everything(runtime: Path) -> None:
    with started(supervisor(runtime, ["gateway", "camera"], gateway={"act": "unfit"})) as process:
        code, said = ended(process)
    assert (code, "gateway cannot work: the model is missing" in said) == (78, True)
    assert left(runtime) == set()
    assert processes.of(runtime) == []


def test_settings_that_are_not_in_order_stop_everything_at_once(runtime: Path) -> None:
    with nursed(supervisor(runtime, ["speaker", "camera"], camera={"act": "unfit"})) as (_, child):
        assert child.process.wait(PATIENCE_S) == 78
        child.news()
        assert child.status == "failed: camera cannot work: the model is missing; READY=1 run make pico"
    assert left(runtime) == set()


def test_one_that_falls_silent_is_killed_and_started_again(runtime: Path, join: Join) -> None:
    client = join()
    with started(supervisor(runtime, supervisor={"watchdog_s": 2.5})) as process:
        pid = ready_pid(client)
        tell(client, "hang")
        assert "camera fell silent (ready); it is killed" in read_until(process, "fell silent")
        ready_pid(client, but=pid)


def test_a_long_call_that_was_announced_is_not_silence(runtime: Path, join: Join) -> None:
    client = join()
    client.listen(CameraState)
    with started(supervisor(runtime, supervisor={"watchdog_s": 2.5})) as process:  # less than the call takes
        tell(client, "busy")
        assert client.wait_for(CameraState, PATIENCE_S, lambda state: state.label == "busy")
        assert "silent" not in stopped(process)[1]


def test_a_supervisor_that_was_stopped_does_not_blame_its_services(runtime: Path, join: Join) -> None:
    client = join()
    with started(supervisor(runtime, ["camera", "vision"], supervisor={"watchdog_s": 2.5})) as process:
        read_until(process, "ready in")
        services = psutil.Process(process.pid).children()
        for stopped_one in (services[0], psutil.Process(process.pid)):
            stopped_one.suspend()  # the machine pauses, but for the one service by which we know that time passes
        beats = [ready_pid(client, but=services[0].pid) for _ in range(5)]
        for stopped_one in (services[0], psutil.Process(process.pid)):
            stopped_one.resume()
        assert set(beats) == {services[1].pid}
        assert ready_pid(client, but=services[1].pid) == services[0].pid
        code, said = stopped(process)
    assert code == 0
    assert "silent" not in said


# --- nothing outlives it ---


@pytest.mark.parametrize("moment", ["first child", "all children", "ready"])
def test_kill_9_leaves_no_orphan_no_socket_and_no_lock(runtime: Path, moment: str) -> None:
    with started(supervisor(runtime, ["camera", "vision"])) as process:
        wanted = {"first child": 1, "all children": 2, "ready": 2}[moment]
        while len(children := psutil.Process(process.pid).children()) < wanted:
            assert process.poll() is None
        if moment == "ready":
            read_until(process, "ready in")
        process.kill()
        process.wait(PATIENCE_S)
        processes.await_end([*children, *processes.of(runtime)])  # it may have begun another one in the meantime
    assert processes.of(runtime) == []
    assert left(runtime) == set()


def test_after_kill_9_a_new_one_waits_for_what_is_left_of_the_first(runtime: Path, join: Join) -> None:
    """An orphan that hangs ends a little later: it must not take the new service's sockets with it."""
    with started(supervisor(runtime, camera={"act": "stubborn"})) as first:
        read_until(first, "ready in")
        orphans = psutil.Process(first.pid).children()
        first.kill()
        first.wait(PATIENCE_S)
        with started(supervisor(runtime)) as second:
            read_until(second, "ready in")
            assert not any(orphan.is_running() and orphan.status() != "zombie" for orphan in orphans)
            client = join()
            client.listen(CameraState)
            tell(client, "hello")
            assert client.wait_for(CameraState, PATIENCE_S, lambda state: state.label == "hello")
            assert stopped(second)[0] == 0
    assert left(runtime) == set()
