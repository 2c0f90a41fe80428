"""Times of a network's layers in ONNX Runtime, as the table that nap prunes by.

    pip install numpy onnx onnxruntime
    python Benchmarks/latency_table.py MODEL.onnx times.csv [--threads 1] [--batch 1]
    nap prune MODEL.onnx --data DIR --latency 0.5 --latency-table times.csv -o fast.onnx

Every Conv, ConvTranspose, Gemm and MatMul with a weight is timed at several widths (shares of its
channels, both sides at once; those of the network's inputs and outputs stay), in a network of its own: one
that computes it five times with different weights, less one that computes it once, so that what a call and
what laying out images anew take does not count. Runs of all widths take turns; medians. What the whole
network takes besides is shared among the other nodes that ONNX Runtime leaves, as its profile has it. The
last line on standard error compares the table's sum with the whole network.

Convolutions of channels that are no multiple of 4 or 16 take longer in ONNX Runtime: --widths 1 0.664 0.5
(85 of 128 channels) shows how much, in a table that is not smooth then.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
COPIES = 5


# MARK: Networks
def open_session(model, threads, profile=None):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    source = model if isinstance(model, str) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, ["CPUExecutionProvider"])


def names(nodes):
    """As nap names them: Type_index where there is none, numbered where one is taken."""
    taken, seen, result = {node.name for node in nodes}, set(), []
    for index, node in enumerate(nodes):
        name = node.name
        if not name or name in seen:
            stem, suffix = name or f"{node.op_type}_{index}", 1
            name = stem
            while name in taken:
                name, suffix = f"{stem}_{suffix}", suffix + 1
            taken.add(name)
        seen.add(name)
        result.append(name)
    return result


def input_shapes(model, batch, given):
    """The shapes of the inputs; what is open is the batch at the front, else as given."""
    constants = {tensor.name for tensor in model.graph.initializer}
    shapes = {}
    for value in model.graph.input:
        if value.name in constants:
            continue
        dims = value.type.tensor_type.shape.dim
        shape = given.get(value.name) or [
            d.dim_value or (batch if axis == 0 else None) for axis, d in enumerate(dims)]
        if None in shape:
            sys.exit(f"the input '{value.name}' leaves sizes open: give --input-shape {value.name}=...")
        shapes[value.name] = shape
    return shapes


def all_shapes(model, feeds):
    """Shapes of all values, as ONNX Runtime computes them."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    shown = {value.name for value in copy.graph.output}
    for node in copy.graph.node:
        for name in node.output:
            if name and name not in shown:
                copy.graph.output.append(onnx.ValueInfoProto(name=name))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        copy.SerializeToString(), options, ["CPUExecutionProvider"])
    outputs = [port.name for port in session.get_outputs()]
    shapes = {name: list(value.shape) for name, value in zip(outputs, session.run(None, feeds))}
    return shapes | {name: list(value.shape) for name, value in feeds.items()}


class Layer:
    """A node with a weight, and what its channels are."""

    def __init__(self, node, name, weight, shapes, fixed_inputs, fixed_outputs):
        self.node, self.name, self.weight = node, name, list(weight.shape)
        self.input, self.output = shapes[node.input[0]], shapes[node.output[0]]
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        self.groups = attributes.get("group", 1)
        if node.op_type == "Conv":
            self.input_axis, self.output_axis, self.channel = 1, 0, 1
        elif node.op_type == "ConvTranspose":
            self.input_axis, self.output_axis, self.channel = 0, 1, 1
        else:
            transposed = attributes.get("transB", 0)
            self.input_axis, self.output_axis = (1, 0) if transposed else (0, 1)
            self.channel = len(self.input) - 1
        self.fixed_inputs, self.fixed_outputs = fixed_inputs, fixed_outputs

    def narrowed(self, width):
        """The node's channels (as they stand in the weight), its groups and its input at a width."""
        def part(count):
            return max(1, round(width * count))
        weight, groups, image = list(self.weight), self.groups, list(self.input)
        if groups > 1 and 1 in (weight[self.input_axis], weight[0] // groups):
            # By channel: whole groups go.
            groups = groups if self.fixed_inputs else part(groups)
            weight[0] = weight[0] // self.groups * groups
            image[self.channel] = image[self.channel] // self.groups * groups
        else:
            if not self.fixed_inputs:
                image[self.channel] = part(image[self.channel] // groups) * groups
                weight[self.input_axis] = image[self.channel] // (1 if self.input_axis == 0 else groups)
            if not self.fixed_outputs:
                per_group = groups if self.output_axis == 0 else 1
                weight[self.output_axis] = part(weight[self.output_axis] // per_group) * per_group
        return weight, groups, image

    def network(self, width, copies):
        """The node several times over, with different weights, its results added (Conv) or beside each other."""
        weight, groups, image = self.narrowed(width)
        generator = numpy.random.default_rng(0)
        outputs = weight[self.output_axis] * (groups if self.output_axis == 1 and groups > 1 else 1)
        nodes, constants, results = [], [], []
        for k in range(copies):
            node = onnx.NodeProto()
            node.CopyFrom(self.node)
            for attribute in node.attribute:
                if attribute.name == "group":
                    attribute.i = groups
            inputs = ["x", f"w{k}"]
            # Normalizations are folded into biases, so there always is one.
            constants.append(numpy_helper.from_array(
                0.1 * generator.standard_normal(weight, dtype=numpy.float32), f"w{k}"))
            if node.op_type != "MatMul":
                inputs.append(f"b{k}")
                constants.append(numpy_helper.from_array(
                    generator.standard_normal(outputs, dtype=numpy.float32), f"b{k}"))
            node.ClearField("input"), node.ClearField("output")
            node.input.extend(inputs)
            node.output.append(f"y{k}")
            node.name = f"node{k}"
            nodes.append(node)
            results.append(f"y{k}")
            if self.node.op_type == "Conv" and k:
                nodes.append(helper.make_node("Add", [results[0], f"y{k}"], [f"s{k}"]))
                results = [f"s{k}"]
        graph = helper.make_graph(
            nodes, "layer", [helper.make_tensor_value_info("x", TensorProto.FLOAT, image)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in results], constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), image


def layers(model, shapes):
    """The nodes with weights, and all others."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    known = names(model.graph.node)
    def is_layer(node):
        return node.op_type in WEIGHTED and len(node.input) > 1 and node.input[1] in constants and \
            constants[node.input[1]].ndim >= 2
    outside = set(shapes) - {name for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        if not is_layer(node) and outside.intersection(node.input):
            outside.update(node.output)
    leaving = {value.name for value in model.graph.output}
    for node in reversed(model.graph.node):
        if not is_layer(node) and leaving.intersection(node.output):
            leaving.update(node.input)
    found, others = [], []
    for node, name in zip(model.graph.node, known):
        if is_layer(node):
            found.append(Layer(node, name, constants[node.input[1]], shapes, node.input[0] in outside,
                               node.output[0] in leaving))
        elif node.op_type != "Constant":
            others.append((node, name))
    return found, others


# MARK: Times
def medians(calls, seconds, threads, least=15):
    """Median seconds of calls that take turns, for about as long."""
    # A single thread's own time: what else the machine does in between does not count.
    clock = time.thread_time if threads == 1 else time.perf_counter
    for call in calls:
        call(), call()
    times = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while len(times[0]) < least or time.perf_counter() < end:
        for call, found in zip(calls, times):
            start = clock()
            call()
            found.append(clock() - start)
    return [statistics.median(found) for found in times]


def layer_times(layer, widths, threads, seconds):
    """(inputs, outputs, milliseconds) of a layer, by width."""
    calls, sizes = [], []
    for width in widths:
        weight = layer.narrowed(width)[0]
        size = (weight[layer.input_axis], weight[layer.output_axis])
        if size in sizes:
            continue
        sizes.append(size)
        for copies in (1, COPIES):
            model, image = layer.network(width, copies)
            session = open_session(model, threads)
            x = numpy.random.default_rng(1).standard_normal(image, dtype=numpy.float32)
            calls.append(lambda session=session, x=x: session.run(None, {"x": x}))
    times = medians(calls, seconds * len(sizes), threads)
    return [(*size, max(1e-6, 1e3 * (many - one) / (COPIES - 1)))
            for size, one, many in zip(sizes, times[::2], times[1::2])]


def profile(model, feeds, others, threads):
    """Milliseconds of every other node that ONNX Runtime leaves, as its profile has them."""
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(model, threads, f"{folder}/profile")
        for _ in range(50):
            session.run(None, feeds)
        with open(session.end_profiling()) as file:
            events = json.load(file)
    durations = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            key = event["name"].removesuffix("_kernel_time"), event["args"]["op_name"]
            durations.setdefault(key, []).append(event["dur"] / 1e3)
    times = {}
    for node, name in others:
        # In blocks of channels, a node is called by its result.
        found = durations.get((node.name, node.op_type)) or durations.get(
            (f"{node.output[0]}_nchwc", node.op_type))
        if found:
            times[name] = statistics.median(found)
    return times


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--input-shape", action="append", default=[], metavar="NAME=1x3x32x32")
    parser.add_argument("--widths", type=float, nargs="+", default=[1, 0.75, 0.5, 0.25, 0.125])
    parser.add_argument("--seconds", type=float, default=0.15, help="for every width of every layer")
    arguments = parser.parse_args()
    given = {name: [int(d) for d in shape.split("x")]
             for name, shape in (text.rsplit("=", 1) for text in arguments.input_shape)}
    model = onnx.load(arguments.model)
    feeds = {name: numpy.random.default_rng(0).random(shape, dtype=numpy.float32)
             for name, shape in input_shapes(model, arguments.batch, given).items()}
    shapes = all_shapes(model, feeds)
    found, others = layers(model, shapes)
    lines, total, narrow = [], 0.0, 0.0
    for number, layer in enumerate(found):
        times = layer_times(layer, arguments.widths, arguments.threads, arguments.seconds)
        lines += [(layer.name, *time) for time in times]
        total += times[0][2]
        narrow += times[-1][2]
        print(f"\r{number + 1} of {len(found)} layers", end="", file=sys.stderr, flush=True)
    session = open_session(arguments.model, arguments.threads)
    whole = 1e3 * medians([lambda: session.run(None, feeds)], 3, arguments.threads)[0]
    shares = profile(arguments.model, feeds, others, arguments.threads)
    rest = max(0.0, whole - total)
    for node, name in others:
        shape = shapes[node.output[0]]
        if name in shares and len(shape) > 1:
            lines.append((name, shape[1], shape[1], rest * shares[name] / sum(shares.values())))
    with open(arguments.out, "w") as file:
        file.write("node,inputs,outputs,milliseconds\n")
        file.writelines(f"{name},{i},{o},{t:.6f}\n" for name, i, o, t in lines)
    print(f"\rlayers {total:.3f} ms (at the least width {narrow:.3f}), the whole network {whole:.3f} ms: "
          f"{total / whole:.2f}", file=sys.stderr)


if __name__ == "__main__":
    main()
