"""Muon: AdamW for most weights, and for the matrices of the blocks steps that are orthogonal.

A matrix's gradient is dominated by few directions. Muon sets all its singular values to about 1, so
that the rare directions are learnt as fast as the common ones. Source: Jordan et al. 2024, "Muon:
An optimizer for hidden layers in neural networks"; the size of a step after Liu et al. 2025, "Muon
is Scalable for LLM Training", so that AdamW's rate and decay serve for both. PyTorch has it from
2.9 on (``torch.optim.Muon``), matrix by matrix; here all of one shape go together, and older
versions have it too.
"""

from collections import defaultdict

import torch

MOMENTUM = 0.95
# Of the polynomial a X + b (X X^T) X + c (X X^T)^2 X, from the source: it takes singular values
# between 0 and 1 to somewhere near 1, in five rounds.
A, B, C = 3.4445, -4.7750, 2.0315
ROUNDS = 5


class Muon(torch.optim.AdamW):
    """An AdamW that moves the matrices in groups with ``"orthogonal": True`` by Muon.

    dtype: in which the steps are made orthogonal; bfloat16 is precise enough where it is fast.
    """

    def __init__(self, groups, dtype=torch.float32, **more):
        super().__init__([{"orthogonal": False, **group} for group in groups], **more)
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure=None):
        """As any optimiser's. Raises ValueError for a closure."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            if group["orthogonal"]:
                self._move(group)
        super().step()  # skips what has no gradient any more

    def _move(self, group):
        by_shape = defaultdict(list)
        for weight in group["params"]:
            if weight.grad is not None:
                by_shape[weight.shape].append(weight)
        for shape, weights in by_shape.items():
            gradients = torch.stack([weight.grad for weight in weights])
            for weight in weights:
                if "momentum" not in self.state[weight]:
                    # AdamW looks for a step in all that is loaded.
                    self.state[weight] |= {"momentum": torch.zeros_like(weight)}
                    self.state[weight] |= {"step": torch.zeros(())}
                self.state[weight]["step"] += 1
            momenta = [self.state[weight]["momentum"] for weight in weights]
            torch._foreach_lerp_(momenta, list(gradients), 1 - MOMENTUM)
            steps = orthogonalised(gradients.lerp(torch.stack(momenta), MOMENTUM), self.dtype)
            size = 0.2 * max(shape) ** 0.5  # a root mean square of 0.2, as AdamW's steps have
            for weight, step in zip(weights, steps, strict=True):
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(step, alpha=-group["lr"] * size)
                weight.grad = None


def orthogonalised(matrices, dtype=torch.float32):
    """The nearest orthogonal matrices, roughly: same singular vectors, singular values near 1.

    matrices: (N, rows, columns). Returns the same shape, of type `dtype`; a matrix of zeros stays.
    """
    X = matrices.to(dtype)
    wide = X.mT if X.shape[1] > X.shape[2] else X
    wide = wide / wide.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(ROUNDS):
        gram = wide @ wide.mT
        wide = A * wide + (B * gram + C * gram @ gram) @ wide
    return wide.mT if X.shape[1] > X.shape[2] else wide
