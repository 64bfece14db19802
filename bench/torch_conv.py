"""torch_conv.py THREADS: PyTorch's half of bench_conv.

Says {"version": ..., "blas": the file of the BLAS it runs on}, then answers each line {"case": ..., "pass": ..., "rule": ...} on standard input with a line
{"ms": mean of one round, "norm": of the result}. The rule is RepeatRule's of bench/timing.hpp.
"""

import json
import math
import os
import sys
import time

import torch


def pattern(shape):
    """The twin of pattern() in bench/operands.hpp."""
    index = torch.arange(math.prod(shape), dtype=torch.int64)
    return (((index * 37) % 101 - 50).float() / 50).reshape(shape)


class Case:
    """The passes of one convolution, on contiguous tensors."""

    def __init__(self, case):
        self.case = case
        self.input, self.weight, self.grad = (pattern(case[name]) for name in ("input", "weight", "output"))
        self.norms = {}

    def run(self, name):
        case = self.case
        transposed = case["op"] == "conv_transpose3d"
        if name == "forward" and transposed:
            return torch.conv_transpose3d(
                self.input, self.weight, None, case["stride"], case["padding"], case["output_padding"], case["groups"],
                case["dilation"],
            )
        if name == "forward":
            return torch.conv3d(
                self.input, self.weight, None, case["stride"], case["padding"], case["dilation"], case["groups"]
            )
        wanted = ["backward-data", "backward-weights"].index(name)
        return torch.ops.aten.convolution_backward(
            self.grad, self.input, self.weight, None, case["stride"], case["padding"], case["dilation"], transposed,
            case["output_padding"], case["groups"], [wanted == 0, wanted == 1, False],
        )[wanted]

    def norm(self, name):
        if name not in self.norms:
            self.norms[name] = self.run(name).double().norm().item()
        return self.norms[name]


def blas():
    """The file that this process has loaded as libblas, and its folder, by which Debian tells the makes apart."""
    with open("/proc/self/maps", encoding="utf-8") as file:
        paths = {line.split(maxsplit=5)[5].strip() for line in file if "/libblas" in line}
    return ", ".join(sorted("/".join(path.split(os.sep)[-2:]) for path in paths)) or "a BLAS of its own"


def milliseconds(function, repeats):
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) * 1e3


def repeats_for(rule, ms):
    if ms * rule["least"] > rule["most_ms"]:
        return 1
    return min(max(math.ceil(rule["least_ms"] / max(ms, 1e-6)), rule["least"]), rule["most"])


def serve(answer):
    """Greets with the versions, then says answer(request) to each request on standard input."""
    torch.set_num_threads(int(sys.argv[1]))
    print(json.dumps({"version": torch.__version__, "blas": blas()}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


def main():
    torch.set_grad_enabled(False)
    case = None

    def answer(request):
        nonlocal case
        if case is None or case.case != request["case"]:
            case = Case(request["case"])
        name = request["pass"]
        norm = case.norm(name)
        repeats = repeats_for(request["rule"], milliseconds(lambda: case.run(name), 1))
        return {"ms": milliseconds(lambda: case.run(name), repeats) / repeats, "norm": norm}

    serve(answer)


if __name__ == "__main__":
    main()
