"""An ONNX image encoder to .rknn, compared with onnxruntime in the toolkit's simulator; the report lies beside it.

example:
  python -m models.convert.rknn_vision vision_encoder.onnx --out vision_fp16_rk3588.rknn --soc rk3588 \\
      --pictures photos/ --mean-std clip
  … --dtype int8 --calibration photos/ --pictures other-photos/

exit codes: 0 converted and close enough; 1 the toolkit failed, or the result is not close; 2 what was asked does not go
together or cannot be read; 69 the toolkit is not installed; 130 interrupted
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from models.convert import compare, report, vision_options
from models.convert.outcome import FAILED, OK, ended, say
from models.convert.rknn_convert import convert
from models.convert.vision_options import BOUNDS, PRESETS, VisionOptions

NOT_PLAIN = ("mean_std", "mean", "std", "constant", "op_target", "disable_rule")


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.convert.rknn_vision",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("onnx", type=Path, help="the encoder's graph, float32; weights stored as integers are taken too")
    add("--out", type=Path, required=True, metavar="FILE.rknn")
    add("--soc", choices=vision_options.SOCS, default="rk3588")
    add("--dtype", choices=vision_options.DTYPES, default="fp16")
    add("--pictures", type=Path, metavar="WHERE", help="folder or list of pictures to compare the result on")
    add("--compared", type=int, default=8, metavar="N", help="of them at most so many, evenly from all (8)")
    add("--calibration", type=Path, metavar="WHERE", help="int8: folder or list of pictures as the camera sees them")
    add("--limit", type=int, default=100, metavar="N", help="of them at most so many, evenly from all (100)")
    add("--skip-unreadable", action="store_true", help="leave unreadable pictures out and count them")
    add("--input", default="", metavar="NAME", help="the input that takes the picture, where it is not plain")
    add("--size", type=_size, metavar="N|HxW", help="pixels, where the graph leaves them open")
    add("--mean-std", choices=tuple(PRESETS), default="half", help="a family's mean and std (README.md); half")
    add("--mean", type=_three, metavar="R,G,B", help="of 0 … 255, instead of --mean-std")
    add("--std", type=_three, metavar="R,G,B", help="of 0 … 255, instead of --mean-std")
    add("--normalise", choices=("model", "application"), default="model", help="where mean and std are applied")
    add("--layout", choices=("nhwc", "nchw"), default="nhwc", help="in which the application gives its picture")
    add("--padding", type=_colour, default=(128, 128, 128), metavar="R,G,B", help="around pictures of another shape")
    add("--constant", type=_constant, action="append", default=[], metavar="NAME=V,V", help="an input that is fixed")
    add("--algorithm", choices=vision_options.ALGORITHMS, default="normal", help="int8: how ranges are found")
    add("--auto-hybrid", action="store_true", help="int8: the toolkit leaves layers that lose too much in fp16")
    add("--op-target", type=_target, action="append", default=[], metavar="NODE=cpu", help="where a node is computed")
    add("--disable-rule", action="append", default=[], metavar="NAME", help="of the toolkit's optimiser")
    add("--optimization-level", type=int, default=3, metavar="0-3")
    add("--bound", type=float, default=0.0, metavar="COSINE", help=f"lowest that is accepted ({BOUNDS})")
    add("--force", action="store_true", help="replace what is at --out")
    return parser


def main(given: Sequence[str] | None = None) -> int:
    asked = arguments().parse_args(given)
    mean, std = PRESETS[asked.mean_std]
    plain = {name: value for name, value in vars(asked).items() if name not in NOT_PLAIN}
    options = VisionOptions(
        **plain,
        mean=asked.mean or mean,
        std=asked.std or std,
        constants=dict(asked.constant),
        op_target=dict(asked.op_target),
        disable_rules=asked.disable_rule,
    )

    def work() -> int:
        made = convert(options)
        print(report.text(made), end="")
        for sentence in (worse := compare.below(made.figures, made.bound)):
            say(f"not close enough: {sentence}; README.md says what helps")
        return FAILED if worse else OK

    return ended("rknn_vision", work)


def _three(text: str) -> tuple[float, float, float]:
    red, green, blue = (float(part) for part in text.split(","))
    return red, green, blue


def _colour(text: str) -> tuple[int, int, int]:
    red, green, blue = (int(part) for part in text.split(","))
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise ValueError(text)
    return red, green, blue


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    return int(height), int(width or height)


def _target(text: str) -> tuple[str, str]:
    node, _, where = text.rpartition("=")
    if not node or where not in ("cpu", "gpu", "npu"):
        raise ValueError(text)
    return node, where


def _constant(text: str) -> tuple[str, list[float]]:
    name, _, values = text.partition("=")
    return name, [float(value) for value in values.split(",")]


if __name__ == "__main__":
    raise SystemExit(main())
