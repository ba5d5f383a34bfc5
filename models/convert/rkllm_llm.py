"""A language model to .rkllm with rkllm-toolkit; the report lies beside it.

choices    which quantised type to take for which SoC
dataset    write calibration data from this project's own questions, to look at or to add to
convert    a Hugging Face folder (GPTQ-Int8, with a LoRA, of an architecture of one's own) or a GGUF (q4_0, fp16)
update     a .rkllm of toolkit 1.0.2 to the present format

example:
  python -m models.convert.rkllm_llm convert Qwen2-VL-2B-Instruct --soc rk3588 --out qwen2-vl-2b_w8a8_rk3588.rkllm

exit codes: 0 done; 1 the toolkit failed; 2 what was asked does not go together or cannot be read, and nothing was
loaded; 69 the toolkit is not installed; 130 interrupted
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from models.convert import report, rkllm_options, rkllm_questions
from models.convert.outcome import OK, ended, say
from models.convert.rkllm_convert import BYTES, Checks, convert, template_of, update
from models.convert.rkllm_options import CHOICES, FLOAT, LlmOptions

TEMPLATES = ("model", "chatml", "plain")


def choices(soc: str) -> list[str]:
    rows = [[one.soc, one.dtype, one.when] for one in CHOICES if soc in ("", one.soc)]
    return report.aligned([["SOC", "TYPE", "WHEN"], *rows])


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.convert.rkllm_llm",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("choices").add_argument
    add("--soc", choices=tuple(rkllm_options.CORES), default="")
    add = actions.add_parser("dataset").add_argument
    add("--out", type=Path, required=True, metavar="FILE.json")
    add("--model", type=Path, metavar="FOLDER", help="for its chat template")
    add("--template", choices=TEMPLATES, default="model")
    add = actions.add_parser("update").add_argument
    add("model", type=Path, metavar="OLD.rkllm")
    add("--out", type=Path, required=True, metavar="NEW.rkllm")
    add("--force", action="store_true")
    add = actions.add_parser("convert").add_argument
    add("model", type=Path, help="Hugging Face folder, or a .gguf")
    add("--out", type=Path, required=True, metavar="FILE.rkllm")
    add("--soc", choices=tuple(rkllm_options.CORES), default="rk3588")
    add("--dtype", default="", help=f"see `choices`; {FLOAT}: not quantised; default: what suits SoC and source")
    add("--algorithm", default="", choices=("", *rkllm_options.ALGORITHMS), metavar="NAME", help="normal, grq or gdq")
    add("--lora", type=Path, metavar="FOLDER", help="an adapter of this model; becomes a file of its own")
    add("--custom-config", type=Path, metavar="FILE.json", help="of an architecture that the toolkit does not know")
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add(
        "--load-dtype", choices=tuple(BYTES), default="float32", help="while converting: bfloat16 takes half the memory"
    )
    add("--cores", type=int, default=0, metavar="N", help="of the NPU; all")
    add("--max-context", type=int, default=4096, metavar="TOKENS", help="at most 16384, in steps of 32 (4096)")
    add("--optimization-level", type=int, default=1, metavar="0|1")
    add("--hybrid-rate", type=float, default=0.0, metavar="SHARE", help="of layers in groups, or without; 0 to below 1")
    add("--extra-qparams", dest="qparams", type=Path, metavar="FILE", help="what gdq found in a run before")
    add("--dataset", type=Path, metavar="FILE.json", help="calibration data; default: this project's questions")
    add("--template", choices=TEMPLATES, default="model", help="how that default data is written (the model's own)")
    add(
        "--chat",
        default="",
        metavar="PROMPT",
        help="asked of the model in the toolkit's simulation before it is written",
    )
    add("--perplexity", type=Path, metavar="TEXT", help="measured on this text file in the same simulation")
    add("--perplexity-tokens", type=int, default=8192, metavar="N")
    add("--trust-remote-code", action="store_true", help="for a tokenizer that is a program (perplexity only)")
    add("--force", action="store_true", help="replace what is at --out")
    return parser


def main(given: Sequence[str] | None = None) -> int:
    asked = arguments().parse_args(given)
    return ended("rkllm_llm", lambda: DO[asked.action](asked))


def _choices(asked: argparse.Namespace) -> int:
    print("\n".join(choices(asked.soc)))
    return OK


def _dataset(asked: argparse.Namespace) -> int:
    notes: list[str] = []
    count = rkllm_questions.write(asked.out, template_of(asked.template, asked.model, notes))
    for note in notes:
        say(f"note: {note}")
    print(f"{asked.out}: {count} samples")
    return OK


def _updated(asked: argparse.Namespace) -> int:
    print(update(asked.model, asked.out, asked.force))
    return OK


def _converted(asked: argparse.Namespace) -> int:
    said = vars(asked)
    checks = Checks(**{name: said.pop(name) for name in Checks.__struct_fields__})
    template = said.pop("template")
    said.pop("action")
    print(report.text(convert(LlmOptions(**said), checks, template)), end="")
    return OK


DO = {"choices": _choices, "dataset": _dataset, "update": _updated, "convert": _converted}


if __name__ == "__main__":
    raise SystemExit(main())
