"""What every service gets, shown on a real process that poses as the camera."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from assistant.bus import PATH_LIMIT, Bus
from assistant.messages import CameraState, Heartbeat, Picture
from assistant.notify import LIFELINE, Notifier
from assistant.service import BEAT_S, ORPHAN_S, Service
from tests import processes
from tests.processes import PATIENCE_S, ended, hear, nursed, read_until, started

Join = Callable[..., Bus]


def files(runtime: Path) -> set[str]:
    return {path.name for path in runtime.iterdir()}


def tell(client: Bus, command: str) -> None:
    client.send(Picture(label=command), timeout_s=PATIENCE_S)


def labelled(command: str) -> Callable[[CameraState], bool]:
    return lambda state: state.label == command


# --- health ---


def test_it_says_when_it_is_ready_to_its_starter_and_on_the_bus(runtime: Path, join: Join) -> None:
    client = join()
    client.listen(Heartbeat)
    with nursed(processes.service(runtime)) as (nursery, child):
        hear(nursery, lambda fields: "READY" in fields)
        assert child.status == "ready"
        beat = client.wait_for(Heartbeat, PATIENCE_S, lambda beat: beat.state == "ready")
        assert beat is not None
        assert beat.figures["pid"] == child.process.pid
        assert {"cpu_s", "bus_gaps", "bus_refused"} <= set(beat.figures)
        child.process.terminate()
        assert client.wait_for(Heartbeat, PATIENCE_S, lambda beat: beat.state == "stopping")


def test_a_loop_that_hangs_falls_silent(runtime: Path, join: Join) -> None:
    with nursed(processes.service(runtime)) as (nursery, _):
        hear(nursery, lambda fields: "WATCHDOG" in fields)
        tell(join(), "hang")
        quiet = (nursery.wait(1.8 * BEAT_S) == [] for _ in range(20))
        assert any(quiet), "it still said that all is well"


def test_a_long_call_is_announced(runtime: Path, join: Join) -> None:
    with nursed(processes.service(runtime)) as (nursery, _):
        hear(nursery, lambda fields: "READY" in fields)
        tell(join(), "busy")
        said = hear(nursery, lambda fields: "EXTEND_TIMEOUT_USEC" in fields)
        assert said["EXTEND_TIMEOUT_USEC"] == "60000000"
        assert said["STATUS"] == "thinking"


def test_in_process_be_is_shown_at_once_and_wake_ends_a_wait(runtime: Path, join: Join) -> None:
    client = join()
    client.listen(Heartbeat)
    service = Service(join("camera"), Notifier({}), runtime)
    while not service.bus.wanted(Heartbeat):
        assert service.receive(0.05) is None
    service.figures["frames"] = 3.0
    service.be("degraded", "no camera")
    beat = client.wait_for(Heartbeat, PATIENCE_S, lambda beat: beat.state == "degraded")
    assert beat is not None
    assert (beat.detail, beat.figures["frames"]) == ("no camera", 3.0)
    stopping = threading.Timer(0.05, service.stop)
    stopping.start()
    assert [received for received in service.messages(PATIENCE_S) if received] == []
    stopping.join()


# --- the end ---


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_nothing_is_left(runtime: Path, number: signal.Signals) -> None:
    with nursed(processes.service(runtime)) as (nursery, child):
        hear(nursery, lambda fields: "READY" in fields)
        assert "camera.lock" in files(runtime)
        child.process.send_signal(number)
        assert child.process.wait(PATIENCE_S) == 0
    assert files(runtime) == {"settings.json", "ended"}


@contextmanager
def with_lifeline(command: list[str]) -> "Iterator[tuple[subprocess.Popen[bytes], Callable[[], None]]]":
    """A process, and what cuts the lifeline that it was given."""
    reading, writing = os.pipe()
    environ = {**os.environ, LIFELINE: str(reading)}
    held = ExitStack()
    held.callback(os.close, writing)
    with subprocess.Popen(command, cwd=processes.ROOT, env=environ, pass_fds=(reading,)) as process:
        os.close(reading)
        try:
            yield process, held.close
        finally:
            held.close()
            process.kill()


def test_it_ends_when_its_starter_is_gone_and_nothing_is_left(runtime: Path, join: Join) -> None:
    with with_lifeline(processes.service(runtime)) as (process, cut):
        assert join().wait_for(Heartbeat, PATIENCE_S, lambda beat: beat.state == "ready")
        cut()
        assert process.wait(PATIENCE_S) == 0
    assert files(runtime) == {"ended"}


def test_even_one_that_hangs_does_not_outlive_its_starter(runtime: Path, join: Join) -> None:
    client = join()
    client.listen(CameraState)
    with with_lifeline(processes.service(runtime)) as (process, cut):
        for command in (
            "hello",
            "hang",
        ):  # the answer to the first shows that we are heard: it is sent again, the other not
            tell(client, command)
            assert client.wait_for(CameraState, PATIENCE_S, labelled(command))
        cut()
        assert process.wait(ORPHAN_S + PATIENCE_S) == 1
    assert files(runtime) == {"settings.json"}  # by which a new supervisor does not go


# --- exit codes ---


def test_one_that_cannot_work_says_why_and_exits_78(runtime: Path) -> None:
    with nursed(processes.service(runtime, act="unfit")) as (_, child):
        assert child.process.wait(PATIENCE_S) == 78
        child.news()
        assert child.status == "failed: the model is missing; READY=1 run make pico"
    assert files(runtime) == {"settings.json"}


def test_a_crash_exits_1_with_a_traceback_and_nothing_is_left(runtime: Path) -> None:
    with started(processes.service(runtime, act="crashing")) as process:
        code, said = ended(process)
    assert code == 1
    assert "RuntimeError: something broke" in said
    assert "Traceback" in said
    assert files(runtime) == {"settings.json"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"together": 1}, "camera: the resolved settings: camera.together: Expected `array`, got `int`"),
        ({"togehter": []}, "camera: the resolved settings: unknown key 'camera.togehter'; did you mean 'together'?"),
        (["a list"], "camera: Expected `object`, got `array`"),
        (b"not JSON", "camera: JSON is malformed"),
        (None, "camera: [Errno 2] No such file or directory"),
    ],
)
def test_settings_that_are_not_in_order_exit_78_with_a_sentence(runtime: Path, change: object, sentence: str) -> None:
    command = processes.service(runtime, **(change if isinstance(change, dict) else {}))
    resolved = runtime / "settings.json"
    match change:
        case bytes():
            resolved.write_bytes(change)
        case list():
            resolved.write_text(str(change).replace("'", '"'))
        case None:
            resolved.unlink()
    with started(command) as process:
        code, said = ended(process)
    assert code == 78
    assert said.startswith(sentence)
    assert "Traceback" not in said


def test_no_such_service_and_too_long_a_path_exit_78(runtime: Path) -> None:
    with started(processes.service(runtime, module="tests.no_such_service")) as process:
        assert ended(process) == (78, "camera: No module named 'tests.no_such_service'\n")
    with started(processes.service(runtime / ("x" * PATH_LIMIT))) as process:
        code, said = ended(process)
        assert code == 78
        assert "use a shorter one (--runtime)" in said


def test_a_name_that_is_taken_exits_1_and_harms_nothing(runtime: Path, join: Join) -> None:
    with started(processes.service(runtime)) as first:
        assert join().wait_for(Heartbeat, PATIENCE_S, lambda beat: beat.state == "ready")
        with started(processes.service(runtime)) as second:
            code, said = ended(second)
        assert (code, said) == (1, f"camera: camera already runs in {runtime} (process {first.pid})\n")
        client = join()
        client.listen(CameraState)
        tell(client, "hello")
        assert client.wait_for(CameraState, PATIENCE_S, lambda state: state.label == "hello")


def test_a_crash_in_mid_work_is_told(runtime: Path, join: Join) -> None:
    with started(processes.service(runtime)) as process:
        tell(join(), "crash")
        assert "Traceback" in read_until(process, "RuntimeError: told to crash")
        assert ended(process)[0] == 1
