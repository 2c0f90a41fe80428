"""Single examples in ONNX Runtime: a network and what `nap prune --dynamic` made of it.

    /tmp/peers/bin/python Benchmarks/dynamic.py BEFORE.onnx AFTER.onnx IMAGES.npy [--threads 1]

The array holds images as the networks take them, at least some hundred: how long one takes depends on how much it is in
doubt. Both take every image in turn; means over images of the medians of five runs are printed, and their ratio.
"""

import argparse
import statistics
import time

import numpy
import onnxruntime


def session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])


def milliseconds(session, image, runs=5):
    name = session.get_inputs()[0].name
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        session.run(None, {name: image})
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("images")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--count", type=int, default=500)
    arguments = parser.parse_args()
    images = numpy.load(arguments.images).astype(numpy.float32)[: arguments.count]
    sessions = [session(path, arguments.threads) for path in (arguments.before, arguments.after)]
    for each in sessions:
        milliseconds(each, images[:1], 50)
    times = [[milliseconds(each, images[n : n + 1]) for each in sessions] for n in range(len(images))]
    before, after = (statistics.mean(values) for values in zip(*times))
    median = statistics.median(after for _, after in times)
    print(
        f"{before:.3f} ms before; after {after:.3f} in the mean, {median:.3f} in the median: "
        f"{100 * after / before:.0f} % of the time ({len(images)} images, {arguments.threads} threads)")


if __name__ == "__main__":
    main()
