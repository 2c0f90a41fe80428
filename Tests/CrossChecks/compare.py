"""Checks a model and compares ONNX Runtime's outputs with those in an npz file."""

import sys

import numpy
import onnx
import onnxruntime

model, name, given, expected = sys.argv[1:]
onnx.checker.check_model(model, full_check=True)
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
outputs = session.run(None, {name: numpy.load(given)})
found = numpy.load(expected)
for port, value in zip(session.get_outputs(), outputs):
    difference = abs(found[port.name] - value).max() / max(abs(value).max(), 1e-30)
    if not difference <= 1e-4:
        sys.exit(f"output {port.name} differs by {difference}")
