"""A YOLOv8n that has learned to find drawn shapes, and what is left of it after pruning without labels.

    pip install torch ultralytics onnx onnxruntime onnxslim
    python Benchmarks/tasks/yolo.py train OUT [--epochs 26]
    nap prune OUT/yolo.onnx --data OUT/yolo.x.npy --preset plain --macs 0.7 --epochs 0 -o SMALLER.onnx
    python Benchmarks/tasks/yolo.py val OUT SMALLER.onnx

train draws 700 images of 160x160 with four classes, trains from nothing on one thread (half a
minute an epoch), and writes OUT/yolo.onnx (ultralytics' export; yolo_dynamic.onnx with open sizes),
OUT/yolo.pt and OUT/yolo.x.npy: 256 of the training images as the network takes them, without labels.
val prints ultralytics' own mAP on 100 other images, of the original and of the given network, and how
alike their raw outputs are there: R² of the four rows of boxes, at all anchors (where they lie explains
most, so also about every anchor's mean) and where the original says any class with p >= 0.25; decisions at p >= 0.25 in the rows of classes (2TP / (2TP + FP + FN)), and the class
where the original says any.
"""

import argparse
import os
import pathlib
import shutil

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy
from PIL import Image, ImageDraw

SIZE, CLASSES, THRESHOLD = 160, ["disc", "square", "triangle", "cross"], 0.25


def picture(rng):
    """An image and its (class, x, y, w, h), sizes as shares of the image."""
    coarse = rng.integers(0, 256, (5, 5, 3), dtype=numpy.uint8)
    image = Image.fromarray(coarse).resize((SIZE, SIZE), Image.BICUBIC)
    draw, boxes, taken = ImageDraw.Draw(image), [], []
    for _ in range(rng.integers(1, 5)):
        kind, r = int(rng.integers(len(CLASSES))), int(rng.integers(12, 32))
        x, y = (int(v) for v in rng.integers(r, SIZE - r, 2))
        if any(abs(x - a) < r + s and abs(y - b) < r + s for a, b, s in taken):
            continue
        taken.append((x, y, r))
        colour, t = tuple(int(v) for v in rng.integers(0, 256, 3)), max(3, r // 3)
        if kind == 0:
            draw.ellipse([x - r, y - r, x + r, y + r], fill=colour, outline=(0, 0, 0))
        elif kind == 1:
            draw.rectangle([x - r, y - r, x + r, y + r], fill=colour, outline=(0, 0, 0))
        elif kind == 2:
            draw.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=colour, outline=(0, 0, 0))
        else:
            corners = [(-t, -r), (t, -r), (t, -t), (r, -t), (r, t), (t, t), (t, r), (-t, r), (-t, t),
                       (-r, t), (-r, -t), (-t, -t)]
            draw.polygon([(x + a, y + b) for a, b in corners], fill=colour, outline=(0, 0, 0))
        boxes.append((kind, x / SIZE, y / SIZE, (2 * r + 1) / SIZE, (2 * r + 1) / SIZE))
    pixels = numpy.asarray(image, numpy.float32) + rng.normal(0, 8, (SIZE, SIZE, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(numpy.uint8)), boxes


def draw(out):
    rng = numpy.random.default_rng(1)
    for split, count in (("train", 700), ("val", 100)):
        for folder in ("images", "labels"):
            shutil.rmtree(out / "data" / folder / split, ignore_errors=True)
            (out / "data" / folder / split).mkdir(parents=True)
        for i in range(count):
            image, boxes = picture(rng)
            image.save(out / f"data/images/{split}/{i:04}.png")
            lines = [f"{k} {x:.5f} {y:.5f} {w:.5f} {h:.5f}" for k, x, y, w, h in boxes]
            (out / f"data/labels/{split}/{i:04}.txt").write_text("\n".join(lines) + "\n")
    names = "".join(f"  {i}: {name}\n" for i, name in enumerate(CLASSES))
    (out / "data/data.yaml").write_text(
        f"path: {out / 'data'}\ntrain: images/train\nval: images/val\nnames:\n{names}")


def inputs(out, split, count):
    """Images as the network takes them: [N, 3, H, W], red, green, blue, from 0 to 1."""
    files = sorted((out / f"data/images/{split}").glob("*.png"))[:count]
    images = numpy.stack([numpy.asarray(Image.open(file).convert("RGB")) for file in files])
    return numpy.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=numpy.float32) / 255


def train(out, epochs):
    from ultralytics import YOLO

    draw(out)
    numpy.save(out / "yolo.x.npy", inputs(out, "train", 256))
    model = YOLO("yolov8n.yaml")
    model.train(
        data=str(out / "data/data.yaml"), imgsz=SIZE, epochs=epochs, batch=8, device="cpu", workers=0,
        amp=False, plots=False, seed=1, optimizer="AdamW", lr0=0.002, cos_lr=True, warmup_epochs=1,
        mosaic=0.0, project=str(out / "runs"), name="train", exist_ok=True, cache="ram")
    shutil.copy(out / "runs/train/weights/best.pt", out / "yolo.pt")
    for name, dynamic in (("yolo_dynamic", True), ("yolo", False)):
        path = YOLO(out / "yolo.pt").export(
            format="onnx", imgsz=SIZE, opset=17, dynamic=dynamic, device="cpu")
        if path != str(out / f"{name}.onnx"):
            shutil.move(path, out / f"{name}.onnx")


def outputs(path, x):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    port = session.get_inputs()[0]
    step = port.shape[0] if isinstance(port.shape[0], int) else 16
    parts = [session.run(None, {port.name: x[i:i + step]})[0] for i in range(0, len(x), step)]
    return numpy.concatenate(parts)


def explained(a, b):
    """R² of every row of boxes, [rows, anchors] or [N, rows, anchors]; then about every anchor's mean."""
    line = lambda rest, variance: " ".join(f"{v:.4f}" for v in 1 - ((a - b) ** 2).mean(rest) / variance)
    if a.ndim == 2:
        return line(1, a.var(1))
    return f"{line((0, 2), a.var((0, 2)))}   about anchors' means {line((0, 2), a.var(0).mean(1))}"


def alike(p, q):
    """2TP / (2TP + FP + FN) of two sets of decisions."""
    return 2 * (p & q).sum() / max(1, p.sum() + q.sum())


def score(out, path):
    from ultralytics import YOLO

    result = YOLO(path, task="detect").val(
        data=str(out / "data/data.yaml"), imgsz=SIZE, batch=1, device="cpu", workers=0, plots=False,
        verbose=False, project=str(out / "runs"), name="val", exist_ok=True)
    return result.box.map, result.box.map50


def val(out, model):
    original = str(out / "yolo.onnx")
    for name, path in (("original", original), ("given", model)):
        whole, half = score(out, path)
        print(f"{name:9} mAP50-95 {whole:.4f}   mAP50 {half:.4f}")
    x = inputs(out, "val", 100)
    a, b = outputs(original, x), outputs(model, x)
    print(f"finite {numpy.isfinite(b).all()}   R² of boxes {explained(a[:, :4], b[:, :4])}", end="   ")
    p, q = a[:, 4:], b[:, 4:]
    sure = p.max(1) >= THRESHOLD
    # The same anchors only: boxes of the others mean nothing.
    boxes = [y[:, :4].transpose(1, 0, 2)[:, sure] for y in (a, b)]
    print(f"where sure {explained(*boxes)}")
    print(f"decisions {alike(p >= THRESHOLD, q >= THRESHOLD):.4f}   "
          f"class {(p.argmax(1) == q.argmax(1))[sure].mean():.4f} (of {sure.sum()} anchors)")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("job", choices=["train", "val"])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--epochs", type=int, default=26)
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    os.environ["YOLO_CONFIG_DIR"], os.environ["YOLO_OFFLINE"] = str(out), "true"
    os.environ["YOLO_VERBOSE"] = str(arguments.job == "train")
    model = os.path.abspath(arguments.model) if arguments.model else None
    os.chdir(out)
    if arguments.job == "train":
        train(out, arguments.epochs)
    else:
        val(out, model or parser.error("val wants a network"))


if __name__ == "__main__":
    main()
