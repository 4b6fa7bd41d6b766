"""Several processes that train one model, by PyTorch's own means: torchrun starts them,
DistributedDataParallel averages their gradients.

    torchrun --nproc-per-node=8 -m swinlib.training --preset gpu --data data --out runs/gpu

A rank is the number of a process, from 0. Every step takes ``config.batch_size`` pictures, and each
process an equal share of them, so N processes follow the same path as one, but for drop path, of
which each drops others, and for batch norms, which see a share. All measure the same validation and
test pictures. Only rank 0 writes.
Source: https://docs.pytorch.org/tutorials/intermediate/ddp_tutorial.html
"""

import os
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from swinlib.training.config import choose_device


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is. Alone, nothing here costs anything."""

    rank: int = 0
    count: int = 1

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def shard(self, batch, dim=0):
        """This process's equal part of a batch, by default (B, ...) to (B / count, ...)."""
        size = batch.shape[dim] // self.count
        return batch.narrow(dim, self.rank * size, size)

    def wrap(self, model):
        """The model to train: its backward pass averages the gradients of all processes."""
        return model if self.count == 1 else DistributedDataParallel(model)

    def all_reduce(self, values):
        """The sum over all processes of a tensor."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def all_gather(self, value) -> list:
        """The value of every process, in the order of their ranks."""
        if self.count == 1:
            return [value]
        values = [None] * self.count
        dist.all_gather_object(values, value)
        return values

    def broadcast(self, decision):
        """Rank 0's decision, on all processes: clocks differ, and all must do the same."""
        return self.all_gather(decision)[0]


ALONE = Ranks()


def find_ranks() -> Ranks:
    """The processes this one has joined, see :func:`join`; itself alone if none."""
    if dist.is_available() and dist.is_initialized():
        return Ranks(dist.get_rank(), dist.get_world_size())
    return ALONE


@contextmanager
def join(device=None):
    """Joins the processes that torchrun has started, and leaves them at the end.

    device: cuda, mps or cpu; None for the fastest. Under torchrun the n-th process of a machine
        takes its n-th GPU; messages then go through NCCL, else through Gloo.

    Yields the device of this process. Raises ValueError where this machine has not that device, or
    fewer GPUs than processes.
    """
    device = choose_device(device)
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:  # not under torchrun
        yield device
        return
    if device.type == "cuda":
        number, found = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
        if number >= found:
            raise ValueError(
                f"process {number + 1} of this machine finds {found} GPUs, wanted one for each "
                f"process: --nproc-per-node={found}"
            )
        device = torch.device("cuda", number)
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", device_id=device)
    else:
        dist.init_process_group("gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def main_process_first(ranks, load):
    """``load()`` on the first process of each machine, then on the others.

    So that files are downloaded and decoded once, and the others find them in the cache.
    """
    turn = 0 if int(os.environ.get("LOCAL_RANK", 0)) == 0 else 1
    for now in range(2):
        if now == turn:
            result = load()
        if ranks.count > 1:
            dist.barrier()
    return result
