#!/usr/bin/env python3
"""What leaving out closed channels saves: time of a network whose gates close a random part, against its share of the
multiply-accumulates.

    python gates.py NAP model.onnx [--share 0.5] [--rounds 7] [--threads 1,2]

Gates stand as nap puts them: in blocks of 8 channels, behind what follows a convolution alone. Their decisions are
random and the same for every image, so that it is speed alone that is measured; each threshold is one for all. Times
are of single images, of `nap profile --time`, the networks in turns; medians.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

BLOCK = 8
FOLLOWERS = {"BatchNormalization", "Relu", "Clip"}


def gated(model, share, seed=0):
    """The network with gates, and the share of the multiply-accumulates that is left."""
    graph = model.graph
    for dim in graph.input[0].type.tensor_type.shape.dim[:1]:
        dim.dim_value = 1
    model = shape_inference.infer_shapes(model)
    graph = model.graph
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
              for v in list(graph.value_info) + list(graph.input) + list(graph.output)}
    weights = {t.name: list(t.dims) for t in graph.initializer}
    readers, makers = {}, {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
        for name in node.output:
            makers[name] = node
    rng = np.random.default_rng(seed)

    def macs(node):
        out = shapes[node.output[0]]
        return int(np.prod(weights[node.input[1]][1:])) * int(np.prod(out[1:]))

    def way(name):
        """Convolutions on the way back to where a residual begins, and that place."""
        found = []
        while name in makers and makers[name].op_type in FOLLOWERS | {"Conv"}:
            if makers[name].op_type == "Conv":
                found.append(makers[name].name)
            name = makers[name].input[0]
        return found, name

    shortcuts = set()
    for node in graph.node:
        if node.op_type == "Add" and all(i in makers for i in node.input):
            (a, start), (b, other) = way(node.input[0]), way(node.input[1])
            if start == other and len(a) != len(b):
                shortcuts |= set(min(a, b, key=len))
    sites, total = [], 0
    for node in graph.node:
        if node.op_type == "Gemm":
            total += int(np.prod(weights[node.input[1]]))
        if node.op_type != "Conv":
            continue
        total += macs(node)
        group = next((a.i for a in node.attribute if a.name == "group"), 1)
        if group != 1 or node.input[0] == graph.input[0].name or node.name in shortcuts:
            continue
        value = node.output[0]
        while len(readers.get(value, [])) == 1 and readers[value][0].op_type in FOLLOWERS:
            value = readers[value][0].output[0]
        sites.append((node, value))
    closers = {value: rng.random((shapes[value][1] + BLOCK - 1) // BLOCK) for _, value in sites}

    def openness(threshold):
        found = {}
        for value, numbers in closers.items():
            channels = shapes[value][1]
            sizes = [min(BLOCK, channels - BLOCK * k) for k in range(len(numbers))]
            found[value] = sum(s for s, x in zip(sizes, numbers) if x > threshold) / channels
        return found

    site_of = {node.name: value for node, value in sites}

    def cost(threshold):
        found = openness(threshold)
        sum_ = total
        for node in graph.node:
            if node.op_type != "Conv":
                continue
            source = node.input[0]
            while source not in found and source in makers and makers[source].op_type in {
                    "Relu", "MaxPool", "AveragePool"}:
                source = makers[source].input[0]
            factor = found.get(site_of.get(node.name), 1) * found.get(source, 1)
            sum_ -= macs(node) * (1 - factor)
        return sum_ / total

    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(middle) > share else (low, middle)
    threshold, left = high, cost(high)
    nodes = list(graph.node)
    added = []
    for index, (conv, value) in enumerate(sites):
        inputs, channels = shapes[conv.input[0]][1], shapes[value][1]
        hidden, units, name = min(64, max(8, inputs // 4)), len(closers[value]), f"gate{index}"

        def constant(suffix, array):
            graph.initializer.append(numpy_helper.from_array(array, f"{name}.{suffix}"))
            return f"{name}.{suffix}"

        w1 = constant("w1", rng.standard_normal((hidden, inputs, 1, 1)).astype(np.float32))
        w2 = constant("w2", np.zeros((units, hidden, 1, 1), np.float32))
        b2 = constant("b2", closers[value].astype(np.float32))
        least = constant("threshold", np.array([threshold], np.float32))
        where = constant("unit", np.arange(channels, dtype=np.int64) // BLOCK)
        made = [
            helper.make_node("GlobalAveragePool", [conv.input[0]], [f"{name}.mean"]),
            helper.make_node("Conv", [f"{name}.mean", w1], [f"{name}.hidden"], kernel_shape=[1, 1]),
            helper.make_node("Relu", [f"{name}.hidden"], [f"{name}.active"]),
            helper.make_node("Conv", [f"{name}.active", w2, b2], [f"{name}.units"], kernel_shape=[1, 1]),
            helper.make_node("Greater", [f"{name}.units", least], [f"{name}.open"]),
            helper.make_node("Cast", [f"{name}.open"], [f"{name}.decision"], to=TensorProto.FLOAT),
            helper.make_node("Gather", [f"{name}.decision", where], [f"{name}.channels"], axis=1),
            helper.make_node("Mul", [f"{name}.features", f"{name}.channels"], [value]),
        ]
        for k, node in enumerate(made):
            node.name = f"{name}/{k}"
        makers[value].output[0] = f"{name}.features"
        added.append((makers[value], made))
    order = []
    for node in nodes:
        order.append(node)
        for maker, made in added:
            if maker is node:
                order += made
    del graph.node[:]
    graph.node.extend(order)
    del graph.value_info[:]
    return model, left


def milliseconds(nap, path, threads):
    out = subprocess.run(
        [nap, "profile", path, "--time", "inference", "--batch-size", "1", "--threads", str(threads), "--json"],
        capture_output=True, text=True, check=True)
    return json.loads(out.stdout)["milliseconds"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("nap")
    parser.add_argument("model")
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", default="1,2")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        original = os.path.join(folder, "original.onnx")
        changed = os.path.join(folder, "gated.onnx")
        model = onnx.load(options.model)
        onnx.save(model, original)
        made, share = gated(model, options.share)
        made.ir_version = min(made.ir_version, 10)
        onnx.checker.check_model(made)
        onnx.save(made, changed)
        for threads in map(int, options.threads.split(",")):
            times = {original: [], changed: []}
            for _ in range(options.rounds):
                for path in times:
                    times[path].append(milliseconds(options.nap, path, threads))
            before, after = (statistics.median(times[p]) for p in (original, changed))
            print(f"{os.path.basename(options.model)}, {threads} threads: {100 * share:.1f} % of the MACs, "
                  f"{before:.2f} -> {after:.2f} ms, {100 * after / before:.1f} % of the time, "
                  f"{after / before / share:.2f} times the share")


if __name__ == "__main__":
    sys.exit(main())
