"""Runs the ONNX project's own node tests for every operator nap claims.

python node_tests.py NAP [-v]

A test applies when it has one node, all its operators are claimed, and its data are float32, with
integers only where nap wants constants, which become initializers, or gives positions. Prints how
many of the tests that apply pass, and fails when one does not that is not refused in a clear
sentence.
"""

import collections
import json
import subprocess
import sys
import tempfile
import warnings

import numpy
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

warnings.filterwarnings("ignore")
nap, verbose = sys.argv[1], "-v" in sys.argv[2:]
# Operators all of whose float inputs may be computed at run time.
COMPUTED = {"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "PRelu", "MatMul", "Concat", "Einsum"}
# Operators that give whole numbers.
POSITIONS = {"ArgMax", "ArgMin", "TopK"}
text = subprocess.run([nap, "operators", "--json"], capture_output=True, text=True, check=True).stdout
# Operators whose tests hold whole numbers for the eye only.
MOVING = {"Pad"}
claimed = set(json.loads(text)["operators"])


def attempt(test, work):
    """'pass', 'refused: …', 'FAIL: …', or None when the test does not apply."""
    model = onnx.ModelProto()
    model.CopyFrom(test.model)
    graph = model.graph
    inputs, outputs = test.data_sets[0]
    types = {node.op_type for node in graph.node}
    opset = next((o.version for o in model.opset_import if o.domain == ""), 0)
    if len(graph.node) != 1 or not types <= claimed or not 7 <= opset <= 26:
        return None
    # The formats have grown since opset 22, most operators have not.
    for entry in model.opset_import:
        entry.version = min(entry.version, 22)
    if not inputs or not all(isinstance(x, numpy.ndarray) for x in [*inputs, *outputs]):
        return None
    if types <= MOVING and inputs[0].dtype == numpy.int32:
        for value, array in [(graph.input[0], inputs), (graph.output[0], outputs)]:
            value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
            array[0] = array[0].astype(numpy.float32)
    kinds = {numpy.dtype("float32")} | ({numpy.dtype("int64")} if types <= POSITIONS else set())
    if not {x.dtype for x in outputs} <= kinds or inputs[0].dtype not in (numpy.float32, bool):
        return None
    runtime = {}
    for value, x in zip(list(graph.input), inputs):
        is_first = not runtime and x.dtype == numpy.float32
        if x.dtype == numpy.float32 and x.size and (is_first or types & COMPUTED):
            runtime[value.name] = x
        else:
            graph.input.remove(value)
            graph.initializer.append(numpy_helper.from_array(x, value.name))
    if not runtime:
        return None
    onnx.save(model, f"{work}/model.onnx")
    command = [nap, "run", f"{work}/model.onnx", "--output", f"{work}/out.npz"]
    for i, (name, x) in enumerate(runtime.items()):
        numpy.save(f"{work}/{i}.npy", x)
        command += ["--input", f"{name}={work}/{i}.npy"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        known = done.returncode in (1, 2) and lines
        return f"refused: {lines[-1]}" if known else f"FAIL: exit {done.returncode}"
    found = numpy.load(f"{work}/out.npz")
    for value, x in zip(graph.output, outputs):
        y = found[value.name]
        if y.shape != x.shape:
            return f"FAIL: shape {y.shape} instead of {x.shape}"
        if not numpy.allclose(y, x, rtol=1e-3, atol=1e-5, equal_nan=True):
            return f"FAIL: differs by {abs(y - x).max()}"
    return "pass"


counts = collections.Counter()
with tempfile.TemporaryDirectory() as work:
    for test in load_model_tests(kind="node"):
        result = attempt(test, work)
        if result is None:
            continue
        kind = result.split(":")[0]
        counts[kind] += 1
        if kind == "FAIL" or (verbose and kind != "pass"):
            print(test.name, result, flush=True)
print(f"{counts['pass']} of {sum(counts.values())} node tests that apply pass, "
      f"{counts['refused']} are refused with a reason")
sys.exit(1 if counts["FAIL"] else 0)
