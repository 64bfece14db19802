"""parity.py PARITY_LUCID CONFIG FOLDER STEPS ROUNDS: the same training steps in lucid and in PyTorch.

PARITY_LUCID writes initial weights, patches, losses and times to FOLDER; this program reads the first two, takes the same
steps in PyTorch and compares the losses. The runs alternate, ROUNDS times each, so that both meet the same machine.
"""

import json
import os
import statistics
import struct
import subprocess
import sys
import time

import numpy
import torch
from torch import nn
from torch.nn import functional as F

SMOOTH = 1e-5  # of ops::dice_ce_loss
FLOAT32, FLOAT64 = 1e-3, 1e-6  # the relative difference that is allowed between the two frameworks
ROUNDING = 1e-4  # PyTorch's own float32 counts as long as its losses are this close to its float64 ones


def read_safetensors(path):
    """Name to tensor: an 8-byte little-endian header length, a JSON header, the elements."""
    with open(path, "rb") as file:
        data = file.read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    types = {"F32": numpy.float32, "I64": numpy.int64}
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + at for at in entry["data_offsets"])
        array = numpy.frombuffer(data[begin:end], types[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = torch.from_numpy(array.copy())
    return tensors


class Block(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, out_channels, 3, padding=1, bias=False)
        self.instance1 = nn.InstanceNorm3d(out_channels, affine=True)
        self.conv2 = nn.Conv3d(out_channels, out_channels, 3, padding=1, bias=False)
        self.instance2 = nn.InstanceNorm3d(out_channels, affine=True)

    def forward(self, x):
        x = F.leaky_relu(self.instance1(self.conv1(x)), 0.01)
        return F.leaky_relu(self.instance2(self.conv2(x)), 0.01)


class DecoderLevel(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.up = nn.ConvTranspose3d(in_channels, out_channels, 2, stride=2)
        self.block = Block(2 * out_channels, out_channels)

    def forward(self, x, skip):
        return self.block(torch.cat([skip, self.up(x)], 1))


class UNet3d(nn.Module):
    """The twin of nn/models/unet3d.hpp, with the same state_dict keys."""

    def __init__(self, in_channels, out_channels, channels):
        super().__init__()
        self.encoder = nn.ModuleList(Block(a, b) for a, b in zip([in_channels] + channels, channels))
        self.decoder = nn.ModuleList(DecoderLevel(b, a) for a, b in zip(channels, channels[1:]))
        self.head = nn.Conv3d(channels[0], out_channels, 1)

    def forward(self, x):
        skips = []
        for level, block in enumerate(self.encoder):
            x = block(x if level == 0 else F.max_pool3d(x, 2))
            skips.append(x)
        for level in reversed(range(len(self.decoder))):
            x = self.decoder[level](x, skips[level])
        return self.head(x)


def soft_dice_loss(logits, classes):
    """1 - the mean soft Dice of the classes that are in the patch."""
    truth = F.one_hot(classes, logits.shape[1]).movedim(-1, 1).to(logits.dtype)
    probability = logits.softmax(1)
    axes = (2, 3, 4)
    common = (probability * truth).sum(axes)
    sizes = probability.sum(axes) + truth.sum(axes)
    present = truth.sum(axes) > 0
    return 1 - ((2 * common + SMOOTH) / (sizes + SMOOTH))[present].mean()


def rate_factor(config):
    """Linear from 0.01 to 1 over the warm-up, then a polynomial down to 0 (nn/optim/schedule.hpp, WarmupLR)."""
    total, warmup, power = config["steps"], config["schedule"]["warmup"], config["schedule"]["power"]

    def factor(step):
        if step < warmup:
            return 0.01 + 0.99 * step / warmup
        return (1 - (step - warmup) / (total - warmup)) ** power

    return factor


def run_torch(config, folder, steps, dtype):
    """Losses and seconds of each step."""
    patches = read_safetensors(os.path.join(folder, "patches.safetensors"))
    net = UNet3d(1, len(config["classes"]) + 1, config["net"]["channels"])
    net.load_state_dict(read_safetensors(os.path.join(folder, "initial.safetensors")))
    net.to(getattr(torch, dtype))
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=config["optimizer"]["learning_rate"], weight_decay=config["optimizer"]["weight_decay"]
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate_factor(config))
    losses, seconds = [], []
    for step in range(steps):
        image = patches[f"image.{step}"].to(getattr(torch, dtype))
        classes = patches[f"classes.{step}"]
        start = time.perf_counter()
        logits = net(image)
        loss = F.cross_entropy(logits, classes) + soft_dice_loss(logits, classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
    return losses, seconds


def run_lucid(program, config_path, folder, steps, dtype):
    subprocess.run([program, config_path, folder, str(steps), dtype], check=True)
    with open(os.path.join(folder, "lucid.json"), encoding="utf-8") as file:
        result = json.load(file)
    return result["loss"], result["seconds"]


def differences(ours, theirs):
    return [abs(a - b) / abs(b) for a, b in zip(ours, theirs)]


def count_comparable(theirs32, theirs64):
    """The number of first steps in which PyTorch's float32 follows its float64."""
    for step, difference in enumerate(differences(theirs32, theirs64)):
        if not difference <= ROUNDING:
            return step
    return len(theirs32)


def main():
    program, config_path, folder, steps, rounds = sys.argv[1:]
    steps, rounds = int(steps), int(rounds)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    with open(config_path, encoding="utf-8") as file:
        config = json.load(file)

    ours64, _ = run_lucid(program, config_path, folder, steps, "float64")
    theirs64, _ = run_torch(config, folder, steps, "float64")
    times = {"lucid": [], "PyTorch": []}
    for _ in range(rounds):
        ours32, our_seconds = run_lucid(program, config_path, folder, steps, "float32")
        theirs32, their_seconds = run_torch(config, folder, steps, "float32")
        times["lucid"] += our_seconds[1:]  # the first step also plans and allocates
        times["PyTorch"] += their_seconds[1:]
    if not len(ours64) == len(theirs64) == len(ours32) == len(theirs32) == steps:
        sys.exit(f"parity: not all runs took {steps} steps")

    difference64 = differences(ours64, theirs64)
    difference32 = differences(ours32, theirs32)
    rounding = differences(theirs32, theirs64)
    print("            float64                          float32                          PyTorch's own")
    print("step       lucid    PyTorch  difference      lucid    PyTorch  difference  float32 - float64")
    for step in range(steps):
        print(
            f"{step + 1:4}  {ours64[step]:10.7f} {theirs64[step]:10.7f}  {difference64[step]:10.1e} "
            f"{ours32[step]:10.7f} {theirs32[step]:10.7f}  {difference32[step]:10.1e}  {rounding[step]:17.1e}"
        )
    for name, seconds in times.items():
        print(
            f"{name:8} {statistics.median(seconds) * 1e3:7.1f} ms a step (median, float32), "
            f"{min(seconds) * 1e3:7.1f} ms at best, {torch.get_num_threads()} threads"
        )

    comparable = count_comparable(theirs32, theirs64)
    worst64 = max(difference64)
    worst32 = max(difference32[:comparable], default=0.0)
    print(
        f"parity: float64 losses agree to {worst64:.1e} relative in {steps} steps (allowed: {FLOAT64:.0e}); float32 "
        f"losses to {worst32:.1e} (allowed: {FLOAT32:.0e}) in the {comparable} steps before PyTorch's own rounding "
        f"moves its loss by {ROUNDING:.0e}"
    )
    if not (worst64 <= FLOAT64 and worst32 <= FLOAT32 and comparable > 0):
        sys.exit("parity: the losses differ by more than is allowed")


if __name__ == "__main__":
    main()
