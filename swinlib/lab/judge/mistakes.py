"""Mistakes that get made in a Swin Transformer, each made on purpose in the one-page model.

A mistake is a few replacements in the source of `onepage.py`. A model that has the same parameters
too many, or the same numbers at the first place that differs, or drops in the same way, made it,
however it is written. The sentences help without giving the line away.
"""

from dataclasses import dataclass

from swinlib.lab.judge.models import page_classes, page_with

# What shows a mistake. The kinds are tried in this order.
SHOWS = ("parameters", "forward", "evaluation", "drop path", "dropout", "initial", "decay")


@dataclass(frozen=True)
class Mistake:
    """A mistake that is worth a sentence of its own.

    Attributes:
        name: short and unique.
        says: the sentence.
        lesson: "01" to "08".
        section: heading of the section to reread, without its number.
        changes: what to replace in `onepage.py` to make it.
        shows: what shows it, one of SHOWS.
    """

    name: str
    says: str
    lesson: str
    section: str
    changes: tuple[tuple[str, str], ...]
    shows: str = "forward"

    @property
    def source(self) -> str:
        return page_with(self.changes)

    @property
    def model(self):
        """The class of the mistaken model."""
        return page_classes(self.changes)["SwinTransformer"]

    @property
    def reread(self) -> str:
        return f"lesson {self.lesson}, “{self.section}”"


def _of(lesson: str, section: str, *mistakes, shows: str = "forward") -> tuple[Mistake, ...]:
    """Mistakes of one section: (name, sentence, replacements...) each."""
    return tuple(
        Mistake(name, says, lesson, section, tuple(changes), shows)
        for name, says, *changes in mistakes
    )


PADDED = "x = F.pad(x, (0, -W % self.patch_size, 0, -H % self.patch_size))  # right, then bottom"
TOKENS = "return self.norm(self.proj(x).permute(0, 2, 3, 1))"
EMBEDDING = (
    _of(
        "01",
        "When P does not divide",
        (
            "image_padded_at_the_start",
            "pictures are padded on the left and at the top. The zeros belong on the right and"
            " at the bottom, so that the patches stay where they are.",
            (PADDED, "x = F.pad(x, (-W % self.patch_size, 0, -H % self.patch_size, 0))"),
        ),
        (
            "image_padded_crosswise",
            "the padding of the height goes to the width and the other way round. `F.pad` "
            "counts from the last axis.",
            (PADDED, "x = F.pad(x, (0, -H % self.patch_size, 0, -W % self.patch_size))"),
        ),
        (
            "image_not_padded",
            "pixels are lost: where the patches do not fit, a bare convolution drops what is left "
            "over. Pad first.",
            (PADDED, ""),
        ),
        (
            "image_padded_where_it_fits",
            "a picture that patches fit is padded by a whole patch more. Nothing is missing "
            "there, so nothing is to be added.",
            (
                PADDED,
                "p = self.patch_size; x = F.pad(x, (0, p - W % p, 0, p - H % p))",
            ),
        ),
        (
            "image_padded_with_its_edge",
            "pictures are padded with copies of their last pixels. Zeros are wanted.",
            (
                PADDED,
                PADDED.replace(")  #", ", mode='replicate')  #"),
            ),
        ),
    )
    + _of(
        "01",
        "The convolution that is the same thing",
        (
            "tokens_transposed",
            "rows and columns of the tokens' map are swapped: (B, C, H, W) was made (B, W, H, C).",
            (TOKENS, "return self.norm(self.proj(x).permute(0, 3, 2, 1))"),
        ),
        (
            "tokens_viewed",
            "the convolution's (B, C, H, W) was given a new shape where its axes should move: "
            "`reshape` keeps the numbers in their order, and mixes channels with places.",
            (
                TOKENS,
                "x = self.proj(x); return self.norm("
                "x.reshape(x.shape[0], x.shape[2], x.shape[3], x.shape[1]))",
            ),
        ),
        (
            "patches_overlap",
            "the convolution's stride is not the size of its patches: there are more tokens than "
            "patches, and these overlap.",
            ("stride=patch_size)", "stride=max(1, patch_size // 2))"),
        ),
    )
    + _of(
        "01",
        "A norm for every token",
        (
            "embedding_norm_unused",
            "the embedding's norm is there, but the tokens never pass through it.",
            (TOKENS, "return self.proj(x).permute(0, 2, 3, 1)"),
        ),
    )
    + _of(
        "01",
        "A norm for every token",
        (
            "embedding_norm_missing",
            "the embedding has no norm: `patch_embed.norm` is missing.",
            ("        self.norm = nn.LayerNorm(embed_dim)\n", ""),
            (TOKENS, "return self.proj(x).permute(0, 2, 3, 1)"),
        ),
        shows="parameters",
    )
)

CUT = "return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, M * M, C)"
JOIN = "return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, H, W, windows.shape[-1])"
ZEROS = "return F.pad(x, (0, 0, 0, -W % M, 0, -H % M))"
CROP = "return x[:, :H, :W]"
WINDOWS = _of(
    "03",
    "Cut by hand",
    (
        "windows_without_permute",
        'the windows are cut by a view alone. Without the permute a "window" is a strip of M * M '
        "tokens along the rows, put together again the same way.",
        (CUT, "return x.reshape(-1, M * M, C)"),
        (JOIN, "return x.reshape(-1, H, W, windows.shape[-1])"),
    ),
    (
        "windows_not_cut_as_joined",
        "the windows are cut by a view alone, but put together as windows: tokens do not come "
        "back to where they were.",
        (CUT, "return x.reshape(-1, M * M, C)"),
    ),
    (
        "windows_not_put_back",
        "the windows are cut right, and put together by a view alone: tokens do not come back to "
        "where they were. The same permute is needed on the way back.",
        (JOIN, "return x.reshape(-1, H, W, windows.shape[-1])"),
    ),
    (
        "windows_spread_out",
        "a window takes every (H/M)-th token, spread over the map, instead of M x M neighbours: "
        "which window, then which place in it, is the order of the split.",
        ("x = x.reshape(B, H // M, M, W // M, M, C)", "x = x.reshape(B, M, H // M, M, W // M, C)"),
        (CUT, "return x.permute(0, 2, 4, 1, 3, 5).reshape(-1, M * M, C)"),
        (JOIN, "return x.permute(0, 3, 1, 4, 2, 5).reshape(-1, H, W, windows.shape[-1])"),
    ),
) + _of(
    "03",
    "When windows do not fit",
    (
        "map_padded_at_the_start",
        "maps are padded on the left and at the top, and cropped to match. The zeros belong on "
        "the right and at the bottom: so it puts other tokens together in a window.",
        (ZEROS, "return F.pad(x, (0, 0, -W % M, 0, -H % M, 0))"),
        (CROP, "return x[:, x.shape[1] - H :, x.shape[2] - W :]"),
    ),
    (
        "map_padded_where_it_fits",
        "a map that windows fit is padded by a whole window more. Nothing is missing there, so "
        "nothing is to be added.",
        (ZEROS, "return F.pad(x, (0, 0, 0, M - W % M, 0, M - H % M))"),
    ),
    (
        "map_padded_where_it_fits_in_a_block",
        "a block pads a map that its windows fit by a whole window more. Nothing is missing "
        "there, so nothing is to be added.",
        ("x = pad_to_windows(x, M)\n", "x = F.pad(x, (0, 0, 0, M - W % M, 0, M - H % M))\n"),
    ),
    (
        "map_cropped_at_the_wrong_end",
        "the padding is not what is cropped again: the last H rows and W columns are kept, and "
        "the padding comes after the first ones.",
        (CROP, "return x[:, -H:, -W:]"),
    ),
    (
        "padded_before_the_norm",
        "the map is padded before the norm. The padding is then not zero but what the norm makes "
        "of zeros, its bias. Pad what comes out of the norm.",
        (
            "x = x + self.drop_path(self.window_attention(self.norm1(x)))",
            "y = pad_to_windows(x, self.window_size); "
            "y = self.window_attention(self.norm1(y))[:, : x.shape[1], : x.shape[2]]; "
            "x = x + self.drop_path(y)",
        ),
    ),
    (
        "padding_masked",
        "no token may look at the padding. That may be wise, but the official models were "
        "trained differently: padding is attended to like any token.",
        (
            "mask = shifted_window_mask(padded_H, padded_W, M, (sh, sw)) if sh or sw else None",
            "mask = shifted_window_mask(padded_H, padded_W, M, (sh, sw))\n"
            "        real = pad_to_windows(torch.ones(1, H, W, 1), M).roll((-sh, -sw), (1, 2))\n"
            "        mask = mask + (window_partition(real, M).transpose(1, 2) == 0) * -100.0",
        ),
    ),
)

MASK = "mask = shifted_window_mask(padded_H, padded_W, M, (sh, sw)) if sh or sw else None"
ROLL = "x = torch.roll(x, (-sh, -sw), (1, 2))"
BACK = "x = torch.roll(x, (sh, sw), (1, 2))"
FITS = "sh, sw = (self.shift_size if M < n else 0 for n in (padded_H, padded_W))"
TURNS = "shift_size = 0 if i % 2 == 0 else window_size // 2"
REGIONS = "regions = window_partition((3 * rows + columns).view(1, H, W, 1), M)"
UNEQUAL = "return (regions != regions.transpose(1, 2)) * -100.0"
SHIFT = (
    _of(
        "04",
        "From ids to the mask",
        (
            "no_mask",
            "there is no mask: at the map's seam tokens from opposite sides attend to each other.",
            (MASK, "mask = None"),
        ),
        (
            "mask_inverted",
            "the mask is the wrong way round: tokens of one region are kept apart, and strangers "
            "may meet.",
            (UNEQUAL, "return (regions == regions.transpose(1, 2)) * -100.0"),
        ),
        (
            "mask_for_the_transposed_map",
            "the mask was made for W x H instead of H x W.",
            (
                MASK,
                MASK.replace(
                    "(padded_H, padded_W, M, (sh, sw))", "(padded_W, padded_H, M, (sw, sh))"
                ),
            ),
        ),
        (
            "mask_of_the_unpadded_map",
            "the mask was made for the map before its padding. The seam lies where the padded map "
            "was rolled.",
            (
                MASK,
                "mask = None\n        if sh or sw:\n"
                "            ids = torch.zeros(2, padded_H, padded_W)\n"
                "            for n, s, ids_of in ((H, sh, ids[0]), (W, sw, ids[1].T)):\n"
                "                ids_of[max(n - M, 0) :] = 1 if s else 0\n"
                "                ids_of[n - s :] = 2 if s else 0\n"
                "            ids = window_partition((3 * ids[0] + ids[1])[None, ..., None], M)\n"
                "            mask = (ids != ids.transpose(1, 2)) * -100.0",
            ),
        ),
        (
            "mask_in_every_block",
            "blocks that are not shifted get the mask of shifted ones. Where nothing was rolled "
            "nobody is a stranger.",
            (
                MASK,
                "h = M // 2 * (M < padded_H), M // 2 * (M < padded_W); "
                "mask = shifted_window_mask(padded_H, padded_W, M, h)",
            ),
        ),
        (
            "mask_after_the_softmax",
            "the mask sets weights to zero after the softmax, so that what is left no longer "
            "adds up to 1. It is added to the scores, before the softmax.",
            (
                "            bias = bias + mask.to(x)[:, None]  # (num_windows, heads, N, N)\n"
                "            bias = bias.repeat(B // len(mask), 1, 1, 1)  "
                "# the windows of a picture are together\n",
                "            pass\n",
            ),
            (
                "x = F.scaled_dot_product_attention(q, k, v, bias.to(q.dtype), dropout)",
                "w = (q @ k.transpose(2, 3) * q.shape[-1] ** -0.5 + bias).softmax(-1)\n"
                "        if mask is not None:\n"
                "            w = w * (mask == 0).repeat(B // len(mask), 1, 1)[:, None]\n"
                "        x = w @ v",
            ),
        ),
    )
    + _of(
        "04",
        "Who is a stranger? Region ids",
        (
            "regions_added_up",
            "some regions share a label: row and column number are added, and (1, 2) gives what "
            "(2, 1) does. The label must tell the pair.",
            (REGIONS, "regions = window_partition((rows + columns).view(1, H, W, 1), M)"),
        ),
        (
            "regions_split_elsewhere",
            "the last window's regions meet in the wrong place: of M tokens, the s that came round "
            "are strangers, not M - s. At half of an even window one cannot tell.",
            ("labels[length - s :] = 2", "labels[length - M + s :] = 2"),
        ),
        (
            "regions_along_rows_only",
            "only rows are told apart: the labels do not look at where the columns came from.",
            (REGIONS, "regions = window_partition((3 * rows + 0 * columns).view(1, H, W, 1), M)"),
        ),
        (
            "regions_along_columns_only",
            "only columns are told apart: the labels do not look at where the rows came from.",
            (REGIONS, "regions = window_partition((0 * rows + columns).view(1, H, W, 1), M)"),
        ),
    )
    + _of(
        "04",
        "Why -100?",
        (
            "mask_too_weak",
            "the mask is too weak: what it adds to the scores of strangers lets them through.",
            (UNEQUAL, "return (regions != regions.transpose(1, 2)) * -1.0"),
        ),
        (
            "mask_of_ones",
            "the mask adds 1 where strangers meet, which brings them closer. It must push their "
            "scores far down.",
            (UNEQUAL, "return (regions != regions.transpose(1, 2)) * 1.0"),
        ),
    )
    + _of(
        "04",
        "How one mask serves a whole batch and all heads",
        (
            "mask_windows_before_pictures",
            "the masks are laid out as if each window came for all pictures in turn. All "
            "windows of the first picture stand before those of the second.",
            (
                "bias = bias.repeat(B // len(mask), 1, 1, 1)",
                "bias = bias.repeat_interleave(B // len(mask), 0)",
            ),
        ),
    )
    + _of(
        "04",
        "Roll instead",
        (
            "rolled_the_other_way",
            "the map is rolled down and to the right, and back up: the mask counts on the other "
            "direction, toward the top left.",
            (ROLL, ROLL.replace("-", "+")),
            (BACK, "x = torch.roll(x, (-sh, -sw), (1, 2))  "),
        ),
        (
            "not_rolled_back",
            "the map is not rolled back: every token gets what belongs to a token s further "
            "down and to the right.",
            (BACK, ""),
        ),
        (
            "rolled_twice",
            "the map is rolled the same way a second time, instead of back.",
            (BACK, "x = torch.roll(x, (-sh, -sw), (1, 2))  "),
        ),
        (
            "rolled_along_other_axes",
            "other axes than height and width are rolled.",
            (ROLL, "x = torch.roll(x, (-sh, -sw), (2, 3))"),
            (BACK, "x = torch.roll(x, (sh, sw), (2, 3))"),
        ),
        (
            "padded_after_the_roll",
            "the map is rolled first and padded then. The roll must see the padded map, or it "
            "brings the wrong rows round (timm had this, issue 2438).",
            (
                "        x = pad_to_windows(x, M)\n        padded_H",
                "        y = pad_to_windows(x, M)\n        padded_H",
            ),
            ("padded_H, padded_W = x.shape[1:3]", "padded_H, padded_W = y.shape[1:3]"),
            (ROLL, "x = pad_to_windows(torch.roll(x, (-sh, -sw), (1, 2)), M)"),
            (BACK, "x = torch.roll(x[:, :H, :W], (sh, sw), (1, 2))"),
        ),
    )
    + _of(
        "07",
        "Pairs, and a stage",
        (
            "shifted_in_every_block",
            "the first block of a pair is shifted too. Blocks without and with a shift take turns.",
            (TURNS, "shift_size = window_size // 2"),
        ),
        (
            "shifted_in_no_block",
            "nothing is ever shifted, so that windows never talk to each other.",
            (TURNS, "shift_size = 0"),
        ),
        (
            "first_block_shifted",
            "the first block of each pair is shifted, and the second is not. It is the other way "
            "round.",
            (TURNS, "shift_size = 0 if i % 2 == 1 else window_size // 2"),
        ),
        (
            "shift_rounded_up",
            "half of an odd window is rounded up: 7 gives a shift of 4. The official code rounds "
            "down.",
            (TURNS, "shift_size = 0 if i % 2 == 0 else (window_size + 1) // 2"),
        ),
        (
            "shift_of_one",
            "the shift is a single token. Half a window is wanted.",
            (TURNS, "shift_size = 0 if i % 2 == 0 else 1"),
        ),
        (
            "shifted_in_a_single_window",
            "a map that one window covers is shifted too. Along an axis with no other window "
            "to meet the shift is 0.",
            (FITS, "sh = sw = self.shift_size"),
        ),
        (
            "both_shifts_given_up",
            "where one axis has a single window, the other gives up its shift as well. Each axis "
            "decides for itself. (The official classification code does the same, and differs from "
            "torchvision there.)",
            (FITS, "sh = sw = self.shift_size if M < min(padded_H, padded_W) else 0"),
        ),
        (
            "shift_given_up_too_early",
            "a map of exactly two windows, or fewer, is not shifted. Only an axis that a single "
            "window covers is left alone.",
            (FITS, "sh, sw = (self.shift_size if 2 * M < n else 0 for n in (padded_H, padded_W))"),
        ),
    )
)

SPLIT = "qkv = self.qkv(x).view(B, N, 3, self.num_heads, C // self.num_heads)"
TURNED = "q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, N, head_dim)"
ATTEND = "x = F.scaled_dot_product_attention(q, k, v, bias.to(q.dtype), dropout)"
SCALED = "x = F.scaled_dot_product_attention(q, k, v, bias.to(q.dtype), dropout, scale={})"
SOFTMAX = "s = q @ k.transpose(2, 3) * q.shape[-1] ** -0.5 + bias\n        x = {}"
ATTENTION = (
    _of(
        "02",
        "The root of which dimension?",
        (
            "scaled_by_embed_dim",
            "the scores are divided by the root of all C channels. It should be the root of a "
            "head's share, C / heads.",
            (ATTEND, SCALED.format("C**-0.5")),
        ),
        (
            "scaled_by_tokens",
            "the scores are divided by the root of the number of tokens. It is the root of the "
            "head's width.",
            (ATTEND, SCALED.format("N**-0.5")),
        ),
    )
    + _of(
        "02",
        "Why divide by √d?",
        (
            "not_scaled",
            "the scores are not scaled.",
            (ATTEND, SCALED.format("1.0")),
        ),
        (
            "scaled_twice",
            "the scores are scaled twice: once by hand, and once by the function they are "
            "given to.",
            (ATTEND, SCALED.format("q.shape[-1] ** -1.0")),
        ),
        (
            "scaled_without_the_root",
            "the scores are multiplied where they should be divided.",
            (ATTEND, SCALED.format("q.shape[-1] ** 0.5")),
        ),
    )
    + _of(
        "02",
        "As matrices",
        (
            "softmax_over_queries",
            "the softmax runs along the queries. Each query's weights add up to 1, so it runs "
            "along the keys, the last axis.",
            (ATTEND, SOFTMAX.format("s.softmax(-2) @ v")),
        ),
        (
            "softmax_missing",
            "there is no softmax: the scores themselves are used as weights.",
            (ATTEND, SOFTMAX.format("s @ v")),
        ),
        (
            "values_and_keys_swapped",
            "keys and values are swapped. The joint layer's rows are q, then k, then v.",
            (TURNED, "q, v, k = qkv.permute(2, 0, 3, 1, 4)"),
        ),
        (
            "queries_and_keys_swapped",
            "queries and keys are swapped. The joint layer's rows are q, then k, then v.",
            (TURNED, "k, q, v = qkv.permute(2, 0, 3, 1, 4)"),
        ),
    )
    + _of(
        "02",
        "Several heads",
        (
            "heads_before_qkv",
            "the joint layer's numbers are split into heads first, then q, k, v. All of q comes "
            "first, with its heads side by side, then all of k, then all of v.",
            (
                SPLIT,
                "qkv = self.qkv(x).view(B, N, self.num_heads, 3, C // self.num_heads)"
                ".transpose(2, 3)",
            ),
        ),
        (
            "head_numbers_interleaved",
            "each head gets every h-th number. A head's numbers stand side by side.",
            (
                SPLIT,
                "qkv = self.qkv(x).view(B, N, 3, C // self.num_heads, self.num_heads)"
                ".transpose(3, 4)",
            ),
        ),
        (
            "heads_split_by_a_view",
            "the heads are split off by a view over tokens and channels at once. First (N, heads, "
            "head_dim), then heads and tokens swap places.",
            (
                TURNED,
                "q, k, v = self.qkv(x).chunk(3, -1); "
                "q, k, v = (y.reshape(B, self.num_heads, N, -1) for y in (q, k, v))",
            ),
        ),
        (
            "heads_joined_by_a_view",
            "the heads are not put side by side again before the projection: heads and tokens must "
            "swap places back.",
            ("x = x.transpose(1, 2).reshape(B, N, C)", "x = x.reshape(B, N, C)"),
        ),
        (
            "one_head_only",
            "all channels form a single head, whatever num_heads says.",
            (SPLIT, "qkv = self.qkv(x).view(B, N, 3, 1, C)"),
            (
                "bias = table[index].permute(2, 0, 1).contiguous()[None]",
                "bias = table[index].mean(-1)[None, None]",
            ),
        ),
        (
            "projection_unused",
            "the projection after attention is there, but nothing passes through it.",
            ("return self.proj_drop(self.proj(x))", "return self.proj_drop(x)"),
        ),
    )
    + _of(
        "07",
        "Attention in a window, complete",
        (
            "projection_missing",
            "attention has no projection after it: `attn.proj` is missing.",
            ("        self.proj = nn.Linear(dim, dim)\n", ""),
            ("return self.proj_drop(self.proj(x))", "return self.proj_drop(x)"),
        ),
        (
            "qkv_without_bias",
            "queries, keys and values have no bias: `attn.qkv.bias` is missing.",
            (
                "self.qkv = nn.Linear(dim, 3 * dim)",
                "self.qkv = nn.Linear(dim, 3 * dim, bias=False)",
            ),
        ),
        (
            "projection_without_bias",
            "the projection after attention has no bias.",
            ("self.proj = nn.Linear(dim, dim)", "self.proj = nn.Linear(dim, dim, bias=False)"),
        ),
        shows="parameters",
    )
)

DRAWN = "self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(table, std=0.02))"
TABLE = "table = torch.zeros((2 * window_size - 1) ** 2, num_heads)"
LOOKED_UP = "bias = table[index].permute(2, 0, 1).contiguous()[None]  # (1, heads, N, N)"
INDEX = "return (dy + M - 1) * (2 * M - 1) + dx + M - 1"
OFFSETS = "dy, dx = y[:, None] - y, x[:, None] - x  # from -(M-1) to M-1"
POSITION = (
    _of(
        "05",
        "Why the factor 2M - 1",
        (
            "index_without_the_factor",
            "the index adds dy and dx without a factor: many offsets share an entry of the table.",
            (INDEX, "return (dy + M - 1) + dx + M - 1"),
        ),
        (
            "index_with_another_factor",
            "the index's factor is M. There are 2M - 1 different dx, so with M offsets still share "
            "entries.",
            (INDEX, "return (dy + M - 1) * M + dx + M - 1"),
        ),
    )
    + _of(
        "05",
        "By hand, M = 2",
        (
            "index_key_minus_query",
            "the offsets are key minus query. The official table wants query minus key.",
            (OFFSETS, "dy, dx = y - y[:, None], x - x[:, None]"),
        ),
        (
            "index_by_columns",
            "the table is read by columns: dx is multiplied by 2M - 1 where dy should be. (Or "
            "a window's tokens are read down its columns, which comes to the same.)",
            (INDEX, "return (dx + M - 1) * (2 * M - 1) + dy + M - 1"),
        ),
        (
            "index_of_distances",
            "the offsets lost their sign: left and right, above and below get the same bias.",
            (OFFSETS, "dy, dx = (y[:, None] - y).abs(), (x[:, None] - x).abs()"),
        ),
    )
    + _of(
        "05",
        "Table, look-up, one bias per head",
        (
            "bias_viewed",
            "what was looked up is (N, N, heads) and was given the shape (heads, N, N) by a view. "
            "The heads' axis must move to the front.",
            (LOOKED_UP, "bias = table[index].reshape(1, self.num_heads, N, N)"),
        ),
        (
            "bias_of_head_0",
            "all heads get the first head's bias. Every head has a column of its own.",
            (
                LOOKED_UP,
                "bias = table[index][..., :1].permute(2, 0, 1)[None]"
                ".expand(1, self.num_heads, N, N)",
            ),
        ),
    )
    + _of(
        "05",
        "Where it goes",
        (
            "bias_unused",
            "the bias table is there, but nothing of it is added to the scores.",
            (LOOKED_UP, "bias = torch.zeros(1, self.num_heads, N, N, dtype=x.dtype)"),
        ),
        (
            "bias_after_the_softmax",
            "the bias is added to the weights, after the softmax. It belongs to the scores.",
            (
                ATTEND,
                "s = q @ k.transpose(2, 3) * q.shape[-1] ** -0.5\n"
                "        if mask is not None:\n"
                "            s = s + mask.repeat(B // len(mask), 1, 1)[:, None]\n"
                "        x = (s.softmax(-1) + table[index].permute(2, 0, 1)) @ v",
            ),
        ),
        (
            "bias_scaled_too",
            "the bias is scaled with the scores. It is added after scaling.",
            (LOOKED_UP, "bias = table[index].permute(2, 0, 1)[None] * q.shape[-1] ** -0.5"),
        ),
        (
            "bias_in_shifted_blocks_only",
            "the bias is added only where there is a mask. Every block has its bias.",
            (LOOKED_UP, "bias = table[index].permute(2, 0, 1)[None] * (mask is not None)"),
        ),
        (
            "bias_without_a_mask_only",
            "where there is a mask the bias is lost. Scores get both.",
            (
                "bias = bias + mask.to(x)[:, None]",
                "bias = mask.to(x)[:, None].repeat(1, self.num_heads, 1, 1)",
            ),
        ),
    )
    + _of(
        "05",
        "The reference",
        (
            "table_missing",
            "attention has no relative position bias: `attn.relative_position_bias_table` is "
            "missing in every block.",
            (
                TABLE,
                "table = torch.zeros((2 * window_size - 1) ** 2, num_heads)  # not a parameter",
            ),
            (DRAWN, ""),
            ("table, index = self.relative_position_bias_table, self.relative_position_index", ""),
            (LOOKED_UP, "bias = torch.zeros(1, self.num_heads, N, N, dtype=x.dtype)"),
        ),
        (
            "table_of_window_squared",
            "the bias table has a row for each of (2M)² offsets. From -(M-1) to M-1 there are "
            "2M - 1.",
            (TABLE, "table = torch.zeros((2 * window_size) ** 2, num_heads)"),
        ),
        (
            "table_of_places",
            "the bias table has a row for each place of the window, M². Wanted is one for each "
            "offset, (2M - 1)².",
            (TABLE, "table = torch.zeros(window_size**2, num_heads)"),
            (INDEX, "return (dy + M - 1) * 0 + (dx + M - 1) * 0"),
        ),
        (
            "table_without_heads",
            "the bias table has a single column. Every head has its own.",
            (TABLE, "table = torch.zeros((2 * window_size - 1) ** 2, 1)"),
        ),
        shows="parameters",
    )
)

FOUR = "x = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]"
CAT = "x = torch.cat(x, dim=-1)  # (B, H/2, W/2, 4C)"
EVEN = "x = pad_to_windows(x, 2)"
REDUCED = "return self.reduction(self.norm(x))"
REDUCTION = "self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)"
MERGING = (
    _of(
        "06",
        "Does the order matter?",
        (
            "merged_along_rows",
            "the four neighbours are stacked along the rows: 0, 1, 4, 5 of a 4 x 4 grid. The "
            "official order goes down the columns.",
            (FOUR, "x = [x[:, 0::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 0::2], x[:, 1::2, 1::2]]"),
        ),
        (
            "merged_by_channels",
            "the neighbours are stacked channel by channel, as `nn.Unfold` does. The four tokens "
            "stand one after the other, each with all of its channels.",
            (CAT, "x = torch.stack(x, dim=-1).flatten(3)"),
        ),
        (
            "merged_twice_the_same",
            "one of the four neighbours is taken twice, and another one never.",
            (FOUR, "x = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 1::2, 0::2], x[:, 1::2, 1::2]]"),
        ),
    )
    + _of(
        "06",
        "By hand: four neighbours, one token",
        (
            "merged_by_a_view",
            "four tokens that follow each other in a row are merged. Wanted are four that form a "
            "square.",
            (FOUR, "B, H, W, C = x.shape"),
            (CAT, "x = x.reshape(B, H // 2, W // 2, 4 * C)"),
        ),
        (
            "merged_halves_of_the_map",
            "tokens half a map apart are merged. Wanted are neighbours: every second row and "
            "column.",
            (
                FOUR,
                "h, w = x.shape[1] // 2, x.shape[2] // 2; "
                "x = [x[:, :h, :w], x[:, h:, :w], x[:, :h, w:], x[:, h:, w:]]",
            ),
        ),
    )
    + _of(
        "06",
        "Odd sizes",
        (
            "odd_row_dropped",
            "at odd sizes the last row or column is dropped. Pad with zeros first.",
            (EVEN, "x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]"),
        ),
        (
            "odd_map_padded_at_the_start",
            "odd maps are padded on the left and at the top before merging.",
            (EVEN, "x = F.pad(x, (0, 0, x.shape[2] % 2, 0, x.shape[1] % 2, 0))"),
        ),
        (
            "even_map_padded",
            "even maps are padded before merging too, by two rows and columns. They have all "
            "their neighbours already.",
            (EVEN, "H, W = x.shape[1:3]; x = F.pad(x, (0, 0, 0, 2 - W % 2, 0, 2 - H % 2))"),
        ),
        (
            "odd_map_not_padded",
            "odd maps are not padded before merging, and the four parts are of different sizes.",
            (EVEN, ""),
        ),
    )
    + _of(
        "06",
        "The norm, and from 4C to 2C",
        (
            "merging_norm_unused",
            "the merging's norm is there, but nothing passes through it.",
            (REDUCED, "return self.reduction(x)"),
        ),
    )
    + _of(
        "06",
        "The norm, and from 4C to 2C",
        (
            "merging_norm_of_2c",
            "the merging's norm comes after the linear layer, with 2C numbers. It comes "
            "before, with 4C.",
            ("self.norm = nn.LayerNorm(4 * dim)", "self.norm = nn.LayerNorm(2 * dim)"),
            (REDUCED, "return self.norm(self.reduction(x))"),
        ),
        (
            "merging_norm_missing",
            "the merging has no norm: `downsample.norm` is missing.",
            ("        self.norm = nn.LayerNorm(4 * dim)\n", ""),
            (REDUCED, "return self.reduction(x)"),
        ),
        (
            "merging_with_bias",
            "the merging's linear layer has a bias. The official one has none.",
            (REDUCTION, "self.reduction = nn.Linear(4 * dim, 2 * dim)"),
        ),
        (
            "merging_without_reduction",
            "the merging has no linear layer, so that channels grow fourfold at every stage.",
            (
                "dim, last = embed_dim * 2**i, i == len(depths) - 1",
                "dim, last = embed_dim * 4**i, i == len(depths) - 1",
            ),
            (f"        {REDUCTION}\n", ""),
            (REDUCED, "return self.norm(x)"),
        ),
        shows="parameters",
    )
    + _of(
        "06",
        "The pyramid it makes",
        (
            "merging_in_the_last_stage",
            "the last stage has a merging too: `downsample` in the last stage is one too many.",
            (
                "self.downsample = None if last else PatchMerging(dim)",
                "self.downsample = PatchMerging(dim)",
            ),
            (
                "return x if self.downsample is None else self.downsample(x)",
                "return x if x.shape[-1] > 4 * 96 else self.downsample(x)",
            ),
        ),
        (
            "merging_before_its_stage_missing",
            "between two stages the merging is missing: the second stage has none after it.",
            (
                "self.downsample = None if last else PatchMerging(dim)",
                "self.downsample = None if last or dim == 48 else PatchMerging(dim)",
            ),
        ),
        shows="parameters",
    )
)

FIRST = "x = x + self.drop_path(self.window_attention(self.norm1(x)))"
SECOND = "return x + self.drop_path(self.mlp(self.norm2(x)))"
NORMS = (
    ("embed_dim", "\n    def forward"),
    ("dim", "        self.attn ="),
    ("dim", "        self.mlp ="),
    ("4 * dim", "\n    def forward"),
    ("dim", "        self.head ="),
)
ACT = "self.act = nn.GELU()"
HIDDEN = "x = self.drop(self.act(self.fc1(x)))"
BLOCK = (
    _of(
        "07",
        "The block: two equations",
        (
            "attention_without_residual",
            "attention has no residual: what comes out of it replaces the map instead of being "
            "added to it.",
            (FIRST, FIRST.replace("x + ", "")),
        ),
        (
            "mlp_without_residual",
            "the MLP has no residual: what comes out of it replaces the map instead of being added "
            "to it.",
            (SECOND, SECOND.replace("x + ", "")),
        ),
        (
            "one_residual_for_both",
            "attention and MLP share one residual. Each has its own, and the second begins "
            "where the first ends.",
            (FIRST, "y = self.drop_path(self.window_attention(self.norm1(x)))"),
            (SECOND, "return x + self.drop_path(self.mlp(self.norm2(y)))"),
        ),
        (
            "branches_side_by_side",
            "attention and MLP both read the block's input. The MLP reads what attention has "
            "already been added to.",
            (FIRST, "y = self.drop_path(self.window_attention(self.norm1(x)))"),
            (SECOND, "return x + y + self.drop_path(self.mlp(self.norm2(x)))"),
        ),
        (
            "residual_from_the_norm",
            "attention is added to the normed map. The residual carries the map as it came.",
            (FIRST, "x = self.norm1(x); x = x + self.drop_path(self.window_attention(x))"),
        ),
        (
            "norms_after_the_branches",
            "the norms come after attention and MLP, as in version 2. In this paper they come "
            "before.",
            (FIRST, "x = x + self.drop_path(self.norm1(self.window_attention(x)))"),
            (SECOND, "return x + self.drop_path(self.norm2(self.mlp(x)))"),
        ),
        (
            "norms_on_the_sum",
            "the norms are applied to the sum, as in the first transformers. Here they come before "
            "attention and MLP, and the residual passes by.",
            (FIRST, "x = self.norm1(x + self.drop_path(self.window_attention(x)))"),
            (SECOND, "return self.norm2(x + self.drop_path(self.mlp(x)))"),
        ),
        (
            "norm1_for_both",
            "norm1 stands before both branches, and norm2 is never used.",
            (SECOND, SECOND.replace("norm2", "norm1")),
        ),
        (
            "norm1_unused",
            "attention reads the map without its norm.",
            (FIRST, "x = x + self.drop_path(self.window_attention(x))"),
        ),
        (
            "norm2_unused",
            "the MLP reads the map without its norm.",
            (SECOND, "return x + self.drop_path(self.mlp(x))"),
        ),
        (
            "mlp_before_attention",
            "the MLP comes before attention.",
            (FIRST, "x = x + self.drop_path(self.mlp(self.norm2(x)))"),
            (SECOND, "return x + self.drop_path(self.window_attention(self.norm1(x)))"),
        ),
        (
            "norm_with_another_epsilon",
            "a norm's epsilon is 1e-6. Here it is PyTorch's own, 1e-5.",
            ("self.norm1 = nn.LayerNorm(dim)", "self.norm1 = nn.LayerNorm(dim, eps=1e-6)"),
            ("self.norm2 = nn.LayerNorm(dim)", "self.norm2 = nn.LayerNorm(dim, eps=1e-6)"),
        ),
        (
            "every_norm_with_another_epsilon",
            "the norms' epsilon is 1e-6, from the embedding on. Here it is PyTorch's own, 1e-5.",
            *(
                (f"nn.LayerNorm({width})\n{after}", f"nn.LayerNorm({width}, eps=1e-6)\n{after}")
                for width, after in NORMS
            ),
        ),
    )
    + _of(
        "07",
        "The bend: GELU",
        (
            "gelu_by_tanh",
            "GELU is computed by its tanh formula, which is not quite the same. The official "
            "models use the exact one.",
            (ACT, "self.act = nn.GELU(approximate='tanh')"),
        ),
        (
            "relu_for_gelu",
            "the MLP's activation is ReLU. It should be GELU.",
            (ACT, "self.act = nn.ReLU()"),
        ),
        (
            "silu_for_gelu",
            "the MLP's activation is SiLU. It should be GELU.",
            (ACT, "self.act = nn.SiLU()"),
        ),
        (
            "no_bend",
            "nothing stands between the MLP's two layers, so that both are as good as one.",
            (HIDDEN, "x = self.drop(self.fc1(x))"),
        ),
        (
            "gelu_at_the_end",
            "the MLP's second layer has a GELU after it too. Only the first has one.",
            ("return self.drop(self.fc2(x))", "return self.drop(self.act(self.fc2(x)))"),
        ),
    )
    + _of(
        "07",
        "The MLP by hand",
        (
            "mlp_too_narrow",
            "the MLP is only twice as wide inside as its tokens. Wanted is mlp_ratio times, that "
            "is 4.",
            (
                "self.mlp = Mlp(dim, int(dim * mlp_ratio), drop)",
                "self.mlp = Mlp(dim, 2 * dim, drop)",
            ),
        ),
        (
            "mlp_as_wide_as_its_tokens",
            "the MLP is only as wide inside as its tokens. Wanted is mlp_ratio times, which is 4.",
            ("self.mlp = Mlp(dim, int(dim * mlp_ratio), drop)", "self.mlp = Mlp(dim, dim, drop)"),
        ),
        shows="parameters",
    )
    + _of(
        "07",
        "Pairs, and a stage",
        (
            "blocks_shared",
            "a stage deeper than two has the same pair of blocks again and again: a list times a "
            "number repeats its objects. Every block has weights of its own.",
            (
                "        self.downsample = None if last else PatchMerging(dim)",
                "        pair = list(self.blocks)[:2]\n"
                "        self.blocks = nn.ModuleList(pair * (len(drop_path_rates) // 2))\n"
                "        self.downsample = None if last else PatchMerging(dim)",
            ),
        ),
        (
            "a_block_too_many",
            "every stage has one block more than depths says.",
            (
                "for i, rate in enumerate(drop_path_rates):",
                "for i, rate in enumerate([*drop_path_rates, 0.0]):",
            ),
        ),
        shows="parameters",
    )
)

POOL = "x = self.norm(x).mean(dim=(1, 2))  # one vector for each picture"
MODEL = _of(
    "07",
    "The model",
    (
        "last_norm_unused",
        "the last norm is there, but nothing passes through it.",
        (POOL, "x = x.mean(dim=(1, 2))"),
    ),
    (
        "norm_after_the_mean",
        "the mean over all tokens is taken before the last norm. The norm comes first.",
        (POOL, "x = self.norm(x.mean(dim=(1, 2)))"),
    ),
    (
        "first_token_for_the_mean",
        "the first token stands for the picture. There is no class token here: it is the mean of "
        "all.",
        (POOL, "x = self.norm(x)[:, 0, 0]"),
    ),
    (
        "largest_for_the_mean",
        "the largest number of every channel is taken over all tokens. Wanted is the mean.",
        (POOL, "x = self.norm(x).amax(dim=(1, 2))"),
    ),
    (
        "sum_for_the_mean",
        "the tokens are added up. Wanted is their mean.",
        (POOL, "x = self.norm(x).sum(dim=(1, 2))"),
    ),
    (
        "softmax_at_the_end",
        "a softmax follows the head. The scores go to the loss as they are, which has its own.",
        ("return self.head(x)", "return self.head(x).softmax(-1)"),
    ),
) + _of(
    "07",
    "The model",
    (
        "last_norm_missing",
        "the norm before the head is missing.",
        ("        self.norm = nn.LayerNorm(dim)\n        self.head", "        self.head"),
        (POOL, "x = x.mean(dim=(1, 2))"),
    ),
    (
        "head_without_bias",
        "the head has no bias.",
        (
            "self.head = nn.Linear(dim, num_classes)",
            "self.head = nn.Linear(dim, num_classes, bias=False)",
        ),
    ),
    (
        "position_embedding_added",
        "there is an absolute position embedding. The official models do without one, and it "
        "ties a model to one size of picture.",
        (
            "self.pos_drop = nn.Dropout(drop_rate)",
            "self.pos_drop = nn.Dropout(drop_rate)\n"
            "        self.absolute_pos_embed = nn.Parameter(torch.zeros(1, 3136, embed_dim))",
        ),
    ),
    shows="parameters",
)

RATES = "rates = [drop_path_rate * i / steps for i in range(sum(depths))]"
KEPT = "return x * x.new_empty(len(x), 1, 1, 1).bernoulli_(keep_prob) / keep_prob"
INACTIVE = "if not self.training or self.drop_prob == 0:"
DROP_PATH = _of(
    "07",
    "Dropout and drop path: training with holes",
    (
        "rates_constant",
        "drop path has the full rate in every block. It grows from 0 in the first to the full "
        "rate in the last.",
        (RATES, "rates = [drop_path_rate for i in range(sum(depths))]"),
    ),
    (
        "rates_anew_in_every_stage",
        "drop path's rise begins anew in every stage. It goes through the whole model once.",
        (RATES, "rates = [drop_path_rate * i / max(1, d - 1) for d in depths for i in range(d)]"),
    ),
    (
        "rates_from_the_first",
        "drop path leaves out the first block's branches already. The first rate is 0.",
        (RATES, "rates = [drop_path_rate * (i + 1) / (steps + 1) for i in range(sum(depths))]"),
    ),
    (
        "rates_never_reached",
        "drop path never reaches its full rate: from the first of n blocks to the last there are "
        "n - 1 steps, not n.",
        (RATES, "rates = [drop_path_rate * i / (steps + 1) for i in range(sum(depths))]"),
    ),
    (
        "rates_reversed",
        "drop path's rate falls from the first block to the last. It grows.",
        (RATES, "rates = [drop_path_rate * (1 - i / steps) for i in range(sum(depths))]"),
    ),
    (
        "rates_of_the_first_stage",
        "every stage takes the first stage's drop path rates.",
        ("of_stage = rates[sum(depths[:i]) :][:depth]", "of_stage = (rates * 2)[:depth]"),
    ),
    (
        "drop_path_for_the_whole_batch",
        "drop path throws one coin for the whole batch. Every picture gets its own.",
        (KEPT, KEPT.replace("len(x), 1, 1, 1", "1")),
    ),
    (
        "drop_path_for_every_window",
        "drop path takes every window for a picture and throws a coin for each. It belongs behind "
        "attention, where the map is whole again.",
        (KEPT, KEPT.replace("len(x), 1, 1, 1", "len(x), *[1] * (x.ndim - 1)")),
        (FIRST, "x = x + self.window_attention(self.norm1(x))"),
        (
            "windows = self.attn(window_partition(x, M), mask)",
            "windows = self.drop_path(self.attn(window_partition(x, M), mask))",
        ),
    ),
    (
        "drop_path_for_every_token",
        "drop path throws a coin for every token. A branch is left out for a whole picture.",
        (KEPT, KEPT.replace("len(x), 1, 1, 1", "*x.shape[:3], 1")),
    ),
    (
        "drop_path_for_every_number",
        "drop path throws a coin for every number, which is dropout. A branch is left out for a "
        "whole picture.",
        (KEPT, KEPT.replace("len(x), 1, 1, 1", "*x.shape")),
    ),
    (
        "drop_path_without_making_up",
        "drop path does not make up for what it leaves out: what is kept is to be divided by the "
        "probability of keeping it.",
        (KEPT, KEPT.replace(" / keep_prob", "")),
    ),
    (
        "drop_path_keeps_what_it_should_drop",
        "drop path takes the rate of dropping for that of keeping.",
        ("keep_prob = 1 - self.drop_prob", "keep_prob = self.drop_prob"),
    ),
    (
        "drop_path_once_for_both",
        "one coin decides for both branches of a block. Attention and MLP each have their own.",
        (
            FIRST,
            "keep = self.drop_path(x.new_ones(len(x), 1, 1, 1))\n"
            "        x = x + keep * self.window_attention(self.norm1(x))",
        ),
        (SECOND, "return x + keep * self.mlp(self.norm2(x))"),
    ),
    (
        "drop_path_on_attention_only",
        "drop path leaves out attention, but never the MLP.",
        (SECOND, "return x + self.mlp(self.norm2(x))"),
    ),
    (
        "drop_path_on_the_mlp_only",
        "drop path leaves out the MLP, but never attention.",
        (FIRST, "x = x + self.window_attention(self.norm1(x))"),
    ),
    (
        "drop_path_on_the_sum",
        "drop path leaves out the whole block, residual and all. Only the branch is left out, "
        "and the map passes by.",
        (FIRST, "x = self.drop_path(x + self.window_attention(self.norm1(x)))"),
        (SECOND, "return self.drop_path(x + self.mlp(self.norm2(x)))"),
    ),
    (
        "drop_path_never",
        "drop_path_rate is taken and nothing is ever left out.",
        (INACTIVE, "if True:"),
    ),
    shows="drop path",
)

EVALUATION = _of(
    "07",
    "Dropout and drop path: training with holes",
    (
        "drop_path_in_evaluation",
        "drop path also acts in evaluation. It is for training alone.",
        (INACTIVE, "if self.drop_prob == 0:"),
    ),
    (
        "attention_dropout_in_evaluation",
        "dropout of the attention weights also acts in evaluation: a function is told the "
        "rate, but not whether it is training (torchvision had this, pull request 7224).",
        ("dropout = self.attn_drop if self.training else 0.0", "dropout = self.attn_drop"),
    ),
    (
        "dropout_in_evaluation",
        "dropout also acts in evaluation: `F.dropout` believes that it is training unless told "
        "otherwise.",
        ("return self.proj_drop(self.proj(x))", "return F.dropout(self.proj(x), self.proj_drop.p)"),
    ),
    shows="evaluation",
)

DROPOUT = _of(
    "07",
    "Dropout and drop path: training with holes",
    (
        "tokens_never_dropped",
        "drop_rate does nothing after the embedding. The official model has a dropout there.",
        ("x = self.pos_drop(self.patch_embed(x))", "x = self.patch_embed(x)"),
    ),
    (
        "projection_never_dropped",
        "drop_rate does nothing after attention's projection.",
        ("return self.proj_drop(self.proj(x))", "return self.proj(x)"),
    ),
    (
        "mlp_dropped_inside_only",
        "drop_rate acts inside the MLP, but not after it. There is a dropout after each layer.",
        ("return self.drop(self.fc2(x))", "return self.fc2(x)"),
    ),
    (
        "mlp_dropped_behind_only",
        "drop_rate acts after the MLP, but not inside it. There is a dropout after each layer.",
        (HIDDEN, "x = self.act(self.fc1(x))"),
    ),
    (
        "mlp_never_dropped",
        "drop_rate does nothing in the MLP. There is a dropout after each layer.",
        (HIDDEN, "x = self.act(self.fc1(x))"),
        ("return self.drop(self.fc2(x))", "return self.fc2(x)"),
    ),
    (
        "weights_never_dropped",
        "attn_drop_rate does nothing.",
        ("dropout = self.attn_drop if self.training else 0.0", "dropout = 0.0"),
    ),
    (
        "weights_dropped_by_drop_rate",
        "attention weights are dropped by drop_rate. They have a rate of their own, "
        "attn_drop_rate.",
        ("        self.attn_drop = attn_drop", "        self.attn_drop = proj_drop"),
    ),
    (
        "output_dropped_for_weights",
        "attn_drop_rate drops numbers of attention's output. It is for the weights, after the "
        "softmax.",
        (
            ATTEND,
            "x = F.dropout(F.scaled_dot_product_attention(q, k, v, bias.to(q.dtype)), "
            "dropout, self.training)",
        ),
    ),
    shows="dropout",
)

LINEAR = "nn.init.trunc_normal_(module.weight, std=0.02)"
INITIAL = _of(
    "08",
    "First weights",
    (
        "linear_weights_as_pytorch_has_them",
        "linear layers keep PyTorch's own first weights. The official ones are normal with a "
        "standard deviation of 0.02.",
        (LINEAR, "pass"),
    ),
    (
        "linear_weights_too_wide",
        "linear layers begin ten times too wide, with a standard deviation of 0.2 instead of 0.02.",
        (LINEAR, LINEAR.replace("0.02", "0.2")),
    ),
    (
        "linear_weights_by_xavier",
        "linear layers begin with Xavier initialisation. The official ones are normal with a "
        "standard deviation of 0.02.",
        (LINEAR, "nn.init.xavier_uniform_(module.weight)"),
    ),
    (
        "biases_not_zero",
        "biases keep PyTorch's own first values. They begin at zero.",
        ("nn.init.zeros_(module.bias)", "pass"),
    ),
    (
        "nothing_initialised",
        "linear layers keep PyTorch's own first weights and biases: what should initialise them "
        "is never applied.",
        ("        self.apply(self._init_weights)\n", ""),
    ),
    (
        "tables_begin_at_zero",
        "bias tables begin at zero. The official ones are normal with a standard deviation of "
        "0.02.",
        (DRAWN, "self.relative_position_bias_table = nn.Parameter(table)"),
    ),
    (
        "tables_too_wide",
        "bias tables begin far too wide, with a standard deviation of 1.",
        (DRAWN, "self.relative_position_bias_table = nn.Parameter(torch.randn_like(table))"),
    ),
    (
        "convolution_initialised_too",
        "the embedding's convolution is drawn like a linear layer. The official code leaves it "
        "as PyTorch has it.",
        (
            "        if isinstance(module, nn.Linear):",
            "        if isinstance(module, nn.Conv2d):\n"
            "            nn.init.trunc_normal_(module.weight, std=0.02)\n"
            "        if isinstance(module, nn.Linear):",
        ),
    ),
    shows="initial",
)

DECAY = _of(
    "05",
    "Questions people really ask",
    (
        "tables_decay",
        "nothing says that the bias tables must be spared from weight decay. An optimiser asks "
        "the model's method `no_weight_decay_keywords` for it; in lesson 07 it stands in the "
        "source of “The model on one page”.",
        (
            "    def no_weight_decay_keywords(self):\n"
            '        return {"relative_position_bias_table"}\n\n',
            "",
        ),
    ),
    (
        "another_parameter_is_spared",
        "weight decay is told to spare parameters by a name that none of the bias tables has: "
        "look at what `no_weight_decay_keywords` gives.",
        ('return {"relative_position_bias_table"}', 'return {"absolute_pos_embed"}'),
    ),
    (
        "everything_spared",
        "weight decay is told to spare every parameter: look at what `no_weight_decay_keywords` "
        "gives.",
        ('return {"relative_position_bias_table"}', 'return {"weight", "bias"}'),
    ),
    shows="decay",
)

MISTAKES: tuple[Mistake, ...] = (
    *EMBEDDING, *WINDOWS, *SHIFT, *ATTENTION, *POSITION, *MERGING, *BLOCK, *MODEL,
    *DROP_PATH, *EVALUATION, *DROPOUT, *INITIAL, *DECAY,
)  # fmt: skip
