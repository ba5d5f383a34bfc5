"""Which device a name means, and what is said where there is none."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.audio import AudioError
from pipelines.audio.devices import Device, Kind, find

ROOT = Path(__file__).resolve().parents[3]


def device(index: int, name: str, inputs: int = 0, outputs: int = 0, default: bool = False) -> Device:
    return Device(index, name, "ALSA", inputs, outputs, 48_000, default and inputs > 0, default and outputs > 0)


MACHINE = [
    device(0, "HDA Intel PCH: ALC257 Analog (hw:0,0)", 2, 2),
    device(1, "HDA Intel PCH: HDMI 0 (hw:0,3)", outputs=8),
    device(2, "USB PnP Sound Device: Audio (hw:1,0)", inputs=1),
    device(3, "seeed-4mic-voicecard: - (hw:2,0)", inputs=4),
    device(4, "pulse", 32, 32),
    device(5, "default", 32, 32, default=True),
    device(6, "dmix", outputs=2),
    device(7, "麦克风", inputs=1),
]


@pytest.mark.parametrize(
    ("name", "kind", "index"),
    [
        ("", "input", 5),
        ("", "output", 5),
        ("usb pnp", "input", 2),
        ("USB PnP Sound Device: Audio (hw:1,0)", "input", 2),
        ("usb pnp sound device: audio (HW:1,0), alsa", "input", 2),
        ("4mic", "input", 3),
        ("hdmi", "output", 1),
        ("hda intel", "input", 0),  # HDMI has no microphone
        ("pulse", "output", 4),
        ("default", "output", 5),
        ("麦克", "input", 7),
    ],
)
def test_a_part_of_the_name_in_any_case_is_enough(name: str, kind: Kind, index: int) -> None:
    assert find(MACHINE, name, kind).index == index


def test_a_whole_name_wins_over_longer_ones_that_hold_it() -> None:
    twins = [device(0, "mic 10", inputs=1), device(1, "mic 1", inputs=1)]
    assert find(twins, "MIC 1", "input").index == 1


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("webcam", "input", "no microphone is called 'webcam'"),
        ("usb", "output", "no speaker is called 'usb'"),
        ("hda", "output", "more than one speaker is called 'hda'"),
        (" ", "input", "more than one microphone is called ' '"),
    ],
)
def test_what_is_not_clear_lists_the_candidates(name: str, kind: Kind, said: str) -> None:
    with pytest.raises(AudioError) as raised:
        find(MACHINE, name, kind)
    text = str(raised.value)
    assert text.startswith(said)
    assert "'HDA Intel PCH: ALC257 Analog (hw:0,0), ALSA'" in text
    if said.startswith("more") and kind == "output":
        assert "dmix" not in text


def test_without_any_device_the_mend_is_said() -> None:
    for kind in ("input", "output"):
        with pytest.raises(AudioError, match="plug one in, or start the sound server"):
            find([device(0, "x")], "", "input" if kind == "input" else "output")


def test_without_a_default_the_first_one_is_taken() -> None:
    assert find([device(3, "a", outputs=2), device(4, "b", outputs=2)], "", "output").index == 3


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        ("OSError('PortAudio library not found')", "apt install libportaudio2"),
        ("ModuleNotFoundError('No module named sounddevice')", "pip install sounddevice"),
    ],
)
def test_a_missing_library_is_named_with_its_mend(error: str, mend: str, tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text(f"raise {error}\n")  # as the package does where PortAudio is missing
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from pipelines.audio import devices; devices.devices()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "pipelines.audio.AudioError: " in done.stderr
    assert mend in done.stderr.splitlines()[-1]


def test_sound_libraries_are_imported_only_when_a_device_is_opened() -> None:
    code = (
        "import sys, assistant.services.microphone, assistant.services.speaker, assistant.commands.devices;"
        "sys.exit('sounddevice' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
