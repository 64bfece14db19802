"""torch_unet.py THREADS: PyTorch's half of bench_unet.

Says {"version": ..., "blas": ...}, then answers each line {"norm": ..., "batch": ..., "side": ..., "task": "train" or "infer", "repeats": ...} on
standard input with {"ms": mean of the repeats after an untimed one, "peak_bytes": the most that was resident meanwhile, "value": the first loss, or the
norm of the result}. The net and the data are those of bench/bench_unet.cpp.
"""

import torch
from torch import nn
from torch.nn import functional as F

from torch_conv import pattern
from torch_step import fill, serve_steps, train

CHANNELS = (16, 32, 64, 128)
CLASSES = 4


class Block(nn.Module):
    def __init__(self, in_channels, out_channels, norm):
        super().__init__()
        kind = nn.BatchNorm3d if norm == "batch" else lambda channels: nn.InstanceNorm3d(channels, affine=True)
        self.conv1 = nn.Conv3d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm1 = kind(out_channels)
        self.conv2 = nn.Conv3d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = kind(out_channels)

    def forward(self, x):
        x = F.leaky_relu(self.norm1(self.conv1(x)), 0.01, inplace=True)
        return F.leaky_relu(self.norm2(self.conv2(x)), 0.01, inplace=True)


class Level(nn.Module):
    def __init__(self, in_channels, out_channels, norm):
        super().__init__()
        self.up = nn.ConvTranspose3d(in_channels, out_channels, 2, stride=2)
        self.block = Block(2 * out_channels, out_channels, norm)

    def forward(self, x, skip):
        return self.block(torch.cat([skip, self.up(x)], 1))


class UNet3d(nn.Module):
    """The twin of nn/models/unet3d.hpp: the same parameters in the same order."""

    def __init__(self, norm):
        super().__init__()
        self.encoder = nn.ModuleList(Block(a, b, norm) for a, b in zip((1,) + CHANNELS, CHANNELS))
        self.decoder = nn.ModuleList(Level(b, a, norm) for a, b in zip(CHANNELS, CHANNELS[1:]))
        self.head = nn.Conv3d(CHANNELS[0], CLASSES, 1)

    def forward(self, x):
        skips = []
        for level, block in enumerate(self.encoder):
            x = block(x if level == 0 else F.max_pool3d(x, 2))
            skips.append(x)
        for level in reversed(range(len(self.decoder))):
            x = self.decoder[level](x, skips[level])
        return self.head(x)


class Task:
    def __init__(self, request):
        side, batch = request["side"], request["batch"]
        self.net = UNet3d(request["norm"])
        fill(self.net, 0.99 if request["norm"] == "batch" else 1.0)
        self.image = pattern((batch, 1, side, side, side))
        index = torch.arange(batch * side**3, dtype=torch.int64)
        self.classes = ((index // 5) % CLASSES).reshape(batch, side, side, side)
        self.trains = request["task"] == "train"
        self.net.train(self.trains)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-3)

    def step(self):
        if not self.trains:
            with torch.no_grad():
                return self.net(self.image).double().norm()
        return train(self.optimizer, F.cross_entropy(self.net(self.image), self.classes))


if __name__ == "__main__":
    serve_steps(Task)
