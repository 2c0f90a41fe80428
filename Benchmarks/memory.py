"""Peak memory of training, nap against PyTorch: the same network, batch and precision.

    swift build -c release --product nap
    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install torch torchvision numpy onnx
    /tmp/peers/bin/python Benchmarks/memory.py [--network NAME] [--precision float32|bfloat16]

What a process occupies at most, less what it occupies before it has a network (the libraries).
"""

import argparse
import os
import subprocess
import sys
import tempfile

from training import NETWORKS, Nap, Peer


def peak(command):
    """The largest resident size of a command, in MiB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{command} failed")
    return usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--network", choices=list(NETWORKS), default="resnet50")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--save-memory", action="store_true", help="give it to nap")
    parser.add_argument("--peer", choices=["channels", "channels-last"])
    arguments = parser.parse_args()
    if arguments.peer:
        peer = Peer(
            arguments.network, arguments.peer == "channels-last",
            arguments.precision == "bfloat16")
        for _ in range(3):
            peer.step()
        return
    with tempfile.TemporaryDirectory() as folder:
        nap = Nap(arguments.network, arguments.precision, folder, arguments.save_memory)
        ours = peak(nap.command) - peak([nap.command[0], "--version"])
    this = [sys.executable, __file__, "--network", arguments.network, "--precision",
            arguments.precision, "--peer"]
    empty = peak([sys.executable, "-c", "import torch, torchvision, numpy"])
    theirs = min(peak(this + [kind]) for kind in ("channels", "channels-last")) - empty
    print(f"nap      {ours:8.0f} MiB\nPyTorch  {theirs:8.0f} MiB")
    print(f"ratio    {ours / theirs:8.2f}  ({arguments.network}, {arguments.precision})")


if __name__ == "__main__":
    main()
