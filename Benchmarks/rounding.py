"""What keeping multiples of some number of channels costs and gains: accuracy at equal measured time.

    swift build -c release --product nap
    pip install numpy onnx onnxruntime
    python Benchmarks/rounding.py MODEL.onnx OUT --data DIR [--preset cifar10] [--macs 0.8 0.6 0.4]
        [--rounds 1 4 8 16 auto] [--args "--epochs 1"] [--shape 1x3x32x32] [--threads 1]

Prunes the network to every share of MACs with every --round, all with the same fine-tuning, into OUT (what is
there already is kept, so that a run can be stopped and gone on with), then times all of them and the
original in turns, in ONNX Runtime and in nap, one image at a time. Prints accuracy or agreement, by nap, with the medians
of time as shares of the original's; and for every --round its accuracy at some shares of the original's time,
read off the straight lines between its networks.
"""

import argparse
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy
import onnx
import onnxruntime

ROOT = pathlib.Path(__file__).resolve().parent.parent


def prune(arguments, macs, multiple):
    path = arguments.out / f"{macs}.{multiple}.onnx"
    report = path.with_suffix(".json")
    if not report.exists():
        command = [arguments.nap, "prune", arguments.model, "--data", arguments.data, "--preset", arguments.preset,
                   "--macs", macs, *([] if multiple == "auto" else ["--round", multiple]), "-o", path, "--json", "--quiet",
                   *shlex.split(arguments.args)]
        done = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(os.cpu_count())})
        if done.returncode:
            print(f"--macs {macs} --round {multiple}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            return None
        report.write_text(done.stdout)
    return path, json.loads(report.read_text())


class Runtime:
    def __init__(self, path, shape, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        self.feed = {self.session.get_inputs()[0].name: numpy.random.rand(*shape).astype(numpy.float32)}

    def milliseconds(self):
        times = []
        while len(times) < 7 or sum(times) < 0.15:
            start = time.perf_counter()
            self.session.run(None, self.feed)
            times.append(time.perf_counter() - start)
        return 1000 * statistics.median(times[2:])


class Nap:
    def __init__(self, path, arguments):
        self.command = [str(arguments.nap), "profile", str(path), "--time", "inference", "--batch-size", "1", "--json"]
        self.environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}

    def milliseconds(self):
        done = subprocess.run(self.command, check=True, capture_output=True, env=self.environment)
        return 1000 / json.loads(done.stdout)["images_per_second"]


def at(points, share):
    """Accuracy at a share of the time, on the lines between points (share, accuracy)."""
    points = sorted(points)
    for (x, a), (y, b) in zip(points, points[1:]):
        if x <= share <= y:
            return b if x == y else a + (b - a) * (share - x) / (y - x)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--preset", default="cifar10")
    parser.add_argument("--macs", nargs="+", default=["0.8", "0.6", "0.4"])
    parser.add_argument("--rounds", nargs="+", default=["1", "4", "8", "16", "auto"])
    parser.add_argument("--args", default="--epochs 1")
    parser.add_argument("--shape", default="1x3x32x32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--nap", default=ROOT / ".build/release/nap")
    parser.add_argument("--turns", type=int, default=7)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    shape = [int(size) for size in arguments.shape.split("x")]

    results = {}
    for macs in arguments.macs:
        for multiple in arguments.rounds:
            found = prune(arguments, macs, multiple)
            if found:
                results[macs, multiple] = found
    paths = {"original": arguments.model, **{key: path for key, (path, _) in results.items()}}
    engines = {name: {key: make(path) for key, path in paths.items()} for name, make in (
        ("ONNX Runtime", lambda path: Runtime(path, shape, arguments.threads)),
        ("nap", lambda path: Nap(path, arguments)))}
    times = {name: {key: [] for key in paths} for name in engines}
    for _ in range(arguments.turns):
        for name, networks in engines.items():
            for key, engine in networks.items():
                times[name][key].append(engine.milliseconds())
    shares = {
        name: {key: statistics.median(values) / statistics.median(networks["original"])
               for key, values in networks.items()}
        for name, networks in times.items()}

    before = next(iter(results.values()))[1]["accuracy_before"]
    print(f"original {before:.2f} %, " + ", ".join(
        f"{name} {statistics.median(networks['original']):.3f} ms" for name, networks in times.items()))
    print(f"{'--macs':>7} {'--round':>8} {'MACs':>7} {'accuracy':>9} " + " ".join(f"{name:>13}" for name in engines))
    for (macs, multiple), (_, report) in results.items():
        kept = report["macs_after"] / report["macs_before"]
        print(f"{macs:>7} {multiple:>8} {100 * kept:6.1f}% {report['accuracy_after']:8.2f}% " + " ".join(
            f"{100 * shares[name][macs, multiple]:12.1f}%" for name in engines))
    for name in engines:
        print(f"accuracy at a share of the time in {name}")
        points = {multiple: [(1.0, before)] + [
            (shares[name][key], report["accuracy_after"]) for key, (_, report) in results.items() if key[1] == multiple]
            for multiple in arguments.rounds}
        marks = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
        print(f"{'--round':>8} " + " ".join(f"{100 * mark:7.0f}%" for mark in marks))
        for multiple in arguments.rounds:
            values = [at(points[multiple], mark) for mark in marks]
            print(f"{multiple:>8} " + " ".join("       -" if value is None else f"{value:8.2f}" for value in values))


if __name__ == "__main__":
    main()
