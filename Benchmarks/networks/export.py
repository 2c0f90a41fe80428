"""Exports the networks of docs/networks.md, with random weights.

python export.py OUT [NAME ...]     writes OUT/NAME_{script,dynamo}_{bn,folded}.onnx
"""
import os
import sys
import unittest.mock
import warnings

import torch
import torch.nn as nn
import torch.nn.functional as F

warnings.filterwarnings("ignore")

TORCHVISION = """alexnet vgg16 vgg16_bn resnet18 resnet50 resnext50_32x4d wide_resnet50_2 densenet121
googlenet inception_v3 squeezenet1_1 mobilenet_v2 mobilenet_v3_small mnasnet0_5 shufflenet_v2_x1_0
efficientnet_b0 regnet_y_400mf convnext_tiny vit_b_16 swin_t""".split()
TIMM = "ghostnet_100 repvgg_a0 resnest14d mixnet_s deit_tiny_patch16_224 mobilevit_s".split()


class UNet(nn.Module):
    """A small U-Net that labels every pixel with one of four classes."""

    def __init__(self):
        super().__init__()
        def block(i, o):
            return nn.Sequential(
                nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(),
                nn.Conv2d(o, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU())
        self.down1, self.down2, self.middle = block(3, 16), block(16, 32), block(32, 64)
        self.up2, self.up1 = nn.ConvTranspose2d(64, 32, 2, 2), nn.ConvTranspose2d(32, 16, 2, 2)
        self.join2, self.join1 = block(64, 32), block(32, 16)
        self.head = nn.Conv2d(16, 4, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.middle(F.max_pool2d(b, 2))
        b = self.join2(torch.cat([b, self.up2(c)], 1))
        a = self.join1(torch.cat([a, self.up1(b)], 1))
        return self.head(a)


class Detector(nn.Module):
    """A small one-stage detector: three scales, boxes decoded on a fixed grid."""

    def __init__(self, classes=5, anchors=3):
        super().__init__()
        self.shape = (anchors, classes + 5)
        def conv(i, o, s=1, k=3):
            return nn.Sequential(
                nn.Conv2d(i, o, k, s, k // 2, bias=False), nn.BatchNorm2d(o), nn.SiLU())
        self.stem, self.c3 = nn.Sequential(conv(3, 16, 2), conv(16, 32, 2)), conv(32, 48, 2)
        self.c4, self.c5 = conv(48, 64, 2), conv(64, 96, 2)
        self.pool, self.after = nn.MaxPool2d(5, 1, 2), conv(96 * 3, 96, k=1)
        self.lateral, self.join = conv(96, 64, k=1), conv(128, 64)
        self.heads = nn.ModuleList(nn.Conv2d(c, anchors * (classes + 5), 1) for c in (48, 64, 96))

    def forward(self, x):
        c3 = self.c3(self.stem(x))
        c4 = self.c4(c3)
        c5 = self.c5(c4)
        p = self.pool(c5)
        c5 = self.after(torch.cat([c5, p, self.pool(p)], 1))
        up = F.interpolate(self.lateral(c5), scale_factor=2.0, mode="nearest")
        p4 = self.join(torch.cat([c4, up], 1))
        out = []
        for head, f in zip(self.heads, (c3, p4, c5)):
            y = head(f)
            n, _, h, w = y.shape
            y = y.view(n, self.shape[0], self.shape[1], h, w).permute(0, 1, 3, 4, 2)
            xy, wh, rest = y[..., :2].sigmoid() * 2 - 0.5, (y[..., 2:4].sigmoid() * 2) ** 2, y[..., 4:].sigmoid()
            out.append(torch.cat([xy, wh, rest], -1).reshape(n, -1, self.shape[1]))
        return torch.cat(out, 1)


OWN = {"unet": (UNet, 64), "detector": (Detector, 128)}
NAMES = TORCHVISION + TIMM + list(OWN)


def network(name):
    """The network with random weights and normalizations that do something, and its image size."""
    torch.manual_seed(0)
    size = 299 if name == "inception_v3" else 256 if name == "mobilevit_s" else 224
    if name in OWN:
        build, size = OWN[name]
        model = build()
    elif name in TIMM:
        import timm
        model = timm.create_model(name, pretrained=False, exportable=True)
    else:
        import torchvision
        extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
        model = getattr(torchvision.models, name)(weights=None, **extra)
        if name in ("googlenet", "inception_v3"):
            model.aux_logits = False
    for weight in model.parameters():
        # torchvision's vision transformer starts with a classifier of zeros.
        if weight.dim() > 1 and not weight.any():
            nn.init.normal_(weight, 0, 0.02)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.running_mean, 0, 0.1)
    return model.eval(), size


def export(name, folder, kind, folded):
    model, size = network(name)
    path = f"{folder}/{name}_{kind}_{'folded' if folded else 'bn'}.onnx"
    if os.path.exists(path):
        return path
    image = torch.rand(2, 3, size, size)
    if kind == "script":
        mode = torch.onnx.TrainingMode
        torch.onnx.export(
            model, (image,), path, dynamo=False, opset_version=17, input_names=["image"],
            output_names=["output"], dynamic_axes={"image": {0: "N"}, "output": {0: "N"}},
            training=mode.EVAL if folded else mode.PRESERVE, do_constant_folding=folded)
    else:
        program = torch.onnx.export(
            model, (image,), dynamo=True, input_names=["image"], output_names=["output"],
            dynamic_shapes=({0: torch.export.Dim("N")},), optimize=folded, verbose=False)
        if not folded:
            # Everything the exporter does by default, but for fusing normalizations.
            from onnxscript import optimizer, rewriter
            fusing = list(rewriter._fuse_batchnorm.rules)
            rules = tuple(r for r in rewriter._DEFAULT_REWRITE_RULES if r not in fusing)
            with unittest.mock.patch.object(rewriter, "_DEFAULT_REWRITE_RULES", rules):
                optimizer.optimize_ir(program.model)
        program.save(path)
    return path


if __name__ == "__main__":
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for name in sys.argv[2:] or NAMES:
        for kind in ("script", "dynamo"):
            for folded in (False, True):
                try:
                    print(export(name, folder, kind, folded), flush=True)
                except Exception as error:
                    print(name, kind, "folded" if folded else "bn", "cannot be exported:",
                          str(error).splitlines()[0][:150], flush=True)
