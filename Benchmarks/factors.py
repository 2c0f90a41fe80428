"""Collecting all Kronecker factors of ResNet-56: nap against the straightforward way in PyTorch.

    swift build -c release --product nap
    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install torch numpy onnx
    /tmp/peers/bin/python Benchmarks/factors.py

PyTorch: hooks on every layer, `unfold`, and one product a batch. Rounds of both alternate.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time

import torch
import torch.nn.functional as F

from training import ROOT, ResNet, export

BATCH = 64


class Peer:
    def __init__(self, model):
        self.model, self.sums = model, {}
        for module in model.modules():
            if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
                module.register_forward_hook(self.input_factor)
                module.register_full_backward_hook(self.gradient_factor)

    def add(self, key, rows):
        self.sums[key] = self.sums.get(key, 0) + rows.T @ rows

    def input_factor(self, module, inputs, _):
        x = inputs[0]
        if isinstance(module, torch.nn.Conv2d):
            x = F.unfold(x, module.kernel_size, padding=module.padding, stride=module.stride)
            x = x.transpose(1, 2).reshape(-1, x.shape[1])
        self.add((module, "A"), torch.cat([x, torch.ones(len(x), 1)], 1))

    def gradient_factor(self, module, _, gradients):
        g = gradients[0]
        if g.dim() == 4:
            g = g.permute(0, 2, 3, 1).reshape(-1, g.shape[1])
        self.add((module, "G"), g)

    def images_per_second(self, batches=3):
        images = torch.randn(BATCH, 3, 32, 32)
        start = time.perf_counter()
        for _ in range(batches):
            logits = self.model(images)
            labels = torch.distributions.Categorical(logits=logits).sample()
            F.cross_entropy(logits, labels, reduction="sum").backward()
        return BATCH * batches / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    model = ResNet(9).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/model.onnx"
        export(model, 32, path)
        command = [str(ROOT / ".build/release/nap"), "profile", path, "--time", "curvature",
                   "--batch-size", str(BATCH), "--json"]
        peer = Peer(model)
        peer.images_per_second(1)
        rates = []
        for _ in range(arguments.rounds):
            output = subprocess.run(command, check=True, capture_output=True).stdout
            rates.append((json.loads(output)["images_per_second"], peer.images_per_second()))
    nap, theirs = (statistics.median(values) for values in zip(*rates))
    print(f"nap      {nap:8.1f} images/s\nPyTorch  {theirs:8.1f} images/s")
    print(f"ratio    {nap / theirs:8.2f}  (torch {torch.__version__})")


if __name__ == "__main__":
    main()
