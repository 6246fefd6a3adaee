"""One runtime on one device: the bare session loop, streaming from the cache, and streaming that decodes.

All in one process and with one loaded model, so that the ratios are of the same session.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from airflow_provider_aiopt.runner.streaming import run_streaming
from airflow_provider_aiopt.runtimes.loading import load_model
from airflow_provider_aiopt.spec.model import ModelSpec
from benchmarks import traces
from benchmarks.machine import installed_versions
from benchmarks.nvidia import Utilisation
from benchmarks.systems.package import run_package
from benchmarks.systems.work import Outcome, Work, digest

_BARE_S = 3.0
_WARM_UP_CALLS = 5

Call = Callable[[], None]


def bare_loop(model: ModelSpec, batch_size: int, side: int) -> dict[str, Any]:
    """Return the images per second of the loaded session on pixels that lie in the device's memory.

    :param model: the model, as streaming loads it
    :param batch_size: images of a call
    :param side: width and height of an image
    """
    runtime: Any = load_model(model, batch_sizes=(batch_size,)).runtime
    pixels = np.random.default_rng(0).integers(0, 256, (batch_size, side, side, 3), dtype=np.uint8)
    make = _torch_calls if model.runtime == "torch" else _onnx_calls
    call, wait, context = make(runtime, pixels)
    with context:
        for _ in range(_WARM_UP_CALLS):
            call()
        wait()
        calls, began = 0, time.perf_counter()
        while time.perf_counter() - began < _BARE_S:
            call()
            calls += 1
        wait()
        seconds = time.perf_counter() - began
    return {"images_per_s": calls * batch_size / seconds, "runtime": runtime.description}


def _onnx_calls(runtime: Any, pixels: Any) -> tuple[Call, Call, AbstractContextManager[Any]]:
    import onnxruntime

    session = runtime._session  # noqa: SLF001 - the very session that streaming runs
    device = "cuda" if runtime.on_device else "cpu"
    binding = session.io_binding()
    place = onnxruntime.OrtValue.ortvalue_from_numpy(pixels, device, 0)
    binding.bind_ortvalue_input(runtime.inputs[0].name, place)
    for output in runtime.outputs:
        binding.bind_output(output.name, device)
    return (lambda: session.run_with_iobinding(binding)), binding.synchronize_outputs, nullcontext()


def _torch_calls(runtime: Any, pixels: Any) -> tuple[Call, Call, AbstractContextManager[Any]]:
    import contextlib

    import torch

    device = "cuda" if runtime.on_device else "cpu"
    module = runtime._module  # noqa: SLF001 - the very module that streaming runs
    options = runtime._options  # noqa: SLF001
    place = runtime._tensor(pixels)  # noqa: SLF001
    context = contextlib.ExitStack()
    context.enter_context(torch.inference_mode())
    if options.autocast:
        context.enter_context(torch.autocast(device, dtype=getattr(torch, options.autocast)))
    wait = torch.cuda.synchronize if runtime.on_device else (lambda: None)
    return (lambda: module(place)), wait, context


def stream(work: Work, *, on_gpu: bool) -> tuple[Outcome, dict[str, Any]]:
    """Stream *work* and return the outcome and the figures."""
    use = Utilisation()
    with use.sampled() if on_gpu else nullcontext():
        outcome = run_package(work, run_streaming)
    inference, preprocess = (outcome.details["stages"][stage] for stage in ("inference", "preprocess"))
    return outcome, {
        "images_per_s": len(outcome.labels) / outcome.seconds,
        "report_busy_share": inference["busy_s"] / inference["wall_s"],
        "nvml_busy_share": use.mean,
        "nvml_samples": len(use.samples),
        "decoded": len(outcome.labels) - preprocess["cache_hits"],
        "cpu_s": outcome.details["cpu_s"],
        "stages": outcome.details["stages"],
    }


def trace(work: Work, target: Path | None) -> dict[str, Any]:
    """Stream *work* under CUPTI, whichever runtime drives the GPU, and return what the trace shows.

    :param target: file for the GPU's events; None: keep none
    """
    from torch.profiler import ProfilerActivity, profile

    activity = ProfilerActivity.CPU if target is None else ProfilerActivity.CUDA
    with profile(activities=[activity]) as profiler:
        run_package(work, run_streaming)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(file))
        events = traces.device_events(json.loads(file.read_text()))
    if target is not None:
        traces.write(events, target)
    return traces.summary(events)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Do what the command line asks for."""
    on_gpu = arguments.model["device"] != "cpu"
    options = {**arguments.options, "model": {k: v for k, v in arguments.model.items() if k != "uri"}}
    decoding = Work(arguments.images, arguments.model["uri"], options)
    cached = Work(arguments.images, decoding.model, options | {"cache": arguments.cache})
    if arguments.trace:
        return {"trace": trace(cached, arguments.trace if on_gpu else None)}
    bare = bare_loop(
        ModelSpec.model_validate(arguments.model | {"threads": 1}),
        options["batch_size"],
        options["preprocess"]["size"],
    )
    warm_up = Work(arguments.warm_up, decoding.model, options)
    run_package(warm_up, run_streaming)  # what a process does once, such as imports
    outcome, from_cache = stream(cached, on_gpu=on_gpu)
    answer = {"bare": bare, "cached": from_cache, "images": len(outcome.labels)}
    if arguments.decode:
        again, answer["decoding"] = stream(decoding, on_gpu=on_gpu)
        if digest(again.labels) != digest(outcome.labels):
            raise RuntimeError("The labels from the cache differ from those of decoded images")
    if arguments.labels_to:
        arguments.labels_to.write_text(json.dumps(dict(outcome.labels)))
    return {**answer, "versions": installed_versions()}


def main() -> None:
    """Measure and print the answer as the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--model", type=json.loads, required=True, metavar="JSON")
    parser.add_argument("--options", type=json.loads, required=True, metavar="JSON")
    parser.add_argument("--cache", required=True)
    parser.add_argument("--warm-up", type=Path, required=True, help="folder of a few images to begin with")
    parser.add_argument("--decode", action="store_true", help="stream without the cache as well")
    parser.add_argument("--trace", type=Path, help="stream under the profiler instead; file for the events")
    parser.add_argument("--labels-to", type=Path, help="write the labels to this file, as JSON")
    print(json.dumps(measure(parser.parse_args())), flush=True)


if __name__ == "__main__":
    main()
