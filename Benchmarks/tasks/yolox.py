"""Pruning a detector as one finds it, without its data: the YOLOX that ddddocr looks for characters with.

    pip install ddddocr scikit-image onnxruntime
    python Benchmarks/tasks/yolox.py NAP OUT [--args "--macs 0.7 --epochs 0"] [--images 256] [--model SMALLER.onnx]

Inputs are scikit-image's photographs, cropped and scaled, with characters drawn on them, as ddddocr
prepares them (416x416, blue first, 0 to 255, the rest 114): 256 without labels for nap (OUT/yolox.x.npy),
64 held out. Prunes OUT/yolox.onnx, a copy of ddddocr's common_det.onnx ([1, 3, 416, 416] -> [1, 3549, 6]:
x, y, log w, log h, objectness, class), to OUT/yolox.small.onnx, and prints, by ONNX Runtime on the inputs
held out: R² of the rows of boxes, at all anchors and where the original has objectness x class >= 0.25;
decisions at 0.25 in the rows of objectness, of class, and in their product (2TP / (2TP + FP + FN)). With
--model, a network that is there already is measured instead.
"""

import argparse
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy
from PIL import Image, ImageDraw, ImageFont

from yolo import THRESHOLD, alike, explained, outputs

SIZE = 416
PHOTOGRAPHS = ["astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png",
               "hubble_deep_field.jpg", "ihc.png", "retina.jpg", "color.png", "camera.png", "coins.png",
               "grass.png", "gravel.png", "brick.png", "page.png"]


def photographs():
    import skimage

    folder = pathlib.Path(skimage.__file__).parent / "data"
    return [Image.open(folder / name).convert("RGB") for name in PHOTOGRAPHS if (folder / name).exists()]


def picture(rng, photographs):
    """A crop with a few characters, like the images that ask whether one is a machine."""
    photograph = photographs[rng.integers(len(photographs))]
    width = int(rng.integers(160, 480))
    height = int(width * rng.uniform(0.4, 1.0))
    scale = rng.uniform(1, 2) * max(width / photograph.width, height / photograph.height)
    image = photograph.resize((int(photograph.width * scale) + 1, int(photograph.height * scale) + 1))
    left, top = rng.integers(image.width - width + 1), rng.integers(image.height - height + 1)
    image = image.crop((left, top, left + width, top + height))
    taken = []
    for _ in range(rng.integers(1, 7)):
        size = int(height * rng.uniform(0.15, 0.35))
        x, y = int(rng.integers(max(1, width - size))), int(rng.integers(max(1, height - size)))
        if any(abs(x - a) < max(size, s) and abs(y - b) < max(size, s) for a, b, s in taken):
            continue
        taken.append((x, y, size))
        stamp = Image.new("L", (2 * size, 2 * size))
        letter = "ABCDEFGHKLMNPRSTUVWXYZ23456789abdefghkmnqrt"[rng.integers(43)]
        ImageDraw.Draw(stamp).text(
            (size, size), letter, 255, font=ImageFont.load_default(size), anchor="mm", stroke_width=size // 24)
        stamp = stamp.rotate(rng.uniform(-40, 40), Image.BICUBIC).crop(
            (size // 2, size // 2, size // 2 + size, size // 2 + size))
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        image.paste(Image.new("RGB", stamp.size, colour), (x, y), stamp)
    return image


def prepared(image):
    """As ddddocr does: the longer side 416, blue first, numbers from 0 to 255."""
    scale = min(SIZE / image.width, SIZE / image.height)
    image = image.resize((int(image.width * scale), int(image.height * scale)), Image.BILINEAR)
    out = numpy.full((SIZE, SIZE, 3), 114, numpy.float32)
    out[:image.height, :image.width] = numpy.asarray(image, numpy.float32)[:, :, ::-1]
    return out.transpose(2, 0, 1)


def prepare(out):
    import importlib.util

    package = pathlib.Path(importlib.util.find_spec("ddddocr").origin).parent
    shutil.copy(package / "common_det.onnx", out / "yolox.onnx")
    rng, found = numpy.random.default_rng(0), photographs()
    for name, count in (("x", 256), ("held", 64)):
        images = numpy.stack([prepared(picture(rng, found)) for _ in range(count)])
        numpy.save(out / f"yolox.{name}.npy", images)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("nap")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--args", default="--macs 0.7 --epochs 0", help="what nap prune is given")
    parser.add_argument("--images", type=int, default=256, help="how many nap is given")
    parser.add_argument("--model", help="measure this one instead of pruning")
    options = parser.parse_args()
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "yolox.held.npy").exists():
        prepare(out)
    small = options.model or str(out / "yolox.small.onnx")
    if not options.model:
        given = out / "yolox.x.npy"
        if options.images < 256:
            given = out / f"yolox.x{options.images}.npy"
            numpy.save(given, numpy.load(out / "yolox.x.npy", mmap_mode="r")[:options.images])
        start = time.perf_counter()
        done = subprocess.run(
            [options.nap, "prune", str(out / "yolox.onnx"), "--data", str(given), "--preset", "plain",
             *shlex.split(options.args), "--json", "--quiet", "-o", small],
            capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"nap: exit {done.returncode}: {' '.join(done.stderr.split())[-500:]}")
        report = json.loads(done.stdout)
        print(f"MACs {report['macs_after'] / report['macs_before']:.3f}   nap {report['accuracy_after']:.2f}   "
              f"{time.perf_counter() - start:.0f} s")
    x = numpy.load(out / "yolox.held.npy")
    a, b = (outputs(str(path), x).transpose(2, 0, 1) for path in (out / "yolox.onnx", small))
    p, q = a[4] * a[5], b[4] * b[5]
    sure = p >= THRESHOLD
    print(f"finite {numpy.isfinite(b).all()}   "
          f"R² of boxes {explained(a[:4].transpose(1, 0, 2), b[:4].transpose(1, 0, 2))}   "
          f"where sure {explained(a[:4, sure], b[:4, sure])} (of {sure.sum()} anchors)")
    print("decisions " + ", ".join(
        f"{name} {alike(s >= THRESHOLD, t >= THRESHOLD):.4f}"
        for name, s, t in (("objectness", a[4], b[4]), ("class", a[5], b[5]), ("product", p, q))))


if __name__ == "__main__":
    main()
