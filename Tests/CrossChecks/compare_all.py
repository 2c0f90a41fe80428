"""Compares ONNX Runtime's outputs of every model in a folder with those beside it."""

import pathlib
import sys

import numpy
import onnx
import onnxruntime

failures = 0
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx")):
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = numpy.load(path.with_suffix(".npz"))
    outputs = session.run(None, {"x": found["x"]})
    for index, value in enumerate(outputs):
        difference = abs(found[f"y{index}"] - value).max() / max(abs(value).max(), 1e-30)
        if not difference <= 1e-5:
            failures += 1
            print(f"{path.stem}: output {index} differs by {difference}")
sys.exit(failures > 0)
