"""What the assistant itself stands on: its settings, its directories, microphone, speaker and camera."""

from assistant.core.doctor.facts import Facts, Folder
from assistant.core.doctor.finding import Check, Values, Verdict, Verdicts


def settings(facts: Facts) -> Verdicts:
    if facts.settings:
        yield Verdict("settings.wrong", {"said": facts.settings})
    else:
        yield Verdict("settings.profile", {"profile": facts.profile}) if facts.profile else Verdict("settings.ok")


def runtime(facts: Facts) -> Verdicts:
    yield _folder(facts.live.runtime if facts.live else None, "ASSISTANT_RUNTIME")


def lock(facts: Facts) -> Verdicts:
    yield _folder(facts.live.npu if facts.live else None, "ASSISTANT_NPU")


def _folder(found: Folder | None, variable: str) -> Verdict:
    if found is None:
        return Verdict("folder.unseen")
    return Verdict(f"folder.{found.state}", {"path": found.path, "mode": f"{found.mode:04o}", "variable": variable})


def door(facts: Facts) -> Verdicts:
    found = facts.live.door if facts.live else None
    if found is None:
        yield Verdict("door.none")
        return
    values: Values = {"host": found.host, "port": found.port, "why": found.why}
    if found.why:
        yield Verdict("door.unseen" if found.unseen else "door.token", values)
    elif not found.wide:
        yield Verdict("door.here", values)
    else:
        yield Verdict("door.wide" if found.secure else "door.plain", values)


def sound(facts: Facts) -> Verdicts:
    yield from _opened(facts, "sound")


def camera(facts: Facts) -> Verdicts:
    yield from _opened(facts, "camera")


def _opened(facts: Facts, kind: str) -> Verdicts:
    mine = [each for each in facts.opened if each.kind == kind]
    for each in mine:
        case = "opened.ok" if not each.problem else "opened.closed" if each.fatal else "opened.doubtful"
        yield Verdict(case, {"name": each.name or kind, "problem": each.problem})
    if not mine:
        yield Verdict(facts.not_opened or "opened.unused")


CHECKS = (
    Check("settings", "assistant", False, settings),
    Check("runtime-directory", "assistant", False, runtime),
    Check("npu-lock", "assistant", True, lock),
    Check("gateway", "assistant", False, door),
    Check("sound", "devices", False, sound),
    Check("camera", "devices", False, camera),
)
