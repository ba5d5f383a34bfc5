"""The families of models that ship: sound, each fact with its source; and what can be wrong with the manifest."""

import re
from pathlib import Path
from typing import Any

import pytest

from assistant import modelstore
from pipelines import engine
from pipelines.engine import EngineError
from pipelines.llm import rkllm
from pipelines.llm._librkllm_abi import ABI
from pipelines.llm._rkllm_family import settle
from pipelines.llm.librkllm import Tags
from pipelines.npu import families
from pipelines.npu.families import Family
from pipelines.simulator import timings

GOOD: dict[str, Any] = {
    "image_size": [32],
    "tokens": [4],
    "width": 8,
    "outputs": 1,
    "tags": ["<a>", "</a>", "<b>"],
    "context": 512,
    "reuse": "history",
    "history": "lines",
    "thinks": False,
    "sources": {"a page": ["width"]},
    "unverified": [],
}


def test_the_families_that_boards_need_are_there() -> None:
    wanted = {model for _, model in timings.MODELS} | {"internvl3-1b", "smolvlm2-500m"}
    assert wanted <= set(families.names())
    assert {entry.family for entry in modelstore.load().models.values()} - {""} <= set(families.names())


@pytest.mark.parametrize("name", families.names())
def test_what_ships_is_sound_and_each_fact_has_its_source(name: str) -> None:
    found, about = families.family(name), {"sources", "unverified"}
    told = [fact for facts in found.sources.values() for fact in facts]
    facts = [field for field in Family.__struct_fields__ if field not in about]
    if not found.image_size:
        facts = ["context", "template", "reuse", "history", "thinks"]
    assert sorted([*told, *found.unverified]) == sorted(facts)  # each once
    assert all(found.sources)


@pytest.mark.parametrize(("name", "edge"), [("qwen2-vl-2b", 28), ("qwen2.5-vl-3b", 28), ("qwen3-vl-2b", 32)])
def test_rows_of_a_size(name: str, edge: int) -> None:
    """Qwen's encoders make one row of each square of that many pixels."""
    found = families.family(name)
    assert [found.rows(size) for size in found.image_size] == [(size // edge) ** 2 for size in found.image_size]
    assert found.rows(17) == 0


def test_a_row_holds_all_outputs_side_by_side() -> None:
    assert families.family("qwen3-vl-2b").row_width == 4 * 2048
    assert families.family("qwen3-0.6b").row_width == 0


def test_an_unknown_family_is_told_the_nearest_first() -> None:
    with pytest.raises(EngineError, match=r"no model family 'qwen3-vl'; there are, nearest first: qwen3-vl-2b, .*smol"):
        families.family("qwen3-vl")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tokens": [4, 5]}, "as many tokens as image_size"),
        ({"width": 0}, "belong together"),
        ({"tags": ["", "", ""]}, "belong together"),
        ({"image_size": [], "tokens": []}, "belong together"),
        ({"std": [0.5, 0, 0.5]}, "nothing can be divided by 0"),
        ({"image_size": [8]}, r"image_size\[0\]"),
        ({"reuse": "always"}, r"reuse"),
        ({"widht": 8}, "unknown field `widht`"),
        ({"context": None}, r"context"),
    ],
)
def test_what_is_wrong_with_a_family_is_said(changes: dict[str, Any], says: str) -> None:
    assert families.read(GOOD, "m").row_width == 8
    with pytest.raises(EngineError, match=rf"^m: .*{says}"):
        families.read({**GOOD, **changes}, "m")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "is missing, which knows the model families"),
        ("[families", "cannot be read"),
        ("", "table .* is missing"),
    ],
)
def test_a_manifest_that_is_not_right(
    text: str | None, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "manifest.toml").write_text(text)
    monkeypatch.setattr(families, "HOME", tmp_path)
    families._tables.cache_clear()
    with pytest.raises(EngineError, match=says):
        families.family("qwen2-vl-2b")
    families._tables.cache_clear()


def test_a_wheels_manifest_comes_before_one_that_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, name in zip(families.PLACES, ("ours", "theirs"), strict=True):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text(f"[families.{name}]\n")
    monkeypatch.setattr(families, "HOME", tmp_path)
    families._tables.cache_clear()
    assert families.names() == ["ours"]
    families._tables.cache_clear()


def settled(**options: Any) -> Any:
    return settle(engine.options("llm", "rkllm", {"model": "m.rkllm", **options}))  # type: ignore[arg-type]


class TestRkllm:
    def test_without_a_family_all_is_as_most_models_have_it(self) -> None:
        model = settled()
        assert (model.context, model.context_limit, model.row_width, model.picture_tokens) == (4096, None, 0, 196)
        assert (model.tags, model.template) == (Tags("<|vision_start|>", "<|vision_end|>", "<|image_pad|>"), None)
        assert (model.history, model.reuse, model.quiet) == ("lines", "history", False)

    @pytest.mark.parametrize("name", families.names())
    def test_what_is_left_open_the_family_says(self, name: str) -> None:
        known, model = families.family(name), settled(family=name)
        assert (model.row_width, model.tags) == (known.row_width, Tags(*known.tags))
        assert (model.context, model.context_limit) == (min(4096, known.context), known.context)
        assert (model.history, model.reuse, model.quiet) == (known.history, known.reuse, known.thinks)
        assert (model.template is None) == (not known.template)
        assert not known.tokens or model.picture_tokens == known.tokens[0]

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("context", 1024),
            ("context_limit", 2048),
            ("row_width", 0),
            ("picture_tokens", 7),
            ("history", "template"),
            ("reuse", "prefix"),
        ],
    )
    def test_what_is_set_wins(self, option: str, value: Any) -> None:
        assert getattr(settled(family="qwen3.5-0.8b", **{option: value}), option) == value

    def test_tags_templates_and_thoughts_that_are_set_win(self) -> None:
        model = settled(family="smolvlm-256m", tags={"content": "<x>"}, template={"system": "{system}!"})
        assert model.tags == Tags("", "", "<x>")
        assert model.template.system == "{system}!"
        assert settled(family="smolvlm-256m", template="built in").template is None
        assert not settled(family="qwen3.5-0.8b", thinking=True).quiet

    def test_the_context_is_that_of_a_smaller_model(self) -> None:
        assert settled(context_limit=1024).context == 1024

    def test_a_board_without_an_encoder_takes_text_alone(self) -> None:
        assert settled(family="qwen3.5-0.8b", soc="rk3562").row_width == 0

    @pytest.mark.parametrize(
        ("soc", "domain", "cpus"),
        [("rk3588", 1, (4, 5, 6, 7)), ("rk3576", 1, (4, 5, 6, 7)), ("rk3562", 0, (0, 1, 2, 3))],
    )
    def test_what_the_soc_decides(self, soc: str, domain: int, cpus: tuple[int, ...]) -> None:
        """Cores are not named to a release that cannot be told, unless they were asked for: then it is refused."""
        options: Any = engine.options("llm", "rkllm", {"model": "m.rkllm", "soc": soc})
        found = {
            release: rkllm._init(options, settle(options), ABI[release]) for release in ("1.1.4", "1.2.0", "1.3.0")
        }
        assert [init.base_domain_id for init in found.values()] == [domain] * 3
        assert [init.cpus for init in found.values()] == [None, cpus, cpus]
        asked: Any = engine.options("llm", "rkllm", {"model": "m.rkllm", "soc": soc, "cpus": [3]})
        assert rkllm._init(asked, settle(asked), ABI["1.1.4"]).cpus == (3,)

    def test_an_unknown_family_is_refused(self) -> None:
        with pytest.raises(EngineError, match=re.escape("there is no model family 'qwen'")):
            settled(family="qwen")
