"""`assistant doctor`, decided: facts in, findings out. Nothing here reads, opens or runs anything."""

from collections.abc import Sequence

from assistant.core.doctor import board, libraries, models, surroundings, tuning
from assistant.core.doctor.facts import Facts
from assistant.core.doctor.finding import Check, Finding, Status, Verdict
from assistant.core.doctor.words import WORDS

CHECKS: tuple[Check, ...] = (
    *board.CHECKS,
    *libraries.CHECKS,
    *models.CHECKS,
    *surroundings.CHECKS,
    *tuning.CHECKS,
)


def examine(facts: Facts) -> list[Finding]:
    """Every check, in order. Where the settings do not use the NPU, what is wrong with it is a warning."""
    there, wanted = board.has_npu(facts), bool(facts.engines & board.NPU_ENGINES)
    found = []
    for check in CHECKS:
        verdicts = check.run(facts) if there or not check.npu else (Verdict("npu.none"),)
        for verdict in verdicts:
            status: Status = WORDS[verdict.case].status
            if check.npu and status == "failure" and not wanted:
                status = "warning"
            found.append(Finding(check.name, check.group, status, verdict.case, verdict.values))
    return found


def worst(findings: Sequence[Finding]) -> int:
    """0: all is well as far as it was checked; 1: warnings; 2: failures."""
    statuses = {finding.status for finding in findings}
    return 2 if "failure" in statuses else 1 if "warning" in statuses else 0
