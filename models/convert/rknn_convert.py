"""From an ONNX image encoder to a .rknn and its report: everything but the toolkit's part and the command line."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.convert import child, compare, graph, pictures, report, vision_options
from models.convert.graph import Graph
from models.convert.outcome import Missing, Refused, Say, Stopped, say
from models.convert.report import Report
from models.convert.vision_options import BOUNDS, VisionOptions
from pipelines.image import Picture

MISSING = (
    "rknn-toolkit2 is not installed; in a venv of its own (Python 3.10 to 3.12, x86-64, 5.6 GB): "
    "pip install -r models/convert/requirements.txt; `make convert-check` does it in .venv-convert"
)
PACKAGES = ("rknn-toolkit2", "onnx", "onnxruntime", "numpy")


def convert(options: VisionOptions, say: Say = say) -> Report:
    """Convert, compare, write the model and its report. Raises Stopped, OSError; then ``out`` is as it was before.

    A result that is not close enough is kept, and its report says so: the caller decides by ``compare.below``.
    """
    started = time.monotonic()
    warnings = vision_options.check(options)
    seen = graph.inspect(options.onnx, options.input)
    frame = graph.size(seen, options.size)
    if frame[0] != frame[1]:
        warnings.append("the daemon's rknn engine shows its encoder squares; this one takes none")
    fixed = graph.constants(seen, options.constants)
    if options.dtype == "int8" and (found := graph.integer(seen)):
        raise Refused(f"{options.onnx} computes in integers already ({', '.join(found)}); give the float32 export")
    shown, calibration = _pictures(options, say, warnings)
    _installed()
    with tempfile.TemporaryDirectory(prefix="convert-") as name:
        folder = Path(name)
        say(f"{options.onnx} for {options.soc}, {options.dtype}, pictures of {frame[0]}x{frame[1]}")
        frames = pictures.framed(shown, *frame, options.padding)
        say(f"  onnxruntime on {len(frames)} pictures")
        wanted = _reference(seen, [pictures.normalised(one, options.mean, options.std) for one in frames], fixed)
        job, changes = _job(options, seen, frame, fixed, folder)
        if calibration:
            say(f"  calibration from {len(calibration)} pictures")
            values = [_calibrated(one, options) for one in pictures.framed(calibration, *frame, options.padding)]
            job["build"]["dataset"] = str(pictures.calibration(folder / "calibration", values))
        _save(folder / "pictures.npz", {f"{n:05}": _fed(one, options) for n, one in enumerate(frames)})
        options.out.parent.mkdir(parents=True, exist_ok=True)
        log = options.out.with_name(options.out.name + ".log")  # stays, also of a conversion that failed
        log.unlink(missing_ok=True)
        child.work("models.convert.rknn_worker", job, folder, log, say)
        found_outputs = [_loaded(folder / f"simulated-{number:05}.npz") for number in range(len(frames))]
        try:
            figures = compare.compare(seen.outputs, wanted, found_outputs)
        except ValueError as error:
            raise Stopped(f"{options.onnx}: {error}") from error
        report.place(Path(job["export"]), options.out)
    made = Report(
        kind="rknn",
        made_at=report.now(),
        model=report.source(options.out),
        sources=[report.source(one) for one in (options.onnx, *seen.beside)],
        soc=options.soc,
        dtype=options.dtype,
        options=_options(options, len(calibration)),
        settings=vision_options.settings(options, frame),
        versions=report.versions(PACKAGES),
        seconds=time.monotonic() - started,
        changes=changes,
        warnings=warnings,
        figures=figures,
        bound=options.bound or BOUNDS[options.dtype],
    )
    report.write(made, options.out)
    return made


def _pictures(options: VisionOptions, say: Say, warnings: list[str]) -> tuple[list[Picture], list[Picture]]:
    """The pictures to compare on, and those of the calibration."""
    sets: list[list[Picture]] = []
    for given, most in (
        (options.pictures or options.calibration, options.compared),
        (options.calibration, options.limit),
    ):
        if given is None:
            sets.append([])
            continue
        paths = pictures.find(given)
        came = pictures.read(
            [paths[number] for number in vision_options.thinned(len(paths), most)], options.skip_unreadable
        )
        if came.unreadable:
            warnings.append(f"{len(came.unreadable)} unreadable pictures left out: {'; '.join(came.unreadable)}")
            say(warnings[-1])
        sets.append(came.pictures)
    if options.dtype == "int8" and len(sets[1]) < vision_options.ENOUGH:
        warnings.append(f"calibrated on {len(sets[1])} pictures only; {vision_options.ENOUGH} to 100 are better")
    return sets[0], sets[1]


def _installed() -> None:
    if importlib.util.find_spec("rknn") is None:
        raise Missing(MISSING)


def _job(
    options: VisionOptions, seen: Graph, frame: tuple[int, int], fixed: Mapping[str, NDArray[Any]], folder: Path
) -> tuple[dict[str, Any], list[str]]:
    """What the worker is to do, and what was changed of the graph."""
    job: dict[str, Any] = {
        "config": vision_options.config(options),
        "build": {"do_quantization": options.dtype == "int8"},
        "export": str(folder / "model.rknn"),
        "layout": options.layout,
    }
    if options.dtype == "int8":
        job["build"]["auto_hybrid"] = options.auto_hybrid
    (folder / "graph").mkdir()
    changes = graph.prepare(seen, folder / "graph" / "prepared.onnx", frame, fixed)
    job["load"] = {"model": str(folder / "graph" / "prepared.onnx")}
    return job, changes


def _reference(
    seen: Graph, values: Sequence[NDArray[np.float32]], fixed: Mapping[str, NDArray[Any]]
) -> list[list[NDArray[Any]]]:
    """The outputs of the graph as it came, by onnxruntime, for each picture."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(seen.path), options, providers=["CPUExecutionProvider"])
        rank = len(seen.pixels.shape)
        feeds = [{seen.pixels.name: one.reshape([1] * (rank - 4) + list(one.shape)), **fixed} for one in values]
        return [list(session.run(seen.outputs, feed)) for feed in feeds]
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        raise Refused(f"onnxruntime cannot run {seen.path}: {str(error).splitlines()[0][:300]}") from error


def _fed(frame: Picture, options: VisionOptions) -> NDArray[Any]:
    """A picture as the application on the board hands it over."""
    if options.normalise == "application":
        values = pictures.normalised(frame, options.mean, options.std)
        return values if options.layout == "nchw" else np.ascontiguousarray(values.transpose(0, 2, 3, 1))
    pixels = frame[np.newaxis]
    return pixels if options.layout == "nhwc" else np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def _calibrated(frame: Picture, options: VisionOptions) -> NDArray[np.float32]:
    """A picture of the calibration: before mean and std where the model applies them, after where it does not."""
    if options.normalise == "application":
        return pictures.normalised(frame, options.mean, options.std)
    return pictures.normalised(frame, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def _save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    np.savez(path, **dict[str, Any](arrays))


def _loaded(path: Path) -> list[NDArray[Any]]:
    with np.load(path) as archive:
        return [archive[f"arr_{number}"] for number in range(len(archive.files))]


def _options(options: VisionOptions, calibrated: int) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(options, enc_hook=str)
    return {name: value for name, value in found.items() if name not in ("onnx", "out", "force")} | {
        "calibrated_on": calibrated
    }
