"""Training speed of nap against PyTorch: CIFAR ResNet-20, batch 128, same machine, same minutes.

    swift build -c release --product nap
    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install torch numpy
    /tmp/peers/bin/python Benchmarks/training.py [--precision float32|bfloat16] [--network resnet20|resnet56]

Machines are noisy, so the rounds of both alternate and the ratio of the medians is printed. nap's
numbers include loading and augmenting images; PyTorch is given tensors that are in memory already,
and the better of its two memory layouts counts.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

import torch
import torch.nn.functional as F
from torch import nn

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


class Peer:
    def __init__(self, blocks, channels_last, bfloat16):
        self.bfloat16 = bfloat16
        self.model = ResNet(blocks).train()
        self.x, self.y = torch.randn(128, 3, 32, 32), torch.randint(0, 10, (128,))
        if channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
            self.x = self.x.contiguous(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
        )

    def step(self):
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            loss = F.cross_entropy(self.model(self.x), self.y)
        loss.backward()
        self.optimizer.step()

    def images_per_second(self, steps):
        for _ in range(3):
            self.step()
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        return 128 * steps / (time.perf_counter() - start)


def nap(network, precision):
    output = subprocess.run(
        [
            ROOT / ".build/release/nap", "train", network, "--data", "synthetic", "--preset", "synthetic",
            "--epochs", "1", "--precision", precision, "-o", "/tmp/nap-benchmark.onnx", "--json", "--quiet",
        ],
        check=True,
        capture_output=True,
    ).stdout
    return json.loads(output)["images_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--network", choices=["resnet20", "resnet56"], default="resnet20")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(os.cpu_count())
    blocks = {"resnet20": 3, "resnet56": 9}[arguments.network]
    bfloat16 = arguments.precision == "bfloat16"
    peers = {
        "PyTorch, NCHW": Peer(blocks, False, bfloat16),
        "PyTorch, channels last": Peer(blocks, True, bfloat16),
    }
    rates = {name: [] for name in ["nap", *peers]}
    for _ in range(arguments.rounds):
        rates["nap"].append(nap(arguments.network, arguments.precision))
        for name, peer in peers.items():
            rates[name].append(peer.images_per_second(20))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, value in medians.items():
        print(f"{name:24} {value:8.0f} images/s")
    best = max(value for name, value in medians.items() if name != "nap")
    print(f"{'ratio':24} {medians['nap'] / best:8.2f}  ({arguments.network}, {arguments.precision}, torch {torch.__version__})")


if __name__ == "__main__":
    main()
