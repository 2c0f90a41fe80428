"""Training speed of nap against PyTorch: the same network, machine and minutes.

    swift build -c release --product nap
    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install torch torchvision numpy onnx
    /tmp/peers/bin/python Benchmarks/training.py [--precision float32|bfloat16] [--network NAME]

Machines are noisy, so the rounds of both alternate and the ratio of the medians is printed. nap's
numbers include loading the images; PyTorch is given tensors that are in memory already, and the
better of its two memory layouts counts. `--compile` times torch.compile beside it.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time
import warnings

import numpy
import torch
import torch.nn.functional as F
from torch import nn

warnings.filterwarnings("ignore")

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.missing = stride, outputs - inputs

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.stride > 1:
            half = self.missing // 2
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, self.missing - half))
        return F.relu(y + x)


class ResNet(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        layers, inputs = [], 16
        for outputs in (16, 32, 64):
            for block in range(blocks):
                layers.append(Block(inputs, outputs, 2 if block == 0 and outputs > 16 else 1))
                inputs = outputs
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layers(F.relu(self.bn1(self.conv1(x))))
        return self.classifier(x.mean((2, 3)))


def vgg16_bn(classes=10):
    """VGG16 with normalizations for images of 32x32."""
    layers, inputs = [], 3
    for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        if width == 0:
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [
                nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            inputs = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, classes))


def torchvision_model(name):
    import torchvision

    return getattr(torchvision.models, name)(weights=None)


# Network, image size, classes, batch size, batches a round.
NETWORKS = {
    "resnet20": (lambda: ResNet(3), 32, 10, 128, 20),
    "resnet56": (lambda: ResNet(9), 32, 10, 128, 10),
    "vgg16-bn": (vgg16_bn, 32, 10, 128, 8),
    "resnet50": (lambda: torchvision_model("resnet50"), 224, 1000, 16, 3),
    "mobilenet-v2": (lambda: torchvision_model("mobilenet_v2"), 224, 1000, 16, 6),
}


class Peer:
    def __init__(self, network, channels_last, bfloat16, compiles=False):
        build, size, classes, batch, self.steps = NETWORKS[network]
        self.bfloat16, self.batch = bfloat16, batch
        self.model = build().train()
        self.x, self.y = torch.randn(batch, 3, size, size), torch.randint(0, classes, (batch,))
        if channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
            self.x = self.x.contiguous(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), 0.01, momentum=0.9, nesterov=True, weight_decay=5e-4
        )
        self.forward = torch.compile(self.model) if compiles else self.model

    def step(self):
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            loss = F.cross_entropy(self.forward(self.x), self.y)
        loss.backward()
        self.optimizer.step()

    def images_per_second(self):
        for _ in range(2):
            self.step()
        start = time.perf_counter()
        for _ in range(self.steps):
            self.step()
        return self.batch * self.steps / (time.perf_counter() - start)


def export(model, size, path):
    """Writes a network for images of a size, with an open batch and its normalizations."""
    torch.onnx.export(
        model.eval(), (torch.randn(2, 3, size, size),), path, dynamo=False, input_names=["image"],
        dynamic_axes={"image": {0: "N"}}, training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False)


class Nap:
    """`nap train` on the same network, exported, and as many random images."""

    def __init__(self, network, precision, folder, save_memory=False):
        build, size, classes, self.batch, steps = NETWORKS[network]
        self.command = [
            str(ROOT / ".build/release/nap"), "train", f"{folder}/model.onnx", "--data",
            f"{folder}/images.npz", "--preset", "plain", "--epochs", "1", "--batch-size",
            str(self.batch), "--learning-rate", "0.01", "--precision", precision, "-o",
            f"{folder}/out.onnx", "--json", "--quiet",
            *(["--save-memory"] if save_memory else []),
        ]
        export(build(), size, f"{folder}/model.onnx")
        # Many steps: theirs begin to count when they are warm, ours at once.
        count = 4 * steps * self.batch
        labels = numpy.arange(count) % classes
        labels[0] = classes - 1
        images = numpy.random.randint(0, 256, (count, 3, size, size), numpy.uint8)
        numpy.savez(f"{folder}/images.npz", images=images, labels=labels)

    def images_per_second(self):
        output = subprocess.run(self.command, check=True, capture_output=True).stdout
        return json.loads(output)["images_per_second"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--network", choices=list(NETWORKS), default="resnet20")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--save-memory", action="store_true", help="give it to nap")
    arguments = parser.parse_args()
    torch.set_num_threads(os.cpu_count())
    bfloat16 = arguments.precision == "bfloat16"
    with tempfile.TemporaryDirectory() as folder:
        peers = {
            "nap": Nap(arguments.network, arguments.precision, folder, arguments.save_memory),
            "PyTorch, NCHW": Peer(arguments.network, False, bfloat16),
            "PyTorch, channels last": Peer(arguments.network, True, bfloat16),
        }
        if arguments.compile:
            peers["torch.compile"] = Peer(arguments.network, True, bfloat16, compiles=True)
        rates = {name: [] for name in peers}
        for _ in range(arguments.rounds):
            for name, peer in peers.items():
                rates[name].append(peer.images_per_second())
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, value in medians.items():
        print(f"{name:24} {value:8.1f} images/s")
    best = max(value for name, value in medians.items() if name.startswith("PyTorch"))
    print(f"{'ratio':24} {medians['nap'] / best:8.2f}  "
          f"({arguments.network}, {arguments.precision}, torch {torch.__version__})")


if __name__ == "__main__":
    main()
