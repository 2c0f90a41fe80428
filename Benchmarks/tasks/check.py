"""What pruning without labels leaves of the networks of train.py, by ONNX Runtime on inputs held out.

    python Benchmarks/tasks/train.py DIR
    python Benchmarks/tasks/check.py NAP DIR [--only NAME] [--jobs a,b,c] [--args "--macs 0.5 --epochs 1"]

Jobs: a `--macs 0.7 --epochs 0`, b `--macs 0.7 --epochs 3`, c no goal; --args replaces them by one of its own.
Columns, against the original's outputs: R² by channel, mean and least (output by output where there are
two); the share of equal decisions (the largest channel, or which side of one half, of the logits zero);
the mean cosine; MACs left; what nap itself says of the network, in percent; seconds. PASS is 0.97 or more by the
network's own measure, the starred one, on every output, and in b not less than in a. nap's networks are left
in DIR/pruned.
"""

import argparse
import json
import os
import pathlib
import shlex
import subprocess
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy
import onnxruntime

JOBS = {"a": "--macs 0.7 --epochs 0", "b": "--macs 0.7 --epochs 3", "c": ""}

# What counts, output by output: R², the largest channel, a side of a threshold, or the cosine.
KINDS = {
    "regression": ["r2"], "regression1": ["r2"], "one_logit": [0.5], "one_logit_raw": [0.0],
    "embedding": ["cosine"], "autoencoder": ["r2"], "segmentation": ["argmax"],
    "segmentation_sigmoid": [0.5], "two_outputs": ["argmax", "r2"], "audio": ["argmax"],
    "classifier": ["argmax"],
}


def outputs(path, x):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    parts = [session.run(None, {name: x[i:i + 50]}) for i in range(0, len(x), 50)]
    return [numpy.concatenate(values) for values in zip(*parts)]


def measures(kind, a, b):
    """What there is to say of outputs b where the original has a, and the one that counts."""
    rest = tuple(axis for axis in range(a.ndim) if axis != 1)
    variance = a.var(rest)
    # A channel that never changes has no variance to explain.
    live = variance > 1e-8 * max(variance.max(), 1e-12)
    r2 = 1 - (((a - b) ** 2).mean(rest)[live] / variance[live])
    found = {"R²": (float(r2.mean()), float(r2.min()))}
    if kind == "argmax":
        found["equal"] = float((a.argmax(1) == b.argmax(1)).mean())
    elif isinstance(kind, float):
        found["equal"] = float(((a > kind) == (b > kind)).mean())
    elif kind == "cosine":
        product = (a * b).sum(1)
        norms = numpy.linalg.norm(a, axis=1) * numpy.linalg.norm(b, axis=1)
        found["cosine"] = float((product / numpy.maximum(norms, 1e-12)).mean())
    return found, found["R²"][0] if kind == "r2" else found.get("equal", found.get("cosine"))


def check(nap, folder, name, job, arguments, before):
    (folder / "pruned").mkdir(exist_ok=True)
    small = folder / "pruned" / f"{name}.{job}.onnx"
    small.unlink(missing_ok=True)
    command = [nap, "prune", folder / f"{name}.onnx", "--data", folder / f"{name}.x.npy", "--preset", "plain",
               *shlex.split(arguments), "-o", small, "--json", "--quiet"]
    start = time.perf_counter()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    seconds = time.perf_counter() - start
    print(f"{name:21} {job}", end="  ")
    if done.returncode:
        print(f"FAIL  exit {done.returncode}: {' '.join(done.stderr.split())[-300:]}", flush=True)
        return None
    report = json.loads(done.stdout)
    x = numpy.load(folder / f"{name}.held.npy")
    pairs = list(zip(KINDS[name], outputs(str(folder / f"{name}.onnx"), x), outputs(str(small), x)))
    finite = all(numpy.isfinite(b).all() for _, _, b in pairs)
    texts, scores = [], []
    for kind, a, b in pairs:
        found, score = measures(kind, a, b)
        scores.append(score)
        mean, least = found["R²"]
        text = f"R²{'*' if kind == 'r2' else ''} {mean:.4f} ({least:.4f})"
        for key in ("equal", "cosine"):
            text += f" {key}* {found[key]:.4f}" if key in found else ""
        texts.append(text)
    score = min(scores)
    # A fine difference is one of a few decisions of 500.
    fallen = before is not None and score < before - 0.001
    good = finite and score >= 0.97 and not fallen
    print(f"{'PASS' if good else 'FAIL'}  {' | '.join(texts)}  "
          f"{'' if finite else 'NOT FINITE  '}{f'fallen from {before:.4f}  ' if fallen else ''}"
          f"MACs {report['macs_after'] / report['macs_before']:.3f}  "
          f"nap {report['accuracy_after']:.2f}  {seconds:.0f} s", flush=True)
    return score


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("nap")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", choices=list(KINDS))
    parser.add_argument("--jobs", default="a,b,c")
    parser.add_argument("--args", help="give it to nap prune, instead of the jobs")
    options = parser.parse_args()
    jobs = JOBS if options.args is None else {"x": options.args}
    chosen = options.jobs.split(",") if options.args is None else ["x"]
    for name in [options.only] if options.only else KINDS:
        if not (options.folder / f"{name}.onnx").exists():
            continue
        scores = {}
        for job in chosen:
            scores[job] = check(
                options.nap, options.folder, name, job, jobs[job], scores.get("a") if job == "b" else None)


if __name__ == "__main__":
    main()
