"""How the cost of nap grows: with the batch, with threads, and of curvature with the width of a layer.

    swift build -c release --product nap
    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install torch numpy onnx
    /tmp/peers/bin/python Benchmarks/scaling.py

Rates are relative to the first row of their table; every number is the median of some rounds that go
through the whole table.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile

from torch import nn

from training import ROOT, ResNet, export


def profile(path, *more, threads=None):
    environment = dict(os.environ, **({"OMP_NUM_THREADS": str(threads)} if threads else {}))
    command = [str(ROOT / ".build/release/nap"), "profile", path, "--json", *more]
    output = subprocess.run(command, check=True, capture_output=True, env=environment).stdout
    return json.loads(output)


def table(title, rows, measure, rounds):
    """Measures all rows, round by round; `measure` gives a tuple of numbers."""
    results = {row: [] for row in rows}
    for _ in range(rounds):
        for row in rows:
            results[row].append(measure(row))
    print(title)
    first = None
    for row, values in results.items():
        medians = [statistics.median(column) for column in zip(*values)]
        first = first or medians
        numbers = "  ".join(f"{x:10.1f} ({x / max(y, 1e-9):.2f})" for x, y in zip(medians, first))
        print(f"{row!s:>8}  {numbers}", flush=True)


class Square(nn.Module):
    """A network one layer of which has as many inputs as outputs."""

    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(),
                                    nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))

    def forward(self, x):
        return self.layers(x)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        resnet = f"{folder}/resnet20.onnx"
        export(ResNet(3), 32, resnet)

        def training(batch, threads=None):
            report = profile(resnet, "--time", "training", "--precision", "float32",
                             "--batch-size", str(batch), threads=threads)
            return (report["images_per_second"],)

        table("training ResNet-20, images/s by batch", [1, 4, 16, 64, 128, 256, 512], training,
              arguments.rounds)
        table("the same with batch 128 by threads", list(range(1, os.cpu_count() + 1)),
              lambda threads: training(128, threads), arguments.rounds)
        widths = [64, 256, 1024, 2048, 4096]
        for width in widths:
            export(Square(width), 8, f"{folder}/{width}.onnx")

        def curvature(width):
            report = profile(f"{folder}/{width}.onnx", "--time", "curvature", "--batch-size", "64")
            entries = {entry["step"]: entry["milliseconds"] for entry in report["entries"]}
            return entries["factors"], entries["passes"], entries["inverses"]

        table("curvature by width: ms of factors and of passes of 64 images, ms of inverses", widths,
              curvature, arguments.rounds)


if __name__ == "__main__":
    main()
