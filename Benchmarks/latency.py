"""How much faster a pruned network is, in nap and in ONNX Runtime.

    swift build -c release --product nap
    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install torch torchvision numpy onnx onnxruntime
    /tmp/peers/bin/python Benchmarks/latency.py BEFORE.onnx AFTER.onnx [--batch N]

Rounds of all alternate; medians of milliseconds and their ratios are printed.
"""

import argparse
import statistics

import onnx

from inference import Nap, Runtime


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    image = onnx.load(arguments.before, load_external_data=False).graph.input[0]
    size = image.type.tensor_type.shape.dim[-1].dim_value
    engines = {}
    for name, engine in (("nap", lambda path: Nap(path, arguments.batch)),
                         ("ONNX Runtime",
                          lambda path: Runtime(path, arguments.batch, size, image.name))):
        engines[name] = [engine(path) for path in (arguments.before, arguments.after)]
    times = {name: ([], []) for name in engines}
    for _ in range(arguments.rounds):
        for name, pair in engines.items():
            for engine, results in zip(pair, times[name]):
                results.append(1000 * arguments.batch / engine.images_per_second())
    for name, pair in times.items():
        before, after = (statistics.median(values) for values in pair)
        print(f"{name:14} {before:8.3f} ms -> {after:8.3f} ms, {before / after:5.2f} times faster")


if __name__ == "__main__":
    main()
