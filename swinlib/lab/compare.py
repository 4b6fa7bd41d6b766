"""Two tensors that should be the same: say so in one line, or stop and say where they differ."""

import torch
from torch import Tensor


def compare(
    name: str, ours: Tensor, reference: Tensor, tolerance: float = 1e-5, exact: bool = False
) -> None:
    """Assert that two tensors agree, and print one line that reads the same on every machine.

    Args:
        name: what is compared, for the line.
        ours, reference: the tensors.
        tolerance: largest difference allowed, as a fraction of the reference's largest number.
        exact: allow no difference at all.

    Raises:
        AssertionError: other shapes, or too large a difference; it names the worst place.
    """
    if ours.shape != reference.shape:
        raise AssertionError(
            f"{name}: shapes differ, {tuple(ours.shape)} and {tuple(reference.shape)}"
        )
    same = torch.equal(ours, reference)
    difference = (ours.double() - reference.double()).abs()
    allowed = 0.0 if exact else tolerance * reference.double().abs().max()
    # Not-a-number compares as false, so it is never "within": written to fail on it.
    if not same and not bool((difference <= allowed).all()):
        difference = difference.nan_to_num(float("inf"))
        place = tuple(int(i) for i in torch.unravel_index(difference.argmax(), ours.shape))
        raise AssertionError(
            f"{name}: largest difference {difference[place]:.3g} at {place}, where ours is "
            f"{ours[place]:.6g} and the reference {reference[place]:.6g}"
        )
    degree = "equal to the last bit" if exact else f"equal within {tolerance:g} of the largest"
    print(f"{name}: {degree}, shape {tuple(ours.shape)}")
