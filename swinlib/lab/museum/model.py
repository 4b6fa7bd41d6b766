"""Mistakes of lesson 07, all in a stage that is built and asked for an answer.

Every version takes ``(x, make_block, depth)``: a map (B, H, W, C), a function that makes block
number i, shifted or not, and how many blocks the stage has.
"""

from functools import partial

import torch
from torch import Tensor, nn

from swinlib.lab.museum import Room
from swinlib.model import SwinTransformerBlock


def stage(x, make_block, depth):
    """As it should be: new blocks, every second one shifted, in evaluation mode, one by one."""
    blocks = nn.ModuleList(make_block(i, shifted=i % 2 == 1) for i in range(depth)).eval()
    for block in blocks:
        x = x + block.drop_path(block.window_attention(block.norm1(x)))
        x = x + block.drop_path(block.mlp(block.norm2(x)))
    return x


def attention_without_residual(x, make_block, depth):
    blocks = nn.ModuleList(make_block(i, shifted=i % 2 == 1) for i in range(depth)).eval()
    for block in blocks:
        x = block.drop_path(block.window_attention(block.norm1(x)))
        x = x + block.drop_path(block.mlp(block.norm2(x)))
    return x


def one_residual_for_both(x, make_block, depth):
    blocks = nn.ModuleList(make_block(i, shifted=i % 2 == 1) for i in range(depth)).eval()
    for block in blocks:
        y = block.window_attention(block.norm1(x))
        x = x + block.drop_path(block.mlp(block.norm2(y)))
    return x


def shift_in_every_block(x, make_block, depth):
    blocks = nn.ModuleList(make_block(i, shifted=True) for i in range(depth)).eval()
    for block in blocks:
        x = block(x)
    return x


def shift_in_no_block(x, make_block, depth):
    blocks = nn.ModuleList(make_block(i, shifted=False) for i in range(depth)).eval()
    for block in blocks:
        x = block(x)
    return x


def shared_blocks_repeated(x, make_block, depth):
    """A list times a number repeats the objects: every pair is the first one again."""
    pair = [make_block(0, shifted=False), make_block(1, shifted=True)]
    for block in nn.ModuleList(pair * (depth // 2)).eval():
        x = block(x)
    return x


def eval_forgotten(x, make_block, depth):
    blocks = nn.ModuleList(make_block(i, shifted=i % 2 == 1) for i in range(depth))
    for block in blocks:
        x = block(x)
    return x


# --- a block to try them on ---------------------------------------------------------------------


@torch.no_grad()
def small_block(number: int, shifted: bool, drop_path: float = 0.5) -> SwinTransformerBlock:
    """A block of 8 channels with windows of 4 x 4; the same number gives the same parameters."""
    block = SwinTransformerBlock(8, 2, 4, shift_size=2 if shifted else 0, drop_path=drop_path)
    generator = torch.Generator().manual_seed(number)
    for name, p in block.named_parameters():
        if p.ndim > 1:
            spread = 1.0 if "bias_table" in name else p[0].numel() ** -0.5
            p.normal_(0, spread, generator=generator)
        else:
            p.normal_(float(name.endswith("weight")), 0.1, generator=generator)
    return block


def never_dropped(number: int, shifted: bool) -> SwinTransformerBlock:
    """As `small_block`, without drop path, so that nothing depends on chance."""
    return small_block(number, shifted, drop_path=0.0)


def _silent(number, shifted, attention=True, mlp=True):
    """A block with branches that give zeros."""
    block = never_dropped(number, shifted)
    for branch, last in ((attention, block.attn.proj), (mlp, block.mlp.fc2)):
        if branch:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
    return block


def sees(version, depth: int, size: tuple[int, int], token: tuple[int, int]) -> Tensor:
    """(H, W) of bool: the tokens that a stage's answer at `token` depends on."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, *size, 8, generator=generator).requires_grad_()
    y = version(x, never_dropped, depth)[0, token[0], token[1]]
    gradient = torch.autograd.grad(y.square().sum(), x)[0][0].abs().sum(-1)
    return gradient > 1e-12 * gradient.max()  # the mask's -100 leaves traces of 1e-44


# --- what every right version does --------------------------------------------------------------


def _map():
    return torch.randn(2, 8, 12, 8, generator=torch.Generator().manual_seed(0))


def silence_changes_nothing(version) -> bool:
    """Where both branches give zeros, the map comes out as it went in."""
    x = _map()
    return torch.equal(version(x, _silent, 4), x)


def each_branch_counts(version) -> bool:
    """With one branch silent, the other still changes every token."""
    x = _map()
    for silent in (partial(_silent, mlp=False), partial(_silent, attention=False)):
        if (version(x, silent, 2) - x).abs().amax(-1).min() < 1e-6:
            return False
    return True


def companions_meet(version) -> bool:
    """Two tokens of an ordinary window see each other, also where a moved wall stands between."""
    return bool(sees(version, 2, (8, 12), (1, 1))[2, 2])


def neighbours_meet(version) -> bool:
    """Two tokens on either side of an ordinary window's wall see each other."""
    return bool(sees(version, 2, (8, 12), (3, 3))[4, 4])


def every_block_is_new(version) -> bool:
    """A stage of depth 4 is made of four blocks."""
    made = []

    def make_block(number, shifted):
        made.append(never_dropped(number, shifted))
        return made[-1]

    version(_map(), make_block, 4)
    return len(made) == 4


def twice_the_same(version) -> bool:
    """The same picture gets the same answer a second time."""
    x = _map()
    return torch.equal(version(x, small_block, 8), version(x, small_block, 8))


def _examples():
    return [(_map(), small_block, depth) for depth in (2, 6)]


ROOM = Room(
    right=stage,
    wrong=(
        attention_without_residual,
        one_residual_for_both,
        shift_in_every_block,
        shift_in_no_block,
        shared_blocks_repeated,
        eval_forgotten,
    ),
    properties=(
        silence_changes_nothing,
        each_branch_counts,
        companions_meet,
        neighbours_meet,
        every_block_is_new,
        twice_the_same,
    ),
    examples=_examples,
)
ROOMS = (ROOM,)
