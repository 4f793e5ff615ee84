"""PyTorch's side of ``benchmarks.updates``: a worker process that times what it is asked to.

It reads one JSON object a line from its standard input and answers each with one. Weights and data
come from, and go to, ``.npz`` files, so that both sides start from the same numbers.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional

PLAIN = "PyTorch, plain loop"
EACH = "PyTorch, compiled update of a member"
ALL = "PyTorch, compiled loop over members"
VMAPPED = "PyTorch, compiled vmapped update"
GRAPH = "PyTorch, CUDA graph of the compiled vmapped update"
UNROLLED_MEMBERS = 8  # more make the compiled loop over members slow to compile

Params = dict[str, torch.Tensor]
Members = list[torch.nn.Module]


def members_of(arrays: dict[str, np.ndarray], device: str) -> Members:
    """One ``Sequential`` per member, with the weights in ``arrays``."""
    layers = sorted({name.split("/")[0] for name in arrays if "/" in name})  # "output" is last
    members = []
    for member in range(len(arrays["y"])):
        modules: list[torch.nn.Module] = []
        for layer in layers:
            kernel, bias = (
                torch.tensor(arrays[f"{layer}/{k}"][member]) for k in ("kernel", "bias")
            )
            linear = torch.nn.Linear(*kernel.shape)
            linear.weight.data, linear.bias.data = kernel.T.contiguous(), bias
            modules += [linear, torch.nn.Tanh()]
        members.append(torch.nn.Sequential(*modules[:-1]).to(device))
    return members


class Trainer(NamedTuple):
    """``train()`` makes a block of updates on every member; ``params()`` looks at the result."""

    train: Callable[[], None]
    params: Callable[[], Params]


def contenders(
    members: Members, x: torch.Tensor, y: torch.Tensor, rate: float
) -> dict[str, Trainer]:
    """Ways to train ``members`` on x, y [members, updates, batch, ...], from the same weights."""
    skeleton, start = members[0], stack(members)

    def descend(params: Params, x: torch.Tensor, y: torch.Tensor, *, batched: bool = False) -> None:
        def cost(params: Params, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return functional.cross_entropy(functional_call(skeleton, params, (x,)), y)

        gradient = vmap(grad(cost)) if batched else grad(cost)
        for name, value in gradient(params, x, y).items():
            params[name].sub_(rate * value)

    def descend_all(everyone: list[Params], x: torch.Tensor, y: torch.Tensor) -> None:
        for i, params in enumerate(everyone):
            descend(params, x[i], y[i])

    def each(everyone: list[Params]) -> None:
        for update in range(x.shape[1]):
            for i, params in enumerate(everyone):
                compiled(params, x[i, update], y[i, update])

    def together(step: Callable[..., None], params: Params | list[Params]) -> None:
        for update in range(x.shape[1]):
            step(params, x[:, update], y[:, update])

    def per_member(train: Callable[[list[Params]], None]) -> Trainer:
        everyone = [{k: v[i].clone() for k, v in start.items()} for i in range(len(members))]
        return Trainer(
            lambda: train(everyone),
            lambda: {name: torch.stack([params[name] for params in everyone]) for name in start},
        )

    def stacked() -> Trainer:
        params = {name: value.clone() for name, value in start.items()}
        return Trainer(lambda: together(compiled_stack, params), lambda: params)

    compiled = torch.compile(descend)
    compiled_all = torch.compile(descend_all)
    compiled_stack = torch.compile(partial(descend, batched=True))
    found = {PLAIN: plain(members, x, y, rate), EACH: per_member(each), VMAPPED: stacked()}
    if len(members) <= UNROLLED_MEMBERS:
        found[ALL] = per_member(partial(together, compiled_all))
    if x.device.type == "cuda":
        found[GRAPH] = cuda_graph(stacked())
    return found


def plain(members: Members, x: torch.Tensor, y: torch.Tensor, rate: float) -> Trainer:
    """What a PyTorch user writes first: modules, ``backward`` and ``torch.optim.SGD``."""
    optimizers = [torch.optim.SGD(member.parameters(), rate) for member in members]

    def train() -> None:
        for update in range(x.shape[1]):
            for i, (member, optimizer) in enumerate(zip(members, optimizers, strict=True)):
                optimizer.zero_grad()
                functional.cross_entropy(member(x[i, update]), y[i, update]).backward()
                optimizer.step()

    return Trainer(train, lambda: stack(members))


def stack(members: Members) -> Params:
    """The parameters of ``members``, copied and stacked on axis 0."""
    return {name: value.detach().clone() for name, value in stack_module_state(members)[0].items()}


def cuda_graph(trainer: Trainer) -> Trainer:
    """``trainer`` run once by itself, then captured, and replayed from there on."""
    graph = torch.cuda.CUDAGraph()
    ran = []

    def train() -> None:
        if len(ran) == 0:
            trainer.train()  # compiles
        elif len(ran) == 1:
            torch.cuda.synchronize()
            with torch.cuda.graph(graph):
                trainer.train()
            graph.replay()  # the capture itself computes nothing
        else:
            graph.replay()
        ran.append(True)

    return Trainer(train, trainer.params)


def requests() -> Iterator[dict]:
    """What the parent process asks for, one ``{name, calls[, save]}`` a line."""
    for line in sys.stdin:
        yield json.loads(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arrays", required=True, help=".npz of weights and data")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_float32_matmul_precision("highest")  # no TF32

    with np.load(arguments.arrays) as file:
        arrays = dict(file)
    shape = (len(arrays["y"]), -1, arguments.batch)
    x = torch.tensor(arrays["x"]).reshape(*shape, arrays["x"].shape[-1]).to(arguments.device)
    y = torch.tensor(arrays["y"]).long().reshape(shape).to(arguments.device)
    found = contenders(members_of(arrays, arguments.device), x, y, arguments.rate)
    card = torch.cuda.get_device_name() if arguments.device == "cuda" else ""
    print(json.dumps({"names": list(found), "torch": torch.__version__, "card": card}), flush=True)

    for request in requests():
        trainer = found[request["name"]]
        start = time.perf_counter()
        for _ in range(request["calls"]):
            trainer.train()
        if arguments.device == "cuda":
            torch.cuda.synchronize()
        taken = time.perf_counter() - start
        if "save" in request:
            np.savez(request["save"], **{k: v.cpu().numpy() for k, v in trainer.params().items()})
        print(json.dumps({"seconds": taken}), flush=True)


if __name__ == "__main__":
    main()
