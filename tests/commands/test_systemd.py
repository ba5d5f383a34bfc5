"""assistant systemd: what it writes, what it refuses, what it removes; and what systemd-analyze says of the units."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from assistant import installation, paths, unitfiles
from assistant.commands import main
from assistant.messages import SERVICES
from tests.conftest import need

UNITS = "etc/systemd/system"
OPENAI = ["--set", "dialogue.llm.engine=openai", "--set", "dialogue.llm.openai.base_url=http://x/v1"]
OPENAI += ["--set", "dialogue.llm.openai.model=m", "--set", "dialogue.llm.openai.api_key_file=my-key"]
WIDE = ["--set", "gateway.host=0.0.0.0", "--set", "gateway.token_file=gateway-token"]
EVDEV = ["--set", "microphone.button.engine=evdev", "--set", "microphone.button.evdev.device=FootSwitch"]
GPIO = ["--set", "microphone.button.engine=gpio", "--set", "microphone.button.gpio.line=PTT"]
GROUPS = ("root", "audio", "video", "render", "input", "gpio")
RTSP = "camera.source.opencv.source=rtsp://camera/1"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The tree of another system."""
    tree = tmp_path / "a root"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc" / "group").write_text("".join(f"{name}:x:{100 + number}:\n" for number, name in enumerate(GROUPS)))
    return tree


Install = Callable[..., dict[str, str]]


@pytest.fixture
def install(root: Path, capsys: pytest.CaptureFixture[str]) -> Install:
    """Installs into the tree; gives the units by name, as they were written."""

    def done(*options: str, folder: str = UNITS) -> dict[str, str]:
        code = main(["systemd", "install", "--root", str(root), *options])
        assert code == 0, capsys.readouterr().err
        return {path.name: path.read_text() for path in (root / folder.lstrip("/")).iterdir()}

    return done


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(["systemd", *arguments])
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1, said
    return code, said


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} - {"etc/group"}


# --- what is written ---


def test_every_service_has_a_unit_and_every_unit_a_service(install: Install) -> None:
    shipped = {path.name for path in paths.shipped("systemd").glob("assistant-*.service")}
    assert shipped == {unitfiles.unit(name) for name in (*SERVICES, "settings")}
    assert set(install("--profile", "demo")) == shipped | {"assistant.target", "assistant.slice"}


def test_only_the_services_of_the_settings_are_wanted(install: Install, root: Path) -> None:
    install("--profile", "demo")
    found = install("--profile", "demo", "--set", "supervisor.services=['dialogue', 'vision']")
    assert "Wants=assistant-dialogue.service assistant-vision.service\n" in found["assistant.target"]
    assert "assistant-camera.service" not in found  # what an older installation had is gone
    assert "assistant-camera" not in (root / "etc/assistant/systemd.json").read_text()


def test_limits_and_watchdog_are_the_supervisors(install: Install) -> None:
    sets = ["supervisor.watchdog_s=7.5", "supervisor.restarts=2", "supervisor.restart_window_s=30"]
    sets += ["supervisor.stop_patience_s=4"]
    found = install("--profile", "demo", *(part for text in sets for part in ("--set", text)))
    lines = found["assistant-vision.service"].splitlines()
    assert {"WatchdogSec=7.5s", "StartLimitBurst=3", "StartLimitIntervalSec=30s", "TimeoutStopSec=4s"} <= set(lines)


def test_the_network_and_the_devices_are_for_those_whose_settings_ask(install: Install) -> None:
    found = install("--profile", "demo")
    fenced = [unitfiles.unit(name) for name in (*SERVICES, "settings") if name != "gateway"]
    assert all("PrivateNetwork=yes" in found[name] for name in fenced)
    assert {"IPAddressDeny=any", "IPAddressAllow=localhost"} <= set(found["assistant-gateway.service"].splitlines())
    assert not any("DeviceAllow" in text or "SupplementaryGroups" in text for text in found.values())
    found = install("--profile", "camera-qa", "--set", RTSP, "--network", "speaker", *WIDE)
    online = {name for name, text in found.items() if "AF_INET" in text}
    assert online == {"assistant-camera.service", "assistant-speaker.service", "assistant-gateway.service"}
    assert not any("PrivateNetwork" in found[name] or "IPAddressDeny" in found[name] for name in online)
    assert "char-video4linux" not in found["assistant-camera.service"]
    assert "DeviceAllow=char-alsa rw" in found["assistant-microphone.service"]
    assert "render" not in found["assistant-microphone.service"]
    assert "DeviceAllow=/dev/rknpu rw" in found["assistant-dialogue.service"]


def test_a_button_is_let_to_the_microphone_whose_settings_name_it(
    install: Install, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a system whose pins belong to no group is told so."""
    reached = {"evdev": "SupplementaryGroups=input\nDeviceAllow=char-input r\n"}
    reached["gpio"] = "SupplementaryGroups=gpio\nDeviceAllow=char-gpiochip rw\n"
    for options in ([], EVDEV, GPIO):
        found = install("--profile", "camera-qa", *options)
        wanted = {("assistant-microphone.service", name) for name in reached if f"button.engine={name}" in str(options)}
        told = {(unit, name) for name, lines in reached.items() for unit, text in found.items() if lines in text}
        assert told == wanted
        assert len(re.findall("char-input|char-gpiochip", "".join(found.values()))) == len(wanted)
    (root / "etc" / "group").write_text("audio:x:29:\nvideo:x:44:\nrender:x:105:\n")
    code, said = refused(capsys, "install", "--root", str(root))
    assert (code, "no group gpio, through which assistant-microphone.service would reach" in said) == (1, True), said


def test_a_key_is_handed_to_the_one_unit_that_needs_it(install: Install, root: Path) -> None:
    plain = "LoadCredential=my-key:/etc/assistant/credentials/my-key"
    found = install("--profile", "demo", *OPENAI)
    assert [name for name, text in found.items() if plain in text] == ["assistant-dialogue.service"]
    sealed = root / "etc/assistant/credentials/my-key.cred"
    sealed.parent.mkdir(parents=True)
    sealed.touch()
    assert f"LoadCredentialEncrypted=my-key:/{sealed.relative_to(root)}" in install()["assistant-dialogue.service"]


def test_a_path_with_blanks_and_percent_signs_is_quoted(install: Install, tmp_path: Path) -> None:
    profile = tmp_path / "50% of it.toml"
    profile.write_text((paths.shipped("config") / "camera-qa.toml").read_text())
    found = install("--profile", str(profile), "--models", "/srv/my models")
    assert 'Environment="ASSISTANT_MODELS=/srv/my models"' in found["assistant-vision.service"]
    assert f'--profile "{tmp_path}/50%% of it.toml"' in found["assistant-settings.service"]


def test_a_users_units_name_nothing_that_only_root_may(install: Install) -> None:
    home = str(unitfiles.Place("user").units)
    found = install("--user", "--profile", "camera-qa", folder=home)
    for text in found.values():
        assert not re.search(r"^(User|Group|SupplementaryGroups|DeviceAllow|ProtectHome|PrivateNetwork)=", text, re.M)
    assert "WantedBy=default.target" in found["assistant.target"]
    assert f"--runtime %t/{paths.NAME} --state {paths.state()}" in found["assistant-speaker.service"]


# --- again, and away ---


def test_installing_again_takes_the_same_options_and_says_what_changed(
    install: Install, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = install("--profile", "demo", "--models", "/srv/models", "--network", "camera")
    camera = root / UNITS / "assistant-camera.service"
    older = camera.read_text().replace("TimeoutStartSec=60", "TimeoutStartSec=50")
    camera.write_text(older)
    record = root / "etc/assistant/systemd.json"
    held = json.loads(record.read_bytes())
    held["files"][f"/{UNITS}/{camera.name}"] = installation._sha256(older.encode())
    record.write_text(json.dumps(held))  # as an older version would have left it
    assert main(["systemd", "status", "--root", str(root)]) == 1
    assert re.search(r"assistant-camera\.service +installed, old", capsys.readouterr().out)
    assert install() == first
    said = capsys.readouterr().out
    assert re.findall(r"^(?:new|updated|removed) .*", said, re.M) == [f"updated    /{UNITS}/assistant-camera.service"]
    assert main(["systemd", "status", "--root", str(root)]) == 0


def test_a_profile_that_is_named_begins_anew_and_else_options_stay(install: Install, root: Path) -> None:
    def choice() -> dict[str, object]:
        return dict(json.loads((root / "etc/assistant/systemd.json").read_bytes())["choice"])

    install("--profile", "demo", "--set", "log.level=debug", "--network", "camera", "--models", "/srv/m")
    install("--network", "speaker")
    kept = {"profile": "demo", "board": "", "set": ["log.level=debug"], "models": "/srv/m"}
    assert choice() == {**kept, "network": ["speaker"]}
    install("--profile", "demo")
    assert choice() == {**kept, "set": [], "network": []}


def test_a_unit_that_was_edited_is_not_lost(install: Install, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install("--profile", "demo")
    camera = root / UNITS / "assistant-camera.service"
    camera.write_text("mine")
    for action in ("install", "uninstall"):
        code, said = refused(capsys, action, "--root", str(root))
        assert (code, "assistant-camera.service: not as they were installed" in said) == (1, True)
        assert "systemctl edit" in said
    assert camera.read_text() == "mine"
    assert install("--force")["assistant-camera.service"] != "mine"
    assert camera.with_name(f"{camera.name}.bak").read_text() == "mine"


def test_a_unit_of_somebody_else_is_not_overwritten(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / UNITS).mkdir(parents=True)
    (root / UNITS / "assistant.target").write_text("[Unit]\nDescription=another assistant\n")
    code, said = refused(capsys, "install", "--root", str(root), "--profile", "demo")
    assert (code, "assistant.target: not as they were installed" in said) == (1, True)
    assert files(root) == {f"{UNITS}/assistant.target"}


def test_uninstall_removes_exactly_what_was_installed(
    install: Install, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install("--profile", "demo")
    mine = [root / "etc/assistant/assistant.toml", root / UNITS / "assistant-camera.service.d/mine.conf"]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    assert main(["systemd", "uninstall", "--root", str(root)]) == 0
    assert files(root) == {str(path.relative_to(root)) for path in mine}
    assert "Not removed: /etc/assistant" in capsys.readouterr().out
    assert main(["systemd", "uninstall", "--root", str(root)]) == 0
    assert "no units are installed" in capsys.readouterr().out
    code, said = refused(capsys, "status", "--root", str(root))
    assert (code, "no units are installed" in said) == (1, True)


def test_status_in_json(install: Install, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install("--profile", "demo")
    (root / UNITS / "assistant-vision.service").unlink()
    capsys.readouterr()
    assert main(["systemd", "status", "--root", str(root), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["profile"]) == (False, "demo")
    assert {row["unit"]: row["file"] for row in told["units"]}["assistant-vision.service"] == "absent"


# --- what is refused ---


def test_a_system_without_the_groups(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "etc/group").write_text("root:x:0:\naudio:x:29:\n")
    code, said = refused(capsys, "install", "--root", str(root))
    assert code == 1
    assert "no group video and no group render" in said
    assert "sudo groupadd --system video && sudo groupadd --system render" in said
    assert "assistant-camera.service, assistant-vision.service, assistant-dialogue.service" in said
    assert files(root) == set()


def test_what_the_services_user_cannot_read(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "home/pi/models").mkdir(parents=True)
    (root / "home/pi").chmod(0o700)
    code, said = refused(capsys, "install", "--root", str(root), "--profile", "demo", "--models", "/home/pi/models")
    assert (code, "/home/pi is closed to others" in said) == (1, True)
    (root / "home/pi").chmod(0o755)
    assert main(["systemd", "install", "--root", str(root), "--profile", "demo", "--models", "/home/pi/models"]) == 0
    text = (root / UNITS / "assistant-vision.service").read_text()
    assert "ProtectHome=tmpfs" in text
    assert "BindReadOnlyPaths=-/home/pi/models" in text


def test_the_folders_of_who_installs_are_none_of_the_units(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With sudo, models and settings of whoever installs are found; the units will not find them."""
    monkeypatch.setenv("XDG_DATA_HOME", "/home/an-admin/.local/share")
    (root / "home/an-admin").mkdir(mode=0o700, parents=True)
    own = paths.user_settings()[-1]
    own.parent.mkdir(parents=True)
    own.write_text("[supervisor]\nservices = ['dialogue']\n")
    try:
        assert main(["systemd", "install", "--root", str(root)]) == 0, capsys.readouterr().err
    finally:
        own.unlink()
        own.parent.rmdir()
    vision = (root / UNITS / "assistant-vision.service").read_text()
    assert "an-admin" not in vision


def test_without_being_root(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, said = refused(capsys, "install", "--profile", "demo")
    assert (code, "sudo " in said, "--user" in said) == (2, True, True)


def test_a_user_without_a_manager(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    code, said = refused(capsys, "install", "--user", "--profile", "demo")
    assert (code, "enable-linger" in said) == (69, True)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--profile", "demoo"], 78, "did you mean 'demo'?"),
        (["--profile", "demo", "--set", "camera.fsp=3"], 78, "did you mean 'fps'?"),
        (
            ["--profile", "demo", "--set", "camera.source.opencv.source=rtsp://a:b@c/1"],
            2,
            "units can be read by everyone",
        ),
        (["--profile", "demo", "--models", "/srv/a$b"], 2, "cannot stand in a systemd unit"),
    ],
)
def test_what_cannot_be_installed(
    options: Sequence[str], code: int, says: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(capsys, "install", "--root", str(root), *options)
    assert (told[0], says in told[1]) == (code, True), told
    assert files(root) == set()


def test_a_record_that_was_damaged(install: Install, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install("--profile", "demo")
    (root / "etc/assistant/systemd.json").write_text("{")
    code, said = refused(capsys, "install", "--root", str(root))
    assert (code, "systemd.json, which says what was installed, cannot be read" in said) == (1, True)


# --- what systemd says of them ---


def analyze(tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    if shutil.which("systemd-analyze") is None:
        need("systemd-analyze")
    runtime = tmp_path / "session"
    runtime.mkdir(exist_ok=True)
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "LANG": "C.UTF-8"}
    return subprocess.run(["systemd-analyze", *arguments], env=environ, capture_output=True, text=True, timeout=60)


WIDEST = ["--profile", "camera-qa", "--set", RTSP, *OPENAI, *GPIO, *(f"--network={name}" for name in SERVICES)]


@pytest.mark.parametrize(
    "options", [["--profile", "demo"], ["--profile", "camera-qa", *EVDEV], WIDEST], ids=["demo", "qa", "net"]
)
@pytest.mark.parametrize("user", [[], ["--user"]], ids=["system", "user"])
def test_systemd_finds_nothing_wrong(
    install: Install, root: Path, tmp_path: Path, user: list[str], options: list[str]
) -> None:
    folder = str(unitfiles.Place("user").units) if user else UNITS
    found = [str(root / folder.lstrip("/") / name) for name in install(*user, *options, folder=folder)]
    done = analyze(tmp_path, *user, "verify", *found)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "options", [["--profile", "demo"], ["--profile", "camera-qa", *EVDEV], WIDEST], ids=["demo", "qa", "net"]
)
def test_every_system_unit_is_fenced(install: Install, root: Path, tmp_path: Path, options: list[str]) -> None:
    version = re.search(r"systemd (\d+)", analyze(tmp_path, "--version").stdout)
    if version is None or int(version[1]) < 250:
        pytest.skip("needs systemd 250, whose systemd-analyze can judge units that are not loaded")
    units = [str(root / UNITS / name) for name in install(*options) if name.endswith(".service")]
    done = analyze(tmp_path, "security", "--offline=true", "--threshold=20", "--no-pager", *units)
    assert done.returncode == 0, [line for line in done.stdout.splitlines() if "Overall" in line]
    assert analyze(tmp_path, "security", "--offline=true", "--threshold=2", "--no-pager", *units).returncode != 0
    assert len(re.findall("Overall exposure level", done.stdout)) == len(units) == len(SERVICES) + 1
