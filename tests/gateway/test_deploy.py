"""deploy/: the dashboard, the alerts and the scrape example ask for nothing that /metrics does not tell."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from assistant.checkup.tree import Tree
from assistant.core.vitals import Vitals
from assistant.gateway.line import Line
from assistant.gateway.metrics import Metrics
from assistant.messages import SERVICES, CameraState, DialogueState, Heartbeat, MicrophoneState, SpeakerState
from tests import boards, processes

DEPLOY = processes.ROOT / "deploy"
OF_A_TARGET = {"instance", "job"}  # labels that Prometheus adds
OF_NAMES = {
    "service",
    "camera",
    "version",
    "core",
    "le",
    "route",
    "status",
    *OF_A_TARGET,
}  # whose values no file can know
Series = dict[str, dict[str, set[str]]]  # name -> label -> its values


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Series:
    """All that a board with everything tells."""
    tree = boards.Tree(tmp_path_factory.mktemp("board") / "board", boards.RK3588)
    tree.put("/sys/class/devfreq/fdab0000.npu/cur_freq", "1000000000\n")
    vitals, figures = Vitals(), {"pid": 1.0, "cpu_s": 1.0, "bus_gaps": 0.0, "bus_refused": 0.0}
    figures |= {"frames.main": 1.0, "fps.main": 5.0, "heard_s": 1.0, "overruns": 0.0, "played_s": 1.0, "underruns": 0.0}
    figures |= {"open": 1.0, "wasted_ms": 1.0, "llm_memory_mb": 1.0, "npu_celsius": 40.0}
    for service in SERVICES:
        vitals.fold(Heartbeat(state="ready", figures=figures), service, 1)
    vitals.fold(CameraState(camera="main", state="live", called=("main",)), "camera", 1)
    vitals.fold(MicrophoneState(state="live"), "microphone", 1)
    vitals.fold(SpeakerState(volume=1.0, muted=False), "speaker", 1)
    vitals.fold(DialogueState(persona="plain", language="en", picture="fresh"), "dialogue", 1)
    metrics = Metrics(vitals, lambda: 1, "1.0", Tree(tree.root))
    metrics.answered("/api/v1/state", 200)
    metrics.queue("model", Line(1, 1.0))
    text = metrics.render()[0].decode()
    found: Series = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, defaultdict(set))
            for label, value in sample.labels.items():
                labels[label].add(value)
    return found


def asked(expression: str, series: Series) -> Iterator[str]:
    """What an expression asks for that there is not."""
    bare = re.sub(r"\{[^}]*\}", "", expression)
    names = set(re.findall(r"\bassistant_\w+", bare))
    if not names and not re.search(r"\bup\b", bare):
        yield "no metric at all"
    yield from sorted(names - set(series))
    known = {label for name in names & set(series) for label in series[name]} | OF_A_TARGET
    for labels in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression):
        yield from (f"by {label}" for label in re.findall(r"\w+", labels) if label not in known)
    for name, matchers in re.findall(r"\b(assistant_\w+|up)\{([^}]*)\}", expression):
        for label, equals, value in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', matchers):
            values = series.get(name, {}).get(label)
            if values is None and label not in OF_A_TARGET:
                yield f"{name} has no {label}"
            elif values is not None and label not in OF_NAMES:
                wanted = value.split("|") if "~" in equals else [value]
                yield from (f"{name}: no {label} is {one}" for one in wanted if one not in values)


@pytest.mark.parametrize(
    ("expression", "problems"),
    [
        ("rate(assistant_wake_words_total[5m]) > 0", []),
        ("rate(assistant_wake_words[5m])", ["assistant_wake_words"]),
        ("sum by (le, why) (rate(assistant_first_audio_seconds_bucket[5m]))", ["by why"]),
        ('assistant_turns_total{outcome=~"error|angry"}', ["assistant_turns_total: no outcome is angry"]),
        ('assistant_turns_total{reason="error"}', ["assistant_turns_total has no reason"]),
        ('up{job="x"} == 0', []),
        ("1 > 0", ["no metric at all"]),
    ],
)
def test_what_there_is_not_is_found(expression: str, problems: list[str], series: Series) -> None:
    assert list(asked(expression, series)) == problems


def test_the_dashboard_asks_only_for_metrics_that_there_are(series: Series) -> None:
    board = json.loads((DEPLOY / "grafana" / "edge-assistant.json").read_text())
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
        assert (panel["type"] == "row") == (not panel.get("targets"))
        for target in panel.get("targets", ()):
            assert not list(asked(target["expr"], series)), panel["title"]
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert all(f"{label}" in _labels(target["expr"], series) for label in named), panel["title"]
            assert _even(target["expr"])
    (device,) = [one for one in board["templating"]["list"] if one["name"] == "instance"]
    assert "assistant_build_info" in device["query"]["query"]
    assert "assistant_build_info" in series
    assert all("$instance" in target["expr"] for panel in panels for target in panel.get("targets", ()))


def test_every_metric_is_on_the_dashboard(series: Series) -> None:
    text = (DEPLOY / "grafana" / "edge-assistant.json").read_text()
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in series}
    unshown = {name for name in families if name not in text}
    assert unshown <= {"assistant_turn_seconds"}  # the reply's length is the user's, not the machine's


def test_the_alerts_ask_only_for_metrics_that_there_are(series: Series) -> None:
    groups = _yaml("alerts.yml")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 8
    for rule in rules:
        assert not list(asked(rule["expr"], series)), rule["alert"]
        assert _even(rule["expr"])
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}
        named = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        assert named <= _labels(rule["expr"], series), rule["alert"]


def test_the_scrape_example_shows_the_token() -> None:
    config = _yaml("prometheus.yml")
    (job,) = config["scrape_configs"]
    assert job["authorization"]["type"] == "Bearer"
    assert "credentials_file" in job["authorization"]
    assert (job["metrics_path"], job["job_name"]) == ("/metrics", "edge-assistant")
    assert all((DEPLOY / "prometheus" / name).exists() for name in config["rule_files"])


def _labels(expression: str, series: Series) -> set[str]:
    """Those that its result has, as far as the names tell."""
    kept = re.findall(r"\bby\s*\(([^)]*)\)", expression)
    if kept:
        return {label for labels in kept for label in re.findall(r"\w+", labels)}
    names = re.findall(r"\bassistant_\w+", expression)
    return {label for name in names for label in series.get(name, {})} | OF_A_TARGET


def _even(expression: str) -> bool:
    bare = re.sub(r'"[^"]*"', "", expression)
    return all(bare.count(a) == bare.count(b) for a, b in ("()", "{}", "[]"))


def _yaml(name: str) -> Any:
    path: Path = DEPLOY / "prometheus" / name
    return yaml.safe_load(path.read_text())
