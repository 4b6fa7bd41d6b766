"""What all tests have in common: one thread, and the same random numbers in any order."""

import pytest
import torch

# On small tensors more threads cost time, and a lot of it where cores are shared.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def same_random_numbers():
    torch.manual_seed(0)
