"""Compares what stayed as it is said by a JSON file and by one of safetensors, where Python can read those."""

import json
import sys

try:
    from safetensors.numpy import load_file
except ImportError:
    sys.exit(0)

kept = json.load(open(sys.argv[1]))
tensors = load_file(sys.argv[2])
found = 0
for prefix, entries in (("", kept["parameters"]), ("values/", kept["values"])):
    for name, axes in entries.items():
        for axis, indices in axes["kept"].items():
            if tensors[f"{prefix}{name}_kept_{axis}"].tolist() != indices:
                sys.exit(f"{name}, axis {axis}, differs")
            found += 1
if found != len(tensors):
    sys.exit(f"{len(tensors)} tensors instead of {found}")
