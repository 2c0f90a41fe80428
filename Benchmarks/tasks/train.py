"""Trains small networks for tasks other than classes with labels, and exports them with unlabelled inputs.

    pip install torch numpy scipy scikit-learn onnx onnxruntime
    python Benchmarks/tasks/train.py OUT [--only NAME] [--steps 700]

A minute or so each on one thread, seeded. Writes OUT/NAME.onnx (opset 17, open batch), OUT/NAME.x.npy
(2000 of the training inputs, as floats the network takes) and OUT/NAME.held.npy (500 other inputs), and
prints how well the network does its task on the latter. Inputs are drawn shapes, except for

    classifier      scikit-learn's handwritten digits, turned, scaled and shifted
    audio           tones with overtones and noise: which of 60 semitones, [N, 1, 1024] -> [N, 60]

Batch normalizations are kept in the files of classifier, one_logit*, embedding, segmentation, two_outputs
and audio; the others have none.
"""

import argparse
import os
import pathlib
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy
import torch
import torch.nn.functional as F
from torch import nn

POOL, GIVEN, HELD = 8000, 2000, 500


# MARK: Inputs
def shapes(n, rng, size=32, kinds=5):
    """Shapes on uneven ground: images, kind, x, y, radius (shares of the size), where they are."""
    line = (numpy.arange(size, dtype=numpy.float32) + 0.5) / size
    kind = rng.integers(kinds, size=n)
    radius = rng.uniform(0.14, 0.32, n).astype(numpy.float32)
    x, y = (rng.uniform(0.3, 0.7, (2, n))).astype(numpy.float32)
    angle = rng.uniform(-0.4, 0.4, n).astype(numpy.float32)
    dx, dy = numpy.broadcast_arrays(
        line[None, None, :] - x[:, None, None], line[None, :, None] - y[:, None, None])
    c, s = numpy.cos(angle)[:, None, None], numpy.sin(angle)[:, None, None]
    u, v = (c * dx + s * dy) / radius[:, None, None], (c * dy - s * dx) / radius[:, None, None]
    far, square = numpy.hypot(u, v), numpy.maximum(abs(u), abs(v))
    inside = numpy.select(
        [kind[:, None, None] == k for k in range(5)],
        [1 - far, 0.85 - square, numpy.minimum(0.8 - v, (v + 1) / 2 - abs(u)),
         numpy.minimum(1 - far, far - 0.55),
         numpy.minimum(1 - square, 0.3 - numpy.minimum(abs(u), abs(v)))])
    # Edges are about a pixel wide.
    mask = (0.5 + inside * radius[:, None, None] * size).clip(0, 1).astype(numpy.float32)
    coarse = torch.from_numpy(rng.uniform(0.2, 0.8, (n, 3, 4, 4)).astype(numpy.float32))
    ground = F.interpolate(coarse, size, mode="bicubic", align_corners=False).numpy().clip(0, 1)
    colour = rng.uniform(0, 1, (n, 3)).astype(numpy.float32)
    under = ground.mean((2, 3))
    colour = (under + 0.5 * numpy.where(colour < 0.5, -1, 1)).clip(0, 1)[:, :, None, None]
    image = ground * (1 - mask[:, None]) + colour * mask[:, None]
    image += rng.normal(0, 0.04, image.shape)
    return image.astype(numpy.float32), kind, x, y, radius, mask


def digits(n, rng, held):
    from scipy.ndimage import affine_transform
    from sklearn.datasets import load_digits

    data = load_digits()
    source = numpy.arange(len(data.target))[1297:] if held else numpy.arange(1297)
    index = source[rng.permutation(n) % len(source)]
    images = numpy.zeros((n, 1, 24, 24), numpy.float32)
    for i, k in enumerate(index):
        angle, scale = rng.uniform(-0.25, 0.25), rng.uniform(0.38, 0.5)
        turn = scale * numpy.array([[numpy.cos(angle), -numpy.sin(angle)],
                                    [numpy.sin(angle), numpy.cos(angle)]])
        centre = numpy.array([3.5, 3.5]) - turn @ (numpy.array([11.5, 11.5]) + rng.uniform(-2, 2, 2))
        images[i, 0] = affine_transform(data.images[k] / 16, turn, centre, (24, 24), order=1)
    images += rng.normal(0, 0.05, images.shape)
    return images.astype(numpy.float32), data.target[index]


def tones(n, rng, length=1024, rate=8000):
    bin_ = rng.uniform(-0.4, 59.4, n)
    frequency = 65.406 * 2 ** (bin_ / 12)
    t = numpy.arange(length) / rate
    sound = numpy.zeros((n, length))
    for k in range(1, 6):
        size = rng.uniform(0.2, 1, n) / k * (k * frequency < rate / 2)
        sound += size[:, None] * numpy.sin(
            2 * numpy.pi * (k * frequency[:, None] * t + rng.uniform(0, 1, (n, 1))))
    sound += rng.uniform(0, 0.3, (n, 1)) * rng.normal(0, 1, sound.shape)
    sound -= sound.mean(1, keepdims=True)
    sound /= sound.std(1, keepdims=True)
    target = numpy.exp(-0.5 * ((numpy.arange(60) - bin_[:, None]) / 0.6) ** 2)
    return sound[:, None].astype(numpy.float32), target.astype(numpy.float32)


# MARK: Networks
def conv(i, o, stride=1, bn=False, k=3, act=nn.ReLU):
    return nn.Sequential(
        nn.Conv2d(i, o, k, stride, k // 2, bias=not bn), *([nn.BatchNorm2d(o)] if bn else []), act())


def body(bn, channels=3, act=nn.ReLU):
    return nn.Sequential(
        conv(channels, 16, 1, bn, act=act), conv(16, 32, 2, bn, act=act), conv(32, 32, 1, bn, act=act),
        conv(32, 64, 2, bn, act=act), conv(64, 64, 1, bn, act=act))


def pooled(bn, outputs, channels=3):
    return nn.Sequential(
        body(bn, channels), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, outputs))


class Residual(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.a = conv(i, o, stride, True)
        self.b = nn.Sequential(nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o))
        self.side = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        return F.relu(self.b(self.a(x)) + self.side(x))


class Embedding(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(conv(3, 16, 1, True), Residual(16, 32, 2), Residual(32, 64, 2))
        self.head = nn.Linear(64, 32)

    def forward(self, x):
        return F.normalize(self.head(self.body(x).mean((2, 3))), dim=1)


class UNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.a = conv(3, 16, 1, True)
        self.b = nn.Sequential(conv(16, 32, 2, True), conv(32, 32, 1, True))
        self.c = nn.Sequential(conv(32, 64, 2, True), conv(64, 64, 1, True))
        self.up_b, self.up_a = nn.ConvTranspose2d(64, 32, 2, 2), nn.ConvTranspose2d(32, 16, 2, 2)
        self.join_b, self.join_a = conv(64, 32, 1, True), conv(32, 16, 1, True)
        self.head = nn.Conv2d(16, classes, 1)

    def forward(self, x):
        a = self.a(x)
        b = self.b(a)
        b = self.join_b(torch.cat([b, self.up_b(self.c(b))], 1))
        return self.head(self.join_a(torch.cat([a, self.up_a(b)], 1)))


class Mask(nn.Module):
    """Without normalizations or transposed convolutions; a sigmoid at the end."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(
            conv(3, 16), conv(16, 32, 2), conv(32, 32), conv(32, 64, 2), conv(64, 64))
        self.up = nn.ModuleList([conv(64, 32), conv(32, 16)])
        self.head = nn.Conv2d(16, 1, 3, padding=1)

    def logits(self, x):
        x = self.down(x)
        for block in self.up:
            x = block(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.head(x)

    def forward(self, x):
        return self.logits(x).sigmoid()


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = body(True)
        self.kind = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 5))
        self.place = nn.Sequential(
            conv(64, 24, 2, True), nn.Flatten(), nn.Linear(24 * 16, 48), nn.ReLU(), nn.Linear(48, 3))

    def forward(self, x):
        x = self.body(x)
        return self.kind(x), self.place(x)


class Pitch(nn.Module):
    def __init__(self):
        super().__init__()
        def block(i, o, k, stride):
            return nn.Sequential(
                nn.Conv1d(i, o, k, stride, k // 2, bias=False), nn.BatchNorm1d(o), nn.ReLU())
        self.body = nn.Sequential(
            block(1, 48, 65, 4), nn.MaxPool1d(2), block(48, 32, 33, 1), nn.MaxPool1d(2),
            block(32, 32, 17, 1), nn.MaxPool1d(2), block(32, 64, 9, 1), nn.MaxPool1d(2))
        self.head = nn.Linear(64 * 16, 60)

    def logits(self, x):
        return self.head(self.body(x).flatten(1))

    def forward(self, x):
        return self.logits(x).sigmoid()


def autoencoder():
    model = nn.Sequential(
        conv(3, 16, 1), conv(16, 32, 2), conv(32, 48, 2), conv(48, 48), nn.Conv2d(48, 12, 3, 2, 1),
        nn.ConvTranspose2d(12, 48, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(48, 32, 4, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 3, 3, 1, 1))
    # As deep without normalizations, it learns from larger weights only.
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            fan = layer.weight[0].numel() if isinstance(layer, nn.Conv2d) else layer.weight[:, 0].numel() / 4
            nn.init.normal_(layer.weight, 0, (2 / fan) ** 0.5)
            nn.init.zeros_(layer.bias)
    return model


# MARK: Tasks
def stack(*columns):
    return torch.from_numpy(numpy.stack(columns, 1))


class Task:
    """A network, inputs and targets by split, the loss, and how well it does."""

    def __init__(self, name, rng):
        self.output_names, self.rate = ["output"], 3e-3
        self.wrap = lambda model: model
        if name == "classifier":
            draw = lambda n, held: digits(n, rng, held)
            self.model, self.loss, self.score = pooled(True, 10, 1), F.cross_entropy, self.accuracy
        elif name == "audio":
            draw = lambda n, held: tones(n, rng)
            self.model = Pitch()
            self.loss = lambda y, t: F.binary_cross_entropy_with_logits(y, t)
            self.score = lambda y, t: f"bins {(y.argmax(1) == t.argmax(1)).float().mean():.3f}"
        else:
            draw = lambda n, held: self.picked(name, shapes(n, rng, kinds=self.kinds(name)))
            getattr(self, name)()
        self.x, self.targets = self.tensors(draw(POOL, False))
        self.held, self.held_targets = self.tensors(draw(HELD, True))

    @staticmethod
    def tensors(data):
        return torch.from_numpy(numpy.asarray(data[0])), torch.as_tensor(data[1])

    @staticmethod
    def kinds(name):
        return {"segmentation": 3, "segmentation_sigmoid": 3, "one_logit": 2, "one_logit_raw": 2,
                "regression": 1, "regression1": 1}.get(name, 5)

    @staticmethod
    def picked(name, drawn):
        image, kind, x, y, radius, mask = drawn
        if name == "autoencoder":
            image = image - 0.5
        target = {
            "regression": lambda: stack(x, y), "regression1": lambda: stack(2 * radius),
            "one_logit": lambda: stack(kind.astype(numpy.float32)),
            "one_logit_raw": lambda: stack(kind.astype(numpy.float32)),
            # Five kinds, three sizes.
            "embedding": lambda: kind * 3 + numpy.digitize(radius, [0.2, 0.26]),
            "autoencoder": lambda: image,
            "segmentation": lambda: numpy.where(mask > 0.5, kind[:, None, None] + 1, 0),
            "segmentation_sigmoid": lambda: (mask > 0.5)[:, None].astype(numpy.float32),
            "two_outputs": lambda: stack(kind.astype(numpy.float32), x, y, 2 * radius),
        }[name]()
        return image, target

    @staticmethod
    def accuracy(y, t):
        return f"accuracy {(y.argmax(1) == t).float().mean():.3f}"

    @staticmethod
    def variance(y, t):
        return f"R² {1 - ((y - t) ** 2).mean() / ((t - t.mean(0)) ** 2).mean():.3f}"

    def regression(self):
        self.model = nn.Sequential(
            body(False), conv(64, 16, 2), nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 2))
        self.loss, self.score = lambda y, t: 30 * F.mse_loss(y, t), self.variance

    def regression1(self):
        self.model, self.loss, self.score = pooled(False, 1), lambda y, t: 30 * F.mse_loss(y, t), self.variance

    def one_logit(self):
        self.model, self.loss = pooled(True, 1), F.binary_cross_entropy_with_logits
        self.score = lambda y, t: f"accuracy {((y > 0.5) == (t > 0.5)).float().mean():.3f}"
        self.wrap = lambda model: nn.Sequential(model, nn.Sigmoid())

    def one_logit_raw(self):
        self.model, self.loss = pooled(True, 1), F.binary_cross_entropy_with_logits
        self.score = lambda y, t: f"accuracy {((y > 0) == (t > 0.5)).float().mean():.3f}"

    def embedding(self):
        self.model = Embedding()
        self.proxies = nn.Parameter(torch.randn(15, 32))
        self.loss = lambda y, t: F.cross_entropy(12 * y @ F.normalize(self.proxies).T, t)
        self.score = lambda y, t: self.accuracy(y @ F.normalize(self.proxies).T, t)

    def autoencoder(self):
        self.model, self.loss, self.score = autoencoder(), lambda y, t: 30 * F.mse_loss(y, t), self.variance
        self.rate = 1.5e-3

    def segmentation(self):
        self.model, self.loss, self.score = UNet(4), F.cross_entropy, self.accuracy

    def segmentation_sigmoid(self):
        self.model, self.loss = Mask(), F.binary_cross_entropy_with_logits
        self.score = lambda y, t: f"pixels {((y > 0.5) == (t > 0.5)).float().mean():.3f}"

    def two_outputs(self):
        self.model, self.output_names = Two(), ["kind", "place"]
        self.loss = lambda y, t: (
            F.cross_entropy(y[0], t[:, 0].long()) + 30 * F.mse_loss(y[1], t[:, 1:]))
        self.score = lambda y, t: (
            f"{self.accuracy(y[0], t[:, 0])}, {self.variance(y[1], t[:, 1:])}")


NAMES = ["regression", "regression1", "one_logit", "one_logit_raw", "embedding", "autoencoder",
         "segmentation", "segmentation_sigmoid", "two_outputs", "audio", "classifier"]


def train(name, out, steps):
    torch.manual_seed(0)
    start = time.perf_counter()
    task = Task(name, numpy.random.default_rng(0))
    model = task.model.train()
    forward = getattr(model, "logits", model)
    parameters = [*model.parameters(), *([task.proxies] if hasattr(task, "proxies") else [])]
    optimizer = torch.optim.AdamW(parameters, task.rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, task.rate, steps, pct_start=0.1)
    for step in range(steps):
        if step * 64 % POOL < 64:
            order = torch.randperm(POOL)
        batch = order[step * 64 % POOL:][:64]
        loss = task.loss(forward(task.x[batch]), task.targets[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model = task.wrap(model).eval()
    with torch.no_grad():
        score = task.score(model(task.held), task.held_targets)
    axes = {port: {0: "N"} for port in ["image", *task.output_names]}
    torch.onnx.export(
        model, (task.held[:2],), str(out / f"{name}.onnx"), dynamo=False, opset_version=17,
        input_names=["image"], output_names=task.output_names, dynamic_axes=axes,
        training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
    numpy.save(out / f"{name}.x.npy", task.x[:GIVEN].numpy())
    numpy.save(out / f"{name}.held.npy", task.held.numpy())
    print(f"{name:21} {score}, {time.perf_counter() - start:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--only", choices=NAMES)
    parser.add_argument("--steps", type=int, default=700)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in [arguments.only] if arguments.only else NAMES:
        train(name, arguments.out, arguments.steps)


if __name__ == "__main__":
    main()
