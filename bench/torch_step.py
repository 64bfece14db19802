"""What PyTorch's halves of bench_unet and bench_nets have in common."""

import gc
import math
import re

import torch

from torch_conv import milliseconds, pattern, serve


def fill(net, factor=1.0):
    """The twin of fill() in bench/whole_net.cpp."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if parameter.dim() > 1:
                fan = math.prod(parameter.shape[1:])
                parameter.copy_(pattern(parameter.shape) * (factor * math.sqrt(3 / fan)))
            elif name.endswith("bias"):
                parameter.zero_()


def train(optimizer, loss):
    """A step by the gradients of `loss`, whose value it returns."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


def peak_bytes():
    with open("/proc/self/status", encoding="utf-8") as file:
        return int(re.search(r"VmHWM:\s*(\d+)", file.read()).group(1)) * 1024


def reset_peak():
    gc.collect()
    with open("/proc/self/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")


def serve_steps(make_task):
    """Answers each request, of which "repeats" is the number of timed steps, with {"ms": their mean after an untimed one, "peak_bytes": the most that was
    resident meanwhile, "value": what the first step gave}. make_task(request) has step()."""
    asked, task, value = None, None, None

    def answer(request):
        nonlocal asked, task, value
        if request != asked:
            asked, task = request, None
            gc.collect()
            task = make_task(request)
            reset_peak()
            value = task.step().item()
        else:
            task.step()
        ms = milliseconds(task.step, request["repeats"]) / request["repeats"]
        return {"ms": ms, "peak_bytes": peak_bytes(), "value": value}

    serve(answer)
