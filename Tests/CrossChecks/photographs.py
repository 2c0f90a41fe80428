"""Makes folders of images, and what torchvision makes of them.

    photographs.py make FOLDER            images of every kind in FOLDER/a, several sizes
    photographs.py prepare FOLDER OUT     bytes [N, 3, 224, 224] of FOLDER/a, by name, into OUT (.npy)
    photographs.py has                    status 0 where Pillow and torchvision are there

What torchvision's ImageFolder does but for the orientation of photographs, which nap applies.
"""
import os
import sys

try:
    import numpy as np
    from PIL import Image, ImageOps
    from torchvision.transforms import CenterCrop, Compose, Normalize, Resize, ToTensor
except ImportError:
    sys.exit(3)


def texture(width, height, seed):
    """Fine stripes, an edge, noise and a slope: what a careless filter gets wrong."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack(
        [
            127 + 120 * np.sin(x * 1.9 + seed) * np.cos(y * 0.7),
            255.0 * ((x // 3 + y // 5) % 2),
            255.0 * x / width,
        ],
        axis=2,
    )
    image[height // 3 : height // 2] += 90
    return np.clip(image + random.normal(0, 25, image.shape), 0, 255).astype(np.uint8)


def make(folder):
    os.makedirs(f"{folder}/a", exist_ok=True)
    sizes = [(500, 375), (375, 500), (640, 427), (257, 256), (100, 80), (1023, 301), (224, 224)]
    for i, size in enumerate(sizes):
        image = Image.fromarray(texture(*size, i))
        image.save(f"{folder}/a/{i}-plain.JPG", quality=90)
        image.save(f"{folder}/a/{i}-progressive.jpg", quality=75, progressive=True)
        image.save(f"{folder}/a/{i}-full.png")
        image.save(f"{folder}/a/{i}-bitmap.bmp")
        image.save(f"{folder}/a/{i}-lossless.webp", lossless=True)
        image.save(f"{folder}/a/{i}-lossy.webp", quality=80)
        image.convert("L").save(f"{folder}/a/{i}-grey.jpg")
        image.convert("CMYK").save(f"{folder}/a/{i}-inks.jpg")
        image.convert("L").save(f"{folder}/a/{i}-grey.png")
        image.convert("L").save(f"{folder}/a/{i}-grey.bmp")
        image.quantize(200).save(f"{folder}/a/{i}-palette.png")
        image.quantize(200).save(f"{folder}/a/{i}-palette.bmp")
        image.convert("1").save(f"{folder}/a/{i}-bits.png")
        see_through = image.copy()
        see_through.putalpha(image.convert("L"))
        see_through.save(f"{folder}/a/{i}-alpha.png")
        see_through.save(f"{folder}/a/{i}-alpha.webp", lossless=True, exact=True)
        see_through.convert("LA").save(f"{folder}/a/{i}-grey-alpha.png")
        exif = Image.Exif()
        exif[0x0112] = i + 2
        image.save(f"{folder}/a/{i}-turned.jpg", exif=exif, quality=95)


def prepare(folder, out):
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    steps = Compose([Resize(256), CenterCrop(224), ToTensor(), Normalize(mean, deviation)])
    names = sorted(os.listdir(f"{folder}/a"))
    images = [Image.open(f"{folder}/a/{name}") for name in names]
    images = [ImageOps.exif_transpose(image).convert("RGB") for image in images]
    np.save(out, np.stack([steps(image).numpy() for image in images]))


if sys.argv[1] == "make":
    make(sys.argv[2])
elif sys.argv[1] == "prepare":
    prepare(sys.argv[2], sys.argv[3])
