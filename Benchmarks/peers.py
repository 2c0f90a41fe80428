"""Pruning the channels of ResNet-56 on CIFAR-10: nap against Torch-Pruning, in the same time.

    swift build -c release --product nap
    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install torch numpy onnx torch-pruning
    /tmp/peers/bin/python Benchmarks/peers.py MODEL.onnx DATA [--minutes 20] [--macs 0.474]

MODEL is a ResNet of `nap train` or of PyTorch with PyTorch's names, DATA the folder of the binary CIFAR-10
files. Everybody gets the same minutes for everything, pruning and fine-tuning, one after another, and sees the
test images once, at the end. Torch-Pruning prunes in ten steps by its own importances, over the channels inside the
blocks (it cannot follow padded shortcuts); then the recipe is nap's: Nesterov momentum 0.9, learning rate 0.02 falling
as a cosine to the end of the time, decay 1e-4 (not of biases and normalizations), labels and the unpruned network as
teacher (0.9, temperature 4, the mean of each image and its mirror image as remembered from an epoch before), random crops,
every image mirrored in every other epoch, every other batch of blends once an epoch's images are known to 95 %, batch
128, bfloat16, the faster of both memory layouts. nap prunes all it can, and the same channels alone; and all it can in
a third of the time. Its steps are K-FAC's besides; so once more without.
"""

import argparse
import copy
import json
import math
import pathlib
import subprocess
import time

import numpy
import onnx
import torch
import torch.nn.functional as F
import torch_pruning as tp
from onnx import numpy_helper
from torch import nn

from training import ROOT, Block, ResNet

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
DEVIATION = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


def images(folder, names):
    data = numpy.concatenate([
        numpy.fromfile(pathlib.Path(folder, name), numpy.uint8).reshape(-1, 3073) for name in names])
    x = torch.from_numpy(data[:, 1:].reshape(-1, 3, 32, 32).copy()).float() / 255
    return (x - MEAN) / DEVIATION, torch.from_numpy(data[:, 0].astype(numpy.int64))


def network(path):
    """The PyTorch network whose weights a file holds."""
    weights = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy())
               for i in onnx.load(path).graph.initializer}
    blocks = len({name.split(".")[1] for name in weights if name.startswith("layer1.")})
    model = ResNet(blocks)
    state = model.state_dict()
    for name in state:
        parts = name.split(".")
        if parts[0] == "layers":
            stage, block = divmod(int(parts[1]), blocks)
            source = ".".join([f"layer{stage + 1}", str(block), *parts[2:]])
        else:
            source = name.replace("classifier", next(n for n in ("classifier", "linear", "fc")
                                                     if f"{n}.weight" in weights))
        if not name.endswith("num_batches_tracked"):
            state[name] = weights[source].view_as(state[name])
    model.load_state_dict(state)
    return model.eval()


def augmented(x, mirrored):
    n = len(x)
    padded = F.pad(x, (4, 4, 4, 4))
    rows = torch.randint(0, 9, (n, 1)) + torch.arange(32)
    columns = torch.randint(0, 9, (n, 1)) + torch.arange(32)
    columns = torch.where(mirrored.view(n, 1), columns.flip(1), columns)
    index = torch.arange(n)
    return padded[index.view(n, 1, 1), :, rows.view(n, 32, 1), columns.view(n, 1, 32)].permute(0, 3, 1, 2)


class Teacher:
    """What a network says of images and of their mirror images, on average."""

    def __init__(self, model, images):
        self.model = copy.deepcopy(model)
        self.answers = torch.full((images, 2, 10), torch.nan)

    @torch.no_grad()
    def __call__(self, x, index, mirrored, blended):
        answer = self.model(x).float()
        if blended:
            return (answer + self.model(x.flip(3)).float()) / 2
        side = mirrored.long()
        other = self.answers[index, 1 - side]
        self.answers[index, side] = answer
        return torch.where(other.isnan(), answer, (answer + other) / 2)


def loss(student, answer, y, blended):
    """And how many images are right."""
    target = F.softmax(answer / 4, 1)
    imitation = F.kl_div(F.log_softmax(student / 4, 1), target, reduction="batchmean") * 16
    right = (student.argmax(1) == y).sum().item()
    return imitation if blended else 0.1 * F.cross_entropy(student, y) + 0.9 * imitation, right


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        right = sum((model(x[i:i + 500]).argmax(1) == y[i:i + 500]).sum().item()
                    for i in range(0, len(x), 500))
    return 100 * right / len(x)


def prune(model, importance, macs, x, y):
    """Ten steps of Torch-Pruning to a share of the MACs."""
    example = x[:1]
    whole = tp.utils.count_ops_and_params(model, example)[0]
    blocks = [m for m in model.modules() if isinstance(m, Block)]
    inner = {b.conv1 for b in blocks}
    ignored = [m for m in model.modules()
               if isinstance(m, (nn.Conv2d, nn.Linear)) and m not in inner]
    steps = 400
    pruner = tp.pruner.BasePruner(
        model, example, importance=importance, global_pruning=True, pruning_ratio=0.99,
        iterative_steps=steps, ignored_layers=ignored)
    share, target = 1.0, 1.0
    while share > macs:
        target = max(macs, target - (1 - macs) / 10)
        batch = torch.randperm(len(x))[:256]
        model.zero_grad()
        if isinstance(importance, tp.importance.GroupHessianImportance):
            importance.zero_grad()
            # Image by image: the gradients are those of the batch's losses, and each pass is of one image, not of all.
            for index in batch.split(1):
                model.zero_grad()
                F.cross_entropy(model(x[index]), y[index]).backward()
                importance.accumulate_grad(model)
        elif isinstance(importance, tp.importance.GroupTaylorImportance):
            F.cross_entropy(model(x[batch]), y[batch]).backward()
        # Small steps until this one of the ten is done; the gradients are cut with the channels.
        while share > target and pruner.current_step < steps:
            pruner.step()
            share = tp.utils.count_ops_and_params(model, example)[0] / whole
    return share


def torch_pruning(teacher, importance, macs, seconds, train, test):
    start = time.perf_counter()
    (x, y), model = train, copy.deepcopy(teacher)
    share = prune(model, importance, macs, x, y)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.SGD(
        [{"params": decayed, "weight_decay": 1e-4}, {"params": others}], 0.02, momentum=0.9, nesterov=True)
    # The faster layout is found while it trains: 20 steps of each.
    layouts, times = [torch.contiguous_format, torch.channels_last], {}
    steps, guide = 0, Teacher(teacher, len(x))
    order, blends, right, seen = torch.randperm(len(x)), False, 0, 0
    mirrored = torch.rand(len(x)) < 0.5
    while (progress := (time.perf_counter() - start) / seconds) < 1:
        if steps in (0, 20, 40):
            if steps:
                times[format] = time.perf_counter() - began
            format = layouts.pop(0) if layouts else min(times, key=times.get)
            for each in (model, guide.model):
                each.to(memory_format=format)
            began = time.perf_counter()
        position = steps * 128 % (len(x) - 127)
        if position < 128:
            order, blends, right, seen = torch.randperm(len(x)), blends or right > 0.95 * seen, 0, 0
            mirrored = ~mirrored
        batch, blended = order[position:position + 128], blends and steps % 2 == 1
        image = augmented(x[batch], mirrored[batch])
        if blended:
            image = torch.lerp(image, image.roll(-1, 0), 0.5 * torch.rand(len(image), 1, 1, 1))
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * 0.5 * (1 + math.cos(math.pi * progress))
        model.train()
        optimizer.zero_grad()
        image = image.contiguous(memory_format=format)
        with torch.autocast("cpu", torch.bfloat16):
            answer = guide(image, batch, mirrored[batch], blended)
            cost, known = loss(model(image).float(), answer, y[batch], blended)
        right, seen = right + known, seen + len(batch)
        cost.backward()
        optimizer.step()
        steps += 1
    return accuracy(model, *test), share, steps * 128 / len(x)


def nap(path, data, macs, minutes, *more):
    command = [ROOT / ".build/release/nap", "prune", path, "--data", data, "--preset", "cifar10",
               "--macs", str(macs), "--time", f"{60 * minutes:.0f}s", "-o", "/tmp/peer.onnx", "--json",
               "--quiet", *more]
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return report["accuracy_after"], report["macs_after"] / report["macs_before"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--macs", type=float, default=1 / 2.11)
    parser.add_argument("--only", help="run only the peers whose names contain this")
    arguments = parser.parse_args()
    train = images(arguments.data, [f"data_batch_{i}.bin" for i in range(1, 6)])
    test = images(arguments.data, ["test_batch.bin"])
    teacher = network(arguments.model)
    print(f"unpruned: {accuracy(teacher, *test):.2f} %", flush=True)
    importances = {
        "group norm": tp.importance.GroupMagnitudeImportance(p=2),
        "Taylor": tp.importance.GroupTaylorImportance(),
        "Hessian": tp.importance.GroupHessianImportance(),
    }
    torch.manual_seed(0)
    wanted = arguments.only or ""
    seconds = 60 * arguments.minutes
    for name, importance in importances.items():
        if wanted in f"Torch-Pruning, {name}":
            result = torch_pruning(teacher, importance, arguments.macs, seconds, train, test)
            print("Torch-Pruning, %-20s %.2f %% at %.3f of the MACs, %.2f epochs" % (name, *result),
                  flush=True)
    inner = [f"--freeze={node.name}" for node in onnx.load(arguments.model).graph.node
             if node.op_type == "Add"]
    jobs = {
        "all channels": (1, []),
        "inside the blocks": (1, inner),
        "all channels, a third of the time": (1 / 3, []),
        "gradient descent": (1, ["--optimizer=sgd"]),
        "gradient descent, a third of the time": (1 / 3, ["--optimizer=sgd"]),
    }
    for name, (share, more) in jobs.items():
        if wanted in f"nap, {name}":
            minutes = share * arguments.minutes
            result = nap(arguments.model, arguments.data, arguments.macs, minutes, *more)
            print("nap, %-38s %.2f %% at %.3f of the MACs" % (name, *result), flush=True)


if __name__ == "__main__":
    main()
