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
        by_shape = defaultdict(list)  # tall ones lie on their side, beside the wide ones
        for weight in group["params"]:
            if weight.grad is not None:
                by_shape[min(weight.shape), max(weight.shape)].append(weight)
        for (_, longer), weights in by_shape.items():
            gradients = [weight.grad for weight in weights]
            for weight in weights:
                if "momentum" not in self.state[weight]:
                    # AdamW looks for a step in all that is loaded.
                    self.state[weight] |= {"momentum": torch.zeros_like(weight)}
                    self.state[weight] |= {"step": torch.zeros(())}
                self.state[weight]["step"] += 1
                weight.grad = None
            momenta = [self.state[weight]["momentum"] for weight in weights]
            torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
            ahead = torch._foreach_lerp(gradients, momenta, MOMENTUM)
            steps = orthogonalised(torch.stack([_wide(matrix) for matrix in ahead]), self.dtype)
            steps = steps.to(ahead[0].dtype)
            steps = [s.mT if _is_tall(w) else s for s, w in zip(steps, weights, strict=True)]
            size = 0.2 * longer**0.5  # a root mean square of 0.2, as AdamW's steps have
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(weights, steps, alpha=-group["lr"] * size)


def orthogonalised(matrices, dtype=torch.float32):
    """The nearest orthogonal matrices, roughly: same singular vectors, singular values near 1.

    matrices: (N, rows, columns). Returns the same shape, of type `dtype`; a matrix of zeros stays.
    """
    wide = _wide(matrices.to(dtype))
    wide = wide / wide.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(ROUNDS):  # three kernels each: they are small, and launching one takes time
        gram = wide @ wide.mT
        gram = torch.baddbmm(gram, gram, gram, beta=B, alpha=C)
        wide = torch.baddbmm(wide, gram, wide, beta=A)
    return wide.mT if _is_tall(matrices) else wide


def _is_tall(matrices):
    return matrices.shape[-2] > matrices.shape[-1]


def _wide(matrices):
    return matrices.mT if _is_tall(matrices) else matrices
