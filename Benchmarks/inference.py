"""Inference speed of nap against ONNX Runtime: the same file, threads and batch.

    swift build -c release --product nap
    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install torch torchvision numpy onnx onnxruntime
    /tmp/peers/bin/python Benchmarks/inference.py [--network NAME] [--batch N]

The file holds random weights. Rounds of both alternate and the ratio of the medians is printed.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

import numpy
import onnxruntime

from training import NETWORKS, ROOT, export


class Nap:
    def __init__(self, path, batch):
        self.command = [
            str(ROOT / ".build/release/nap"), "profile", path, "--time", "inference",
            "--batch-size", str(batch), "--json",
        ]

    def images_per_second(self):
        output = subprocess.run(self.command, check=True, capture_output=True).stdout
        return json.loads(output)["images_per_second"]


class Runtime:
    def __init__(self, path, batch, size, name="image"):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = os.cpu_count()
        self.session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        self.name = name
        self.images = numpy.random.rand(batch, 3, size, size).astype(numpy.float32)

    def images_per_second(self):
        times = []
        # Small networks take so little that a few runs would measure what else the machine does.
        while len(times) < 9 or sum(times) < 0.5:
            start = time.perf_counter()
            self.session.run(None, {self.name: self.images})
            times.append(time.perf_counter() - start)
        return len(self.images) / statistics.median(times[2:])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--network", choices=list(NETWORKS), default="resnet50")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/model.onnx"
        build, size, *_ = NETWORKS[arguments.network]
        export(build(), size, path)
        ours, peer = Nap(path, arguments.batch), Runtime(path, arguments.batch, size)
        rates = [(ours.images_per_second(), peer.images_per_second())
                 for _ in range(arguments.rounds)]
    nap, runtime = (statistics.median(values) for values in zip(*rates))
    print(f"nap           {nap:8.1f} images/s\nONNX Runtime  {runtime:8.1f} images/s")
    print(f"ratio         {nap / runtime:8.2f}  ({arguments.network}, batch {arguments.batch}, "
          f"onnxruntime {onnxruntime.__version__})")


if __name__ == "__main__":
    main()
