"""The units under a real systemd, of the system and of a user: started, asked, killed, stopped by their watchdog."""

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from assistant.bus import Bus
from assistant.messages import LIVE, SERVICES, Ask, Heartbeat, ReplyEnded, Turn
from tests import servicemanager
from tests.conftest import need
from tests.processes import PATIENCE_S, ROOT
from tests.servicemanager import Machine, NoBoot

PYTHON = "/opt/my 100% assistant/bin/python"  # a virtual environment in a path as awkward as they come
AWKWARD = r"""it's 100% of "$HOME" \ C:\\"""  # what a value of a setting may look like
USER = 4321  # who has a session of his own there
SESSION = {"XDG_RUNTIME_DIR": f"/run/user/{USER}", "HOME": "/home/tester"}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if why := servicemanager.missing():
        need(why) if why == "systemd" else pytest.skip(f"needs {why}")
    with ExitStack() as stack:
        try:
            running = stack.enter_context(
                servicemanager.booted(tmp_path_factory.mktemp("machine"), ROOT, Path(sys.prefix))
            )
        except NoBoot as error:
            pytest.skip(f"needs {error}")
        home = str(Path(PYTHON).parent.parent)
        running.said(sys.executable, "-m", "venv", "--without-pip", home)
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        running.write(f"{home}/lib/python{version}/site-packages/more.pth", sysconfig.get_path("purelib"))
        running.run("groupadd", "--system", "render")
        yield running


def assistant(machine: Machine, *arguments: str, user: int = 0) -> "subprocess.CompletedProcess[str]":
    session = SESSION if user else {}
    return machine.run(PYTHON, "-m", "assistant", *arguments, user=user, PYTHONPATH=str(ROOT), **session)


def status(machine: Machine, *options: str, user: int = 0) -> dict[str, dict[str, Any]]:
    done = assistant(machine, "systemd", "status", "--json", *options, user=user)
    assert done.stderr == ""
    return {row["unit"]: row for row in json.loads(done.stdout)["units"]}


def shown(machine: Machine, unit: str, key: str) -> str:
    return machine.said("systemctl", "show", "--property", key, "--value", unit)


@contextmanager
def on_the_bus(machine: Machine, runtime: str) -> Iterator[Bus]:
    """A client of the daemon there: a path through its first process leads to its sockets."""
    bus = Bus(Path(f"/proc/{machine.pid}/root{runtime}"))
    bus.listen(Heartbeat, ReplyEnded)
    try:
        yield bus
    finally:
        bus.close()


def ready(bus: Bus, service: str, but: int = 0) -> int:
    """The process id (there) of a service that says it is ready, once it is another than ``but``."""
    while True:
        received = bus.receive(PATIENCE_S)
        assert received is not None, f"{service} was never ready"
        beat = received.message
        if isinstance(beat, Heartbeat) and (received.stamp.sender, beat.state) == (service, "ready"):
            pid = int(beat.figures["pid"])
            if pid != but:
                return pid


@pytest.fixture(scope="module")
def installed(machine: Machine) -> Machine:
    sets = ["--set", "supervisor.watchdog_s=4", "--set", f"microphone.device={AWKWARD}"]
    done = assistant(machine, "systemd", "install", "--profile", "demo", "--models", "/srv/my models", "--now", *sets)
    assert done.returncode == 0, done.stderr
    return machine


def test_the_daemon_starts_as_its_own_user_and_answers(installed: Machine) -> None:
    found = status(installed)
    resolved = json.loads(installed.said("cat", "/run/assistant/settings.json"))
    assert resolved["microphone"]["device"] == AWKWARD
    assert {row["file"] for row in found.values()} == {"same"}
    assert {row["ActiveState"] for name, row in found.items() if name.startswith("assistant")} == {"active"}
    assert all(f"assistant-{name}.service" in found for name in SERVICES)
    turn = Turn(LIVE, 1234567)
    with on_the_bus(installed, "/run/assistant") as bus:
        ready(bus, "dialogue")
        bus.send(Ask(turn=turn, text="hello"), timeout_s=PATIENCE_S)
        ended = bus.wait_for(ReplyEnded, PATIENCE_S, lambda ended: ended.turn == turn)
    assert ended is not None
    assert (ended.reason, bool(ended.text)) == ("stop", True)
    log = installed.said(
        "journalctl", "--output=json", "--identifier=assistant-dialogue", f"--grep=turn=live/{turn.start}"
    )
    assert json.loads(log.splitlines()[-1])["PRIORITY"] == "6"


@pytest.mark.parametrize("service", SERVICES)
def test_it_runs_behind_its_fence(installed: Machine, service: str) -> None:
    pid = shown(installed, f"assistant-{service}", "MainPID")
    fields = dict(
        line.split(":\t", 1) for line in installed.said("cat", f"/proc/{pid}/status").splitlines() if ":\t" in line
    )
    assert (fields["NoNewPrivs"], fields["Seccomp"], int(fields["CapBnd"], 16)) == ("1", "2", 0)
    assert fields["Uid"].split()[0] == installed.said("id", "--user", "assistant")
    devices = installed.said("cat", f"/proc/{pid}/net/dev").splitlines()[2:]
    if service != "gateway":  # which is there to be reached
        assert [line.split(":")[0].strip() for line in devices] == ["lo"]
    # What only a process inside can tell: what it sees of the disk.
    inside = ["nsenter", "-t", pid, "-m", "-S", fields["Uid"].split()[0], "env", "-C", "/"]
    refused = installed.run(*inside, "touch", "/etc/assistant/mine", "/usr/mine", "/tmp/mine")
    assert [line.rpartition(": ")[2] for line in refused.stderr.splitlines()] == ["Read-only file system"] * 2
    assert installed.run("ls", "/tmp/mine").returncode != 0  # its own /tmp


def test_one_that_is_killed_is_started_again_and_the_others_go_on(installed: Machine) -> None:
    others = {name: shown(installed, f"assistant-{name}", "MainPID") for name in SERVICES if name != "camera"}
    with on_the_bus(installed, "/run/assistant") as bus:
        pid = ready(bus, "camera")
        installed.said("kill", "-KILL", str(pid))
        ready(bus, "camera", but=pid)
    assert int(shown(installed, "assistant-camera", "NRestarts")) == 1
    assert others == {name: shown(installed, f"assistant-{name}", "MainPID") for name in others}


def test_one_that_hangs_is_ended_by_the_watchdog(installed: Machine) -> None:
    with on_the_bus(installed, "/run/assistant") as bus:
        pid = ready(bus, "dialogue")
        installed.said("kill", "-STOP", str(pid))
        ready(bus, "dialogue", but=pid)
    log = installed.said("journalctl", "--unit=assistant-dialogue", "--output=cat")
    assert "Watchdog timeout" in log
    assert "Fatal Python error: Aborted" in log  # and where it hung


def test_wrong_settings_are_told_and_nothing_starts_with_them(installed: Machine) -> None:
    installed.write("/etc/assistant/assistant.toml", "[dialogue]\nlanguag = 'en'\n")
    assert installed.run("systemctl", "restart", "assistant.target").returncode == 0  # it only wants its services
    assert shown(installed, "assistant-settings", "ExecMainStatus") == "78"
    assert {shown(installed, f"assistant-{name}", "ActiveState") for name in SERVICES} == {"inactive"}
    assert "did you mean 'language'?" in installed.said("journalctl", "--unit=assistant-settings", "--output=cat")
    refused = assistant(installed, "systemd", "install")
    assert (refused.returncode, "did you mean 'language'?" in refused.stderr) == (78, True)
    # A service that cannot work as it is configured is not tried again and again.
    installed.write("/etc/assistant/assistant.toml", "[vision]\nencoder.onnx.model = '/nowhere'\n")
    installed.run("systemctl", "restart", "assistant.target")
    vision = [shown(installed, "assistant-vision", key) for key in ("ActiveState", "ExecMainStatus", "NRestarts")]
    assert vision == ["failed", "78", "0"]
    assert {shown(installed, f"assistant-{name}", "ActiveState") for name in SERVICES if name != "vision"} == {"active"}
    installed.said("rm", "/etc/assistant/assistant.toml")


def test_a_key_reaches_only_the_service_that_needs_it(installed: Machine) -> None:
    engine = "dialogue.llm.openai"
    sets = ["supervisor.services=['dialogue', 'speaker']", "dialogue.llm.engine=openai", f"{engine}.model=m"]
    sets += [f"{engine}.base_url=http://127.0.0.1:9/v1", f"{engine}.api_key_file=my-key"]
    options = [part for text in sets for part in ("--set", text)]
    done = assistant(installed, "systemd", "install", "--profile", "demo", "--now", *options)
    assert "The key 'my-key' is read from /etc/assistant/credentials/my-key" in done.stdout, done.stderr
    assert "camera" not in installed.said(
        "systemctl", "list-units", "--all", "--plain", "assistant-*"
    )  # no longer wanted
    dialogue = [shown(installed, "assistant-dialogue", key) for key in ("ActiveState", "ExecMainStatus", "NRestarts")]
    assert dialogue == ["failed", "243", "0"]
    installed.write("/etc/assistant/credentials/my-key", "hush")
    installed.said("chmod", "600", "/etc/assistant/credentials/my-key")
    installed.said("systemctl", "restart", "assistant.target")
    assert shown(installed, "assistant-dialogue", "StatusText") == "ready: openai"
    assert installed.said("find", "/run/credentials", "-name", "my-key", "-user", "assistant") == (
        "/run/credentials/assistant-dialogue.service/my-key"
    )


def test_what_was_installed_is_removed_and_what_is_the_owners_stays(installed: Machine) -> None:
    installed.write("/etc/assistant/assistant.toml", "[log]\nlevel = 'info'\n")
    done = assistant(installed, "systemd", "uninstall")
    assert done.returncode == 0, done.stderr
    assert "Not removed: /etc/assistant" in done.stdout
    assert installed.said("sh", "-c", "ls /etc/systemd/system | grep assistant || true") == ""
    assert "assistant-" not in installed.said("systemctl", "list-units", "--all", "--plain", "--no-legend")
    installed.said("ls", "/var/lib/assistant/history.db", "/etc/assistant/assistant.toml")
    assert installed.run("ls", "/run/assistant").returncode != 0
    installed.said("rm", "/etc/assistant/assistant.toml")


def test_a_user_without_being_root(machine: Machine) -> None:
    """Units of a user's own manager, as a desktop has one (here started by hand, as nobody logs in)."""
    machine.said("useradd", "--uid", str(USER), "--create-home", "tester")
    machine.said("install", "-d", "-m", "700", "-o", "tester", "-g", "tester", SESSION["XDG_RUNTIME_DIR"])
    refused = assistant(machine, "systemd", "install", "--profile", "demo", user=USER)
    assert (refused.returncode, f"sudo '{PYTHON}' -m assistant systemd install" in refused.stderr) == (2, True)
    refused = assistant(machine, "systemd", "install", "--profile", "demo", "--user", user=USER)
    assert (refused.returncode, "no systemd runs of your own" in refused.stderr) == (69, True)
    manager = ["--unit=manager", f"--uid={USER}", "--service-type=notify", "--property=Delegate=yes"]
    manager += [f"--setenv={name}={value}" for name, value in SESSION.items()]
    machine.said("systemd-run", *manager, servicemanager.SYSTEMD, "--user")
    done = assistant(machine, "systemd", "install", "--profile", "demo", "--user", "--now", user=USER)
    assert done.returncode == 0, done.stderr
    found = status(machine, "--user", user=USER)
    assert {row["ActiveState"] for row in found.values()} == {"active"}
    with on_the_bus(machine, f"{SESSION['XDG_RUNTIME_DIR']}/edge-assistant") as bus:
        pid = ready(bus, "speaker")
        machine.said("kill", "-KILL", str(pid))
        ready(bus, "speaker", but=pid)
    done = assistant(machine, "systemd", "uninstall", "--user", user=USER)
    assert done.returncode == 0, done.stderr
    assert machine.said("find", "/home/tester/.config", "-name", "assistant*") == ""
    machine.said("systemctl", "stop", "manager")


def test_this_machine_is_left_as_it_was(machine: Machine) -> None:
    assert machine.run("ls", PYTHON).returncode == 0
    assert not os.path.exists(PYTHON)
