"""torch_nets.py THREADS: PyTorch's half of bench_nets.

Says {"version": ..., "blas": ...}, then answers each line {"net": a name of bench/nets.hpp, "repeats": ...} on standard input as torch_step.py says; the value
is the first loss. Each net is the twin of the one in bench/nets_*.cpp, where its source is named.
"""

import torch
from torch import nn
from torch.nn import functional as F

from torch_conv import pattern
from torch_step import fill, serve_steps, train


class NnUNet(nn.Module):
    class Block(nn.Module):
        def __init__(self, a, b, stride):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv3d(a, b, 3, stride, 1), nn.Conv3d(b, b, 3, 1, 1)
            self.norm1, self.norm2 = nn.InstanceNorm3d(b, affine=True), nn.InstanceNorm3d(b, affine=True)

        def forward(self, x):
            x = F.leaky_relu(self.norm1(self.conv1(x)), 0.01, inplace=True)
            return F.leaky_relu(self.norm2(self.conv2(x)), 0.01, inplace=True)

    def __init__(self):
        super().__init__()
        channels = (32, 64, 128, 256)
        self.encoder = nn.ModuleList(self.Block(a, b, 1 if a == 1 else 2) for a, b in zip((1,) + channels, channels))
        levels = tuple(zip(channels[:0:-1], channels[-2::-1]))
        self.ups = nn.ModuleList(nn.ConvTranspose3d(a, b, 2, 2) for a, b in levels)
        self.decoder = nn.ModuleList(self.Block(2 * b, b, 1) for _, b in levels)
        self.heads = nn.ModuleList(nn.Conv3d(b, 3, 1) for _, b in levels)

    def loss(self, x, classes):
        skips, total = [], 0
        for block in self.encoder:
            x = block(x)
            skips.append(x)
        for i, up in enumerate(self.ups):
            level = len(self.ups) - i - 1
            x = self.decoder[i](torch.cat([skips[level], up(x)], 1))
            total = total + dice_ce_loss(self.heads[i](x), classes[:, :: 1 << level, :: 1 << level, :: 1 << level]) / (1 << level)
        return total


def dice_ce_loss(logits, classes):
    p, t = torch.softmax(logits, 1), F.one_hot(classes, logits.shape[1]).movedim(-1, 1).float()
    axes = (2, 3, 4)
    dice = (2 * (p * t).sum(axes) + 1e-5) / (p.sum(axes) + t.sum(axes) + 1e-5)
    return 1 - dice.mean() + F.cross_entropy(logits, classes)


class SegResNet(nn.Module):
    class Block(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.conv1, self.conv2 = (nn.Conv3d(n, n, 3, padding=1, bias=False) for _ in range(2))
            self.norm1, self.norm2 = nn.GroupNorm(8, n), nn.GroupNorm(8, n)

        def forward(self, x):
            y = self.conv1(F.relu(self.norm1(x), inplace=True))
            return x + self.conv2(F.relu(self.norm2(y), inplace=True))

    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv3d(1, 16, 3, padding=1, bias=False), nn.Conv3d(16, 4, 1)
        self.downs = nn.ModuleList(nn.Conv3d(8 << i, 16 << i, 3, 2, 1, bias=False) for i in (1, 2, 3))
        self.encoder = nn.ModuleList(
            nn.Sequential(*(self.Block(16 << i) for _ in range(count))) for i, count in enumerate((1, 2, 2, 4))
        )
        self.reduces = nn.ModuleList(nn.Conv3d(32 << i, 16 << i, 1, bias=False) for i in (2, 1, 0))
        self.decoder = nn.ModuleList(self.Block(16 << i) for i in (2, 1, 0))
        self.norm = nn.GroupNorm(8, 16)

    def forward(self, x):
        x, skips = self.stem(x), []
        for i, blocks in enumerate(self.encoder):
            x = blocks(x if i == 0 else self.downs[i - 1](x))
            skips.append(x)
        for i, reduce in enumerate(self.reduces):
            grown = F.interpolate(reduce(x), scale_factor=2, mode="trilinear", align_corners=False)
            x = self.decoder[i](grown + skips[2 - i])
        return self.head(F.relu(self.norm(x), inplace=True))


class VNet(nn.Module):
    class Stage(nn.Module):
        def __init__(self, a, n, depth):
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv3d(a if i == 0 else n, n, 5, padding=2) for i in range(depth))
            self.norms = nn.ModuleList(nn.BatchNorm3d(n) for _ in range(depth))
            self.activations = nn.ModuleList(nn.PReLU(n) for _ in range(depth))

        def forward(self, x, shortcut):
            for i, conv in enumerate(self.convs):
                x = self.norms[i](conv(x))
                x = self.activations[i](x + shortcut if i + 1 == len(self.convs) else x)
            return x

    def __init__(self):
        super().__init__()
        self.encoder = nn.ModuleList([self.Stage(1, 16, 1), self.Stage(32, 32, 2), self.Stage(64, 64, 2)])
        self.downs = nn.ModuleList([nn.Conv3d(16, 32, 2, 2), nn.Conv3d(32, 64, 2, 2)])
        self.ups = nn.ModuleList([nn.ConvTranspose3d(64, 16, 2, 2), nn.ConvTranspose3d(32, 8, 2, 2)])
        self.decoder = nn.ModuleList([self.Stage(48, 32, 2), self.Stage(24, 16, 1)])
        self.shortcuts = nn.ModuleList([nn.Conv3d(48, 32, 1), nn.Conv3d(24, 16, 1)])
        self.head = nn.Conv3d(16, 2, 1)

    def forward(self, x):
        skips = []
        for i, stage in enumerate(self.encoder):
            x = x if i == 0 else self.downs[i - 1](x)
            x = stage(x, x)
            skips.append(x)
        for i, up in enumerate(self.ups):
            x = torch.cat([up(x), skips[1 - i]], 1)
            x = self.decoder[i](x, self.shortcuts[i](x))
        return self.head(x)


class MedNeXt(nn.Module):
    class Block(nn.Module):
        def __init__(self, a, b, halves=False):
            super().__init__()
            self.depthwise = nn.Conv3d(a, a, 3, 2 if halves else 1, 1, groups=a)
            self.norm = nn.GroupNorm(a, a)
            self.grow, self.shrink = nn.Conv3d(a, 2 * a, 1), nn.Conv3d(2 * a, b, 1)
            self.shortcut = nn.Conv3d(a, b, 1, 2) if halves else nn.Identity()

        def forward(self, x):
            return self.shrink(F.gelu(self.grow(self.norm(self.depthwise(x))))) + self.shortcut(x)

    class Up(nn.Module):
        def __init__(self, a):
            super().__init__()
            self.depthwise = nn.ConvTranspose3d(a, a, 3, 2, 1, 1, groups=a)
            self.norm = nn.GroupNorm(a, a)
            self.grow, self.shrink = nn.Conv3d(a, 2 * a, 1), nn.Conv3d(2 * a, a // 2, 1)
            self.shortcut = nn.ConvTranspose3d(a, a // 2, 3, 2, 1, 1)

        def forward(self, x):
            return self.shrink(F.gelu(self.grow(self.norm(self.depthwise(x))))) + self.shortcut(x)

    def __init__(self):
        super().__init__()
        widths = (16, 32, 64, 128)
        self.stem, self.head = nn.Conv3d(1, 16, 1), nn.Conv3d(16, 3, 1)
        self.encoder = nn.ModuleList(self.Block(n, n) for n in widths)
        self.downs = nn.ModuleList(self.Block(n, 2 * n, True) for n in widths[:3])
        self.ups = nn.ModuleList(self.Up(n) for n in widths[:0:-1])
        self.decoder = nn.ModuleList(self.Block(n, n) for n in widths[2::-1])

    def forward(self, x):
        x, skips = self.stem(x), []
        for i, block in enumerate(self.encoder):
            x = block(x if i == 0 else self.downs[i - 1](x))
            skips.append(x)
        for i, up in enumerate(self.ups):
            x = self.decoder[i](up(x) + skips[2 - i])
        return self.head(x)


class Unetr(nn.Module):
    WIDTH = 384

    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attention = nn.MultiheadAttention(width, 6, batch_first=True)
            self.grow, self.shrink = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            y = self.norm1(x)
            x = x + self.attention(y, y, y, need_weights=False)[0]
            return x + self.shrink(F.gelu(self.grow(self.norm2(x))))

    class Up(nn.Module):
        def __init__(self, a, b):
            super().__init__()
            self.up, self.conv = nn.ConvTranspose3d(a, b, 2, 2), nn.Conv3d(b, b, 3, padding=1, bias=False)
            self.norm = nn.InstanceNorm3d(b, affine=True)

        def forward(self, x):
            return F.leaky_relu(self.norm(self.conv(self.up(x))), 0.01, inplace=True)

    def __init__(self):
        super().__init__()
        width = self.WIDTH
        self.patches = nn.Conv3d(1, width, 16, 16)
        self.position = nn.Parameter(torch.zeros(1, 216, width))
        self.blocks = nn.Sequential(*(self.Block(width) for _ in range(4)))
        self.norm = nn.LayerNorm(width)
        self.ups = nn.Sequential(*(self.Up(a, b) for a, b in ((width, 128), (128, 64), (64, 32), (32, 16))))
        self.stem, self.head = nn.Conv3d(1, 16, 3, padding=1), nn.Conv3d(32, 4, 1)

    def forward(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2) + self.position
        x = self.norm(self.blocks(x)).transpose(1, 2).reshape(1, self.WIDTH, 6, 6, 6)
        return self.head(torch.cat([self.ups(x), F.leaky_relu(self.stem(image))], 1))


class Gan3d(nn.Module):
    def __init__(self):
        super().__init__()
        widths = (32, 64, 128, 256)
        self.ups = nn.ModuleList([nn.ConvTranspose3d(200, 256, 4, bias=False)])
        self.ups.extend(nn.ConvTranspose3d(2 * n, n, 4, 2, 1, bias=False) for n in widths[2::-1])
        self.up_norms = nn.ModuleList(nn.BatchNorm3d(n) for n in widths[::-1])
        self.last = nn.ConvTranspose3d(32, 1, 4, 2, 1)
        self.downs = nn.ModuleList(nn.Conv3d(1 if n == 32 else n // 2, n, 4, 2, 1, bias=False) for n in widths)
        self.down_norms = nn.ModuleList(nn.BatchNorm3d(n) for n in widths)
        self.head = nn.Conv3d(256, 1, 4)

    def forward(self, x):
        for up, norm in zip(self.ups, self.up_norms):
            x = F.relu(norm(up(x)), inplace=True)
        x = torch.sigmoid(self.last(x))
        for down, norm in zip(self.downs, self.down_norms):
            x = F.leaky_relu(norm(down(x)), 0.2, inplace=True)
        return self.head(x)


class ResNet18(nn.Module):
    class Block(nn.Module):
        def __init__(self, a, b):
            super().__init__()
            self.conv1 = nn.Conv3d(a, b, 3, 1 if a == b else 2, 1, bias=False)
            self.conv2 = nn.Conv3d(b, b, 3, 1, 1, bias=False)
            self.norm1, self.norm2 = nn.BatchNorm3d(b), nn.BatchNorm3d(b)
            self.shortcut = nn.Identity()
            if a != b:
                self.shortcut = nn.Sequential(nn.Conv3d(a, b, 1, 2, bias=False), nn.BatchNorm3d(b))

        def forward(self, x):
            y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)), inplace=True)))
            return F.relu(y + self.shortcut(x), inplace=True)

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv3d(1, 64, 7, 2, 3, bias=False), nn.BatchNorm3d(64)
        widths = (64, 64, 128, 128, 256, 256, 512, 512)
        self.blocks = nn.Sequential(*(self.Block(a, b) for a, b in zip((64,) + widths, widths)))
        self.head = nn.Linear(512, 10)

    def forward(self, x):
        x = F.max_pool3d(F.relu(self.norm(self.stem(x)), inplace=True), 3, 2, 1)
        return self.head(self.blocks(x).mean((2, 3, 4)))


class AttentionUNet2d(nn.Module):
    class Block(nn.Module):
        def __init__(self, a, b):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(a, b, 3, padding=1, bias=False), nn.Conv2d(b, b, 3, padding=1, bias=False)
            self.norm1, self.norm2 = nn.BatchNorm2d(b), nn.BatchNorm2d(b)

        def forward(self, x):
            x = F.relu(self.norm1(self.conv1(x)), inplace=True)
            return F.relu(self.norm2(self.conv2(x)), inplace=True)

    class Level(nn.Module):
        def __init__(self, n, block):
            super().__init__()
            self.up = nn.ConvTranspose2d(2 * n, n, 2, 2)
            self.of_skip, self.of_up = nn.Conv2d(n, n // 2, 1), nn.Conv2d(n, n // 2, 1)
            self.gate, self.block = nn.Conv2d(n // 2, 1, 1), block

        def forward(self, x, skip):
            x = self.up(x)
            gate = torch.sigmoid(self.gate(F.relu(self.of_skip(skip) + self.of_up(x), inplace=True)))
            return self.block(torch.cat([skip * gate, x], 1))

    def __init__(self):
        super().__init__()
        widths = (32, 64, 128, 256)
        self.encoder = nn.ModuleList(self.Block(a, b) for a, b in zip((1,) + widths, widths))
        self.decoder = nn.ModuleList(self.Level(n, self.Block(2 * n, n)) for n in widths[2::-1])
        self.head = nn.Conv2d(32, 2, 1)

    def forward(self, x):
        skips = []
        for block in self.encoder:
            x = block(F.max_pool2d(x, 2) if skips else x)
            skips.append(x)
        for i, level in enumerate(self.decoder):
            x = level(x, skips[2 - i])
        return self.head(x)


def with_cross_entropy(make_net, shape, target, count):
    net, x, t = make_net(), pattern(shape), classes(target, count)
    return net, lambda: F.cross_entropy(net(x), t)


def classes(shape, count):
    return ((torch.arange(torch.Size(shape).numel()) // 5) % count).reshape(shape)


def nnunet():
    net, x, t = NnUNet(), pattern((1, 1, 64, 64, 64)), classes((1, 64, 64, 64), 3)
    return net, lambda: net.loss(x, t)


def gan():
    net, x, t = Gan3d(), pattern((4, 200, 1, 1, 1)), torch.ones(4, 1, 1, 1, 1)
    return net, lambda: F.binary_cross_entropy_with_logits(net(x), t)


NETS = {
    "nnU-Net": nnunet,
    "SegResNet": lambda: with_cross_entropy(SegResNet, (1, 1, 64, 64, 64), (1, 64, 64, 64), 4),
    "V-Net": lambda: with_cross_entropy(VNet, (1, 1, 48, 48, 48), (1, 48, 48, 48), 2),
    "MedNeXt": lambda: with_cross_entropy(MedNeXt, (1, 1, 64, 64, 64), (1, 64, 64, 64), 3),
    "UNETR": lambda: with_cross_entropy(Unetr, (1, 1, 96, 96, 96), (1, 96, 96, 96), 4),
    "3D-GAN": gan,
    "ResNet-18": lambda: with_cross_entropy(ResNet18, (2, 1, 64, 64, 64), (2,), 10),
    "attention U-Net 2D": lambda: with_cross_entropy(AttentionUNet2d, (2, 1, 256, 256), (2, 256, 256), 2),
}


class Task:
    def __init__(self, request):
        self.net, self.loss = NETS[request["net"]]()
        fill(self.net)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-4)

    def step(self):
        return train(self.optimizer, self.loss())


if __name__ == "__main__":
    serve_steps(Task)
