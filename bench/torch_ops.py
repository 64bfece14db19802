"""torch_ops.py THREADS: PyTorch's half of bench_ops.

Says {"version": ..., "blas": ...}, then answers each line {"case": an entry of bench/ops.json, "rule": ...} on standard input with {"forward": ms, "both":
ms of a forward and a backward pass or null, "norms": of the result and of the gradients}. The rule is RepeatRule's of bench/timing.hpp.
"""

import math

import torch
from torch.nn import functional as F

from torch_conv import milliseconds, repeats_for, serve


def numbers(shape, seed):
    """The twin of numbers() in bench/bench_ops.cpp."""
    index = torch.arange(math.prod(shape), dtype=torch.int64) + 29 * seed
    return (((index * 37) % 101 - 50).float() / 50).reshape(shape)


def operand(given, seed):
    if given is None:
        return None
    if isinstance(given, list):
        return numbers(given, seed)
    values = numbers(given["shape"], seed)
    if "below" in given:
        return ((values + 1) * 50).round().long() % given["below"]
    if given.get("mask"):
        return values > 0
    return (values + 1.02) / 2.04 if given.get("positive") else values


class Case:
    def __init__(self, case):
        self.case = case
        self.operands = [operand(given, seed) for seed, given in enumerate(case["inputs"])]
        plain = [i for i, given in enumerate(case["inputs"]) if isinstance(given, list)]
        self.leaves = [self.operands[i].requires_grad_() for i in case.get("grad", plain)]
        self.code = compile(case["torch"], "ops.json", "eval")
        self.names = dict(zip("abcde", self.operands), F=F, torch=torch)
        torch.manual_seed(0)
        result = self.call()
        self.norms = [result.detach().double().norm().item()]
        self.grad = numbers(result.shape, 7)
        if self.leaves:
            result.backward(self.grad)
            self.norms += [leaf.grad.double().norm().item() for leaf in self.leaves]
            self.clear()

    def call(self):
        return eval(self.code, self.names)

    def clear(self):
        for leaf in self.leaves:
            leaf.grad = None

    def forward(self):
        with torch.no_grad():
            self.call()

    def both(self):
        self.call().backward(self.grad)
        self.clear()


def timed(rule, function):
    repeats = repeats_for(rule, milliseconds(function, 1))
    return milliseconds(function, repeats) / repeats


def main():
    case = None

    def answer(request):
        nonlocal case
        if case is None or case.case != request["case"]:
            case = Case(request["case"])
        both = timed(request["rule"], case.both) if case.leaves else None
        return {"forward": timed(request["rule"], case.forward), "both": both, "norms": case.norms}

    serve(answer)


if __name__ == "__main__":
    main()
