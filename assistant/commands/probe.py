"""Try what a Rockchip board and its model do, once, and tell it: is a prompt reused past a picture, how soon is an
abort seen, is a second picture answered as the first, do image encoder and language model go together, how long do they
load.

No daemon is needed, and none may run meanwhile. Each step has a process of its own: where a library crashes, that is a
finding too. It takes one to five minutes. What ``--json`` prints holds the board's name, versions and figures, but no
folder and no picture of yours: send it to the project, and everybody's settings get better.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from assistant import client, config, paths
from assistant.commands import (
    FAILED,
    OK,
    UNAVAILABLE,
    USAGE,
    Failure,
    _probe_board,
    _probe_pair,
    _probe_steps,
    _settings,
)
from assistant.commands._child import told
from assistant.commands._probe_steps import QUESTIONS, Finding, Subject
from assistant.config import Config
from assistant.core.probing import Conclusion
from pipelines import engine
from pipelines.npu.lock import Npu, Rank

FORMAT = 1  # of the JSON


class Step(NamedTuple):
    work: Any  # of _probe_steps
    findings: tuple[str, ...]
    says: str


STEPS = (
    Step(_probe_steps.load, ("load",), "loading the language model"),
    Step(_probe_steps.reuse, ("text_reuse", "picture_reuse", "history"), "asking twice with the same beginning"),
    Step(_probe_steps.second_picture, ("second_picture",), "showing two pictures"),
    Step(_probe_steps.aborts, ("abort_prefill", "abort_decode"), "aborting"),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="", metavar="FILE.rkllm", help="the language model (else the settings')")
    parser.add_argument("--encoder", default="", metavar="FILE.rknn", help="the image encoder (else the settings')")
    parser.add_argument("--library", default="", metavar="FILE", help="librkllmrt.so, if not in its usual place")
    parser.add_argument("--family", default="", metavar="NAME", help="what the model is, of models/manifest.toml")
    parser.add_argument("--soc", default="", metavar="SOC", help="rk3588, rk3576 or rk3562 (else the board's own word)")
    parser.add_argument(
        "--risky", action="store_true", help="also run both libraries at once: boards were seen to freeze from it"
    )
    parser.add_argument(
        "--limit", type=float, default=300.0, metavar="S", help="what takes longer hangs (default %(default)g s)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else")
    _settings.arguments(parser, None)


def run(asked: argparse.Namespace) -> int:
    if asked.limit <= 0:
        raise Failure(f"--limit {asked.limit:g} is no time to work in; give more than 0", USAGE)
    if client.running(paths.runtime()):
        raise Failure(
            "a daemon runs here and has the NPU; stop it, and start it again when the probe is done", UNAVAILABLE
        )
    with tempfile.TemporaryDirectory(prefix="assistant-probe-") as folder:
        subject = _subject(asked, folder)
        findings = _findings(subject, asked.risky, asked.limit)
    board = _probe_board.read(Path("/"), "\n".join(finding["printed"] for finding in findings))
    files = {"llm": _probe_board.file(subject.llm), "vision": _probe_board.file(subject.vision or {})}
    for finding in findings:
        if not finding["broke"]:
            del finding["printed"]  # nobody has to read it, or to look through it for what is private
    hidden = [Path(options["model"]).parent for options in (subject.llm, subject.vision) if options]
    result = _probe_board.without(
        [*hidden, Path(folder), Path.home()], {"format": FORMAT, "board": board, "files": files, "findings": findings}
    )
    if asked.json:
        print(json.dumps(result))
    else:
        print("\n".join(_probe_board.lines(result)))
    return FAILED if any(finding["broke"] for finding in findings) else OK


def _subject(asked: argparse.Namespace, folder: str) -> Subject:
    soc = asked.soc or _probe_board.soc(Path("/"))
    given = {
        "dialogue.llm.rkllm": {"model": asked.model, "library": asked.library, "family": asked.family, "soc": soc},
        "vision.encoder.rknn": {"model": asked.encoder, "family": asked.family, "soc": soc},
    }
    if not asked.encoder and not asked.profile and not asked.board:
        del given["vision.encoder.rknn"]  # options of an encoder without a model
    sets = [f"{table}.{key}={value}" for table, values in given.items() for key, value in values.items() if value]
    found = config.load(_settings.sections(), asked.profile or "", asked.board, [*sets, *asked.set])
    llm, vision = _table(found, "dialogue", "llm", "rkllm"), _table(found, "vision", "encoder", "rknn")
    if not llm.get("model"):
        raise Failure(
            "no model is named; give --model FILE.rkllm, or a profile or board whose settings name one", USAGE
        )
    engine.options("llm", "rkllm", llm)  # what is wrong with them is said here, not by each step
    if not vision.get("model"):
        return Subject(llm, None, folder)
    engine.options("vision", "rknn", vision)
    return Subject(llm, vision, folder)


def _table(found: Config, section: str, field: str, name: str) -> dict[str, Any]:
    settings = getattr(found.section(section, _settings.sections()[section]), field)
    return dict(settings.all_options.get(name, {}))


def _findings(subject: Subject, risky: bool, limit_s: float) -> list[dict[str, Any]]:
    """Of every step, in the order in which they are best read. Nobody else has the NPU meanwhile."""
    npu = subject.llm.get("npu")
    steps = list(STEPS)
    if subject.vision is not None:  # first: it gives the others their pictures
        steps.insert(0, Step(_probe_steps.encoder, ("encoder",), "loading the image encoder"))
    with Npu("probe", Path(npu) if npu else None).hold(Rank.USER_WAITS):
        findings = [finding for step in steps for finding in _stepped(step, subject, limit_s)]
        findings += _both("turns", subject, limit_s, True)
        findings += _both("beside", subject, limit_s, risky)
    return findings


def _stepped(step: Step, subject: Subject, limit_s: float) -> list[dict[str, Any]]:
    print(f"{step.says} …", file=sys.stderr, flush=True)
    came = told(step.work, (subject,), limit_s)
    made = [_plain(finding, came.printed) for finding in came.found]
    missing = [name for name in step.findings if name not in {finding["name"] for finding in made}]
    for name in missing:
        why = came.why or "there is nothing to show: name an encoder, or the width of a picture's rows (row_width)"
        conclusion: Conclusion = "unclear" if came.why else "skipped"
        broken = Finding(name, QUESTIONS[name], "began", {}, conclusion, why)
        made.append(_plain(broken, came.printed, broke=bool(came.why)))
    return made


def _plain(finding: Finding, printed: str = "", broke: bool = False) -> dict[str, Any]:
    return {**msgspec.to_builtins(finding), "broke": broke, "printed": printed}


def _both(name: str, subject: Subject, limit_s: float, wanted: bool) -> list[dict[str, Any]]:
    """Both libraries in two processes: one lock makes them take turns, a lock for each lets them overlap."""
    if subject.vision is None or not (Path(subject.folder) / "rows-0.npy").exists():
        why = "no image encoder is named (--encoder)" if subject.vision is None else "the image encoder gave no rows"
    elif not wanted:
        why = "it can freeze a board until its power is cut; ask for it with --risky"
    else:
        print(
            "both libraries " + ("taking turns" if name == "turns" else "at once") + " …", file=sys.stderr, flush=True
        )
        return [_plain(*_probe_pair.together(name, subject, limit_s))]
    return [_plain(Finding(name, QUESTIONS[name], "nothing", {}, "skipped", why))]
