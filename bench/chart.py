"""chart.py BENCH_JSON PNG: bars of lucid's, oneDNN's and PyTorch's share of the machine's limit, a panel a pass."""

import json
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

SIDES = (("lucid", "ms", "#1b6ca8"), ("oneDNN", "onednn_ms", "#e0a030"), ("PyTorch", "torch_ms", "#b0432f"))
PASSES = ("forward", "backward-data", "backward-weights")


def draw(axes, rows, name):
    height = 0.8 / len(SIDES)
    for side, (label, key, colour) in enumerate(SIDES):
        shares = [100 * row["limit_ms"] / row[key] if row[key] else 0 for row in rows]
        axes.barh([at + side * height for at in range(len(rows))], shares, height, label=label, color=colour)
    axes.axvline(100, color="black", linewidth=0.8)
    axes.set_title(name)
    axes.set_xlabel("% of the machine's limit")
    axes.grid(axis="x", alpha=0.3)


def main():
    source, target = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        rows = json.load(file)
    shapes = list(dict.fromkeys((row["op"], row["shape"]) for row in rows))
    figure, panels = pyplot.subplots(1, len(PASSES), sharey=True, figsize=(17, 1.8 + 0.34 * len(shapes)))
    for axes, name in zip(panels, PASSES):
        by_shape = {(row["op"], row["shape"]): row for row in rows if row["pass"] == name}
        draw(axes, [by_shape[shape] for shape in shapes], name)
    panels[0].set_yticks([at + 0.27 for at in range(len(shapes))])
    panels[0].set_yticklabels([f"{op} {shape}" for op, shape in shapes], fontsize=7)
    panels[0].invert_yaxis()
    panels[0].legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main()
