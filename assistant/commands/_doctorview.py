"""``assistant doctor``: findings as a table for programs, and as lines for people."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from assistant.core import doctor
from assistant.core.doctor import tuning
from assistant.core.doctor.facts import Facts
from assistant.core.doctor.finding import Finding, Status
from assistant.core.doctor.words import GROUPS, STATUSES, tell
from assistant.messages import Language

LOOKS: dict[Status, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "failure": ("✗", "bold red"),
    "not checked": ("·", "dim"),
}
TUNE: dict[Language, str] = {
    "en": "to tune the board until its next start (nothing of this was run)",
    "zh": "性能设置命令，重启后失效（这里没有执行）",
}
UNDO: dict[Language, str] = {"en": "# undo:", "zh": "# 撤销："}
COLON: dict[Language, str] = {"en": ": ", "zh": "："}


def table(findings: Sequence[Finding], facts: Facts, language: Language) -> dict[str, Any]:
    """The one object of ``--json``."""
    return {
        "exit": doctor.worst(findings),
        "counts": {status: _counts(findings)[status] for status in STATUSES},
        "checks": [_row(finding, language) for finding in findings],
        "tuning": [msgspec.to_builtins(each) for each in tuning.commands(facts)] if _board(findings) else [],
    }


def _row(finding: Finding, language: Language) -> dict[str, str]:
    fact, mend = tell(finding, language)
    return {
        "check": finding.check,
        "group": finding.group,
        "status": finding.status,
        "case": finding.case,
        "fact": fact,
        "mend": mend,
    }


def show(findings: Sequence[Finding], facts: Facts, language: Language) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for group, names in GROUPS.items():
        mine = [each for each in findings if each.group == group and each.status != "not checked"]
        if mine:
            console.print(Text(names[language], "bold"))
        for finding in mine:
            for line in _lines(finding, language):
                console.print(line)
    for fact, checks in _unchecked(findings, language).items():
        console.print(Text(f"{STATUSES['not checked'][language]}{COLON[language]}{', '.join(checks)} ({fact})", "dim"))
    commands = list(tuning.commands(facts)) if _board(findings) else []
    if commands:
        console.print(Text(f"\n{TUNE[language]}", "bold"))
    for each in commands:
        console.print(Text(f"  {each.do}"))
        console.print(Text(f"    {UNDO[language]} {each.undo}", "dim"))
    counts = _counts(findings)
    told = [f"{STATUSES[status][language]} {counts[status]}" for status in STATUSES if counts[status]]
    console.print(Text(f"\n{', '.join(told)}", LOOKS[_worst(findings)][1]))


def _lines(finding: Finding, language: Language) -> Iterator[Text]:
    sign, colour = LOOKS[finding.status]
    fact, mend = tell(finding, language)
    yield Text.assemble(("  " + sign, colour), f" {finding.check}  ", (fact, "dim" if finding.status == "ok" else ""))
    if mend:
        yield Text(f"      {mend}", "cyan")


def _unchecked(findings: Sequence[Finding], language: Language) -> dict[str, list[str]]:
    """Checks by the reason why they were not done: on a PC that is one reason for most."""
    found = dict[str, list[str]]()
    for finding in findings:
        if finding.status == "not checked":
            fact, mend = tell(finding, language)
            checks = found.setdefault(f"{fact}; {mend}" if mend else fact, [])
            if finding.check not in checks:
                checks.append(finding.check)
    return found


def _counts(findings: Sequence[Finding]) -> Counter[Status]:
    return Counter(finding.status for finding in findings)


def _worst(findings: Sequence[Finding]) -> Status:
    order: tuple[Status, ...] = ("ok", "warning", "failure")
    return order[doctor.worst(findings)]


def _board(findings: Sequence[Finding]) -> bool:
    """Whether this is a board, which alone is tuned."""
    return all(finding.case != "npu.none" for finding in findings)
