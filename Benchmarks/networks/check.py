"""Checks what nap makes of exported networks; prints one row of docs/networks.md a file.

python check.py NAP FILE.onnx ...

Columns: imported; largest relative difference to ONNX Runtime; MACs against an independent count;
units; frozen axes of weights; MACs left by `--macs 0.5` in one round and an epoch of fine-tuning on a few
generated images, verified by nap and, against ONNX Runtime, here; that the epoch ran.
"""

import collections
import json
import os
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnxruntime
from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference

nap = sys.argv[1]


def run(*command):
    done = subprocess.run([nap, *map(str, command)], capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise RuntimeError(lines[-1] if lines else f"exit {done.returncode}")
    return done.stdout


def macs(path):
    """Multiply-accumulates of convolutions and products for one image, from ONNX Runtime's shapes."""
    model = onnx.load(path)
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    for value in model.graph.output:
        value.type.tensor_type.shape.dim[0].ClearField("value")
    del model.graph.value_info[:]
    # Shapes that are computed from shapes are folded first.
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, f"{folder}/open.onnx")
        options.optimized_model_filepath = f"{folder}/folded.onnx"
        onnxruntime.InferenceSession(
            f"{folder}/open.onnx", options, providers=["CPUExecutionProvider"])
        model = onnx.load(f"{folder}/folded.onnx")
    graph = SymbolicShapeInference.infer_shapes(model, auto_merge=True).graph
    shapes = {t.name: list(t.dims) for t in graph.initializer}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        shapes[value.name] = [d.dim_value for d in value.type.tensor_type.shape.dim]
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    shapes[node.output[0]] = list(attribute.t.dims)
    total = 0
    for node in graph.node:
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            continue
        x, w, y = shapes[node.input[0]], shapes[node.input[1]], shapes[node.output[0]]
        if node.op_type == "Conv":
            total += numpy.prod(y) * numpy.prod(w[1:])
        elif node.op_type == "ConvTranspose":
            total += numpy.prod(x) * numpy.prod(w[1:])
        elif node.op_type == "Gemm":
            flags = {a.name: a.i for a in node.attribute}
            total += numpy.prod(y) * (x[0] if flags.get("transA") else x[1])
        else:
            total += numpy.prod(y) * x[-1]
    return int(total)


def difference(path, work, batch=2):
    """The largest relative difference between nap's outputs and ONNX Runtime's."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    port = session.get_inputs()[0]
    shape = [batch if isinstance(d, str) else d for d in port.shape]
    x = numpy.random.default_rng(1).standard_normal(shape, dtype=numpy.float32)
    numpy.save(f"{work}/x.npy", x)
    run("run", path, "--input", f"{port.name}={work}/x.npy", "--output", f"{work}/out.npz")
    found = numpy.load(f"{work}/out.npz")
    worst = 0.0
    for output, value in zip(session.get_outputs(), session.run(None, {port.name: x})):
        worst = max(worst, abs(found[output.name] - value).max() / abs(value).max())
    return float(worst), shape


def frozen(profile):
    """How many axes of weights may not be cut and why, besides the network's inputs and outputs."""
    words = {"inside a group": "in a group", "normalized": "normalized over", "reshaped": "reshaped",
             "input of": None, "output of": None}
    count = collections.Counter()
    for axis in profile["frozen"]:
        known = [words[key] for key in words if key in axis["reason"]]
        count[known[0] if known else axis["reason"]] += 1
    return ", ".join(f"{n} {word}" for word, n in count.most_common() if word) or "0"


for path in sys.argv[2:]:
    row = [os.path.basename(path).removesuffix(".onnx")]
    with tempfile.TemporaryDirectory() as work:
        try:
            profile = json.loads(run("profile", path, "--json"))
            row.append("yes")
            worst, shape = difference(path, work)
            row.append(f"{worst:.0e}" if worst <= 1e-4 else f"DIFFERS {worst:.0e}")
            count = macs(path)
            row.append("equal" if count == profile["macs"] else f"{profile['macs']} NOT {count}")
            row.append(str(len(profile["units"])))
            row.append(frozen(profile))
            small = f"{work}/small.onnx"
            # Smooth random images: neighbouring pixels are alike, as in photographs.
            rng = numpy.random.default_rng(2)
            coarse = rng.standard_normal((32, shape[1], -(-shape[2] // 8), -(-shape[3] // 8)))
            images = coarse.repeat(8, 2).repeat(8, 3)[:, :, :shape[2], :shape[3]]
            images = images + 0.3 * rng.standard_normal((32, *shape[1:]))
            numpy.save(f"{work}/images.npy", images.astype(numpy.float32))
            report = json.loads(run(
                "prune", path, "--data", f"{work}/images.npy", "--preset", "plain", "--macs", 0.5,
                "--rounds", 1, "--epochs", 1, "--json", "-o", small))
            left = report["macs_after"] / report["macs_before"]
            onnx.checker.check_model(small, full_check=True)
            worst, _ = difference(small, work)
            row.append(f"{left:.3f}" if left <= 0.5 and report["verified"] and worst <= 1e-4
                       else f"FAILS {left:.3f} {report['verified']} {worst:.0e}")
            row.append("yes")
        except Exception as error:
            row.append(f"FAILS: {str(error)[:300]}")
    print("| " + " | ".join(row) + " |", flush=True)
