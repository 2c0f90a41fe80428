"""Time and memory of pruning networks of ImageNet's size, one shot, without any training.

    swift build -c release --product nap
    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install torch torchvision numpy onnx onnxscript pillow
    /tmp/peers/bin/python Benchmarks/size.py [--network NAME] [--job channels|weights]

Weights are random and images are generated (smooth shapes over textures): it is about size alone.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy
import torch
import torchvision
from PIL import Image

NAP = pathlib.Path(__file__).parent.parent / ".build/release/nap"
NETWORKS = ["alexnet", "resnet50", "vgg16"]
JOBS = {
    "channels": ["--macs", "0.5"],
    "weights": ["--granularity", "weights", "--sparsity", "0.96"],
}


def make_images(folder, count=320, size=256):
    """Photos of nothing: light that changes slowly, some blobs, and noise at several scales."""
    random = numpy.random.default_rng(0)
    y, x = numpy.mgrid[0:size, 0:size] / size
    for index in range(count):
        image = numpy.zeros((size, size, 3))
        for scale in (4, 16, 64, 256):
            noise = random.normal(size=(scale, scale, 3)).astype("f")
            grown = [
                numpy.asarray(Image.fromarray(noise[..., c]).resize((size, size), Image.BICUBIC))
                for c in range(3)]
            image += numpy.stack(grown, -1) / numpy.sqrt(scale)
        for _ in range(6):
            (cx, cy), r = random.uniform(size=2), random.uniform(0.05, 0.3)
            inside = ((x - cx) ** 2 + (y - cy) ** 2 < r * r)[..., None]
            image = numpy.where(inside, 0.4 * image + random.normal(size=3), image)
        pixels = (255 / (1 + numpy.exp(-2 * image))).astype("u1")
        Image.fromarray(pixels).save(pathlib.Path(folder, f"{index}.jpg"), quality=90)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS)
    parser.add_argument("--job", choices=list(JOBS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(folder + "/images")
        make_images(folder + "/images")
        for name in [arguments.network] if arguments.network else NETWORKS:
            torch.manual_seed(0)
            model = torchvision.models.get_model(name, weights=None).eval()
            path = f"{folder}/{name}.onnx"
            torch.onnx.export(
                model, (torch.zeros(1, 3, 224, 224),), path, dynamo=False,
                dynamic_axes={"image": {0: "N"}}, input_names=["image"], output_names=["logits"])
            for job in [arguments.job] if arguments.job else JOBS:
                command = [
                    str(NAP), "prune", path, "--data", folder + "/images", "--preset", "imagenet",
                    "-o", f"{folder}/smaller.onnx", "--epochs", "0", *JOBS[job]]
                start = time.monotonic()
                process = subprocess.Popen(command, stderr=sys.stderr, stdout=subprocess.PIPE)
                report = process.stdout.read().decode()
                _, status, usage = os.wait4(process.pid, 0)
                if status != 0:
                    sys.exit(f"{command} failed")
                print("\n".join(report.strip().splitlines()[-10:]))
                print(
                    f"{name}, {job}: {time.monotonic() - start:.0f} s, "
                    f"{usage.ru_maxrss / 2**20:.1f} GiB\n", flush=True)


if __name__ == "__main__":
    main()
