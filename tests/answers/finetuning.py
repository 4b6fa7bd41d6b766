"""Answers to the exercises of lesson 10."""

import torch
import torch.nn.functional as F

# --- layer_rates --------------------------------------------------------------------------------


def rates_by_a_table(names, depths, decay, head_rate):
    """From a table of beginnings, the longest that fits."""
    whole = sum(depths) + 1
    table, place = {"patch_embed.": 0, "absolute_pos_embed": 0, "norm.": whole}, 0
    for stage, depth in enumerate(depths):
        for block in range(depth):
            place += 1
            table[f"layers.{stage}.blocks.{block}."] = place
        table[f"layers.{stage}.downsample."] = place
    return torch.tensor(
        [
            float(head_rate)
            if name.startswith("head.")
            else decay ** (whole - next(p for start, p in table.items() if name.startswith(start)))
            for name in names
        ]
    )


def rates_with(place, head=None):
    def answer(names, depths, decay, head_rate):
        whole, shares = sum(depths) + 1, []
        for name in names:
            words = name.split(".")
            if words[0] == "head":
                shares.append(head(decay, head_rate) if head else float(head_rate))
            else:
                shares.append(float(decay ** (whole - place(words, depths))))
        return torch.tensor(shares)

    return answer


def right_place(words, depths):
    if words[0] == "norm":
        return sum(depths) + 1
    if words[0] != "layers":
        return 0
    stage = int(words[1])
    return sum(depths[:stage]) + (depths[stage] if words[2] == "downsample" else int(words[3]) + 1)


def anew_in_each_stage(words, depths):
    if words[0] == "layers":
        stage = int(words[1])
        return depths[stage] if words[2] == "downsample" else int(words[3]) + 1
    return right_place(words, depths)


def one_for_a_stage(words, depths):
    return sum(depths[: int(words[1]) + 1]) if words[0] == "layers" else right_place(words, depths)


def from_zero(words, depths):
    place = right_place(words, depths)
    return place - 1 if words[:1] == ["layers"] and words[2] == "blocks" else place


def merging_with_the_next(words, depths):
    return right_place(words, depths) + ("downsample" in words)


def norm_too_low(words, depths):
    return right_place(words, depths) - (words[0] == "norm")


def from_the_last_block(words, depths):
    return right_place(words, depths) + (words[0] != "norm")


def every_norm_last(words, depths):
    inside = any("norm" in word for word in words)
    return sum(depths) + 1 if inside else right_place(words, depths)


def upside_down(words, depths):
    return sum(depths) + 1 - right_place(words, depths)


# --- gradient_in_parts --------------------------------------------------------------------------


def gradient_by_hand(weight, images, labels, size):
    total = torch.zeros_like(weight)
    for x, y in zip(images.split(size), labels.split(size), strict=True):
        shares = (x @ weight.T).softmax(-1) - F.one_hot(y, len(weight))
        total = total + shares.T.to(x.dtype) @ x
    return total / len(images)


def gradient_of_sums(weight, images, labels, size):
    own = weight.detach().clone().requires_grad_()
    for start in range(0, len(images), size):
        logits = images[start : start + size] @ own.T
        loss = F.cross_entropy(logits, labels[start : start + size], reduction="sum")
        (loss / len(images)).backward()
    return own.grad


def gradient_of_the_weight_itself(weight, images, labels, size):
    weight.requires_grad_()
    for x, y in zip(images.split(size), labels.split(size), strict=True):
        (F.cross_entropy(x @ weight.T, y) * len(x) / len(images)).backward()
    return weight.grad


def in_parts(times, cleared=False, whole=False):
    def answer(weight, images, labels, size):
        own = weight.detach().clone().requires_grad_()
        for start in range(0, len(images), size):
            x, y = images[start : start + size], labels[start : start + size]
            if whole and len(x) < size:
                break
            if cleared:
                own.grad = None
            (F.cross_entropy(x @ own.T, y) * times(len(x), len(images), size)).backward()
        return own.grad if own.grad is not None else torch.zeros_like(weight)

    return answer


RIGHT = {
    "layer_rates": [rates_by_a_table, rates_with(right_place)],
    "gradient_in_parts": [gradient_by_hand, gradient_of_sums],
}

WRONG = {
    "layer_rates": [
        (rates_with(anew_in_each_stage), "counted anew in every stage"),
        (rates_with(one_for_a_stage), "all blocks of a stage get one share"),
        (rates_with(from_zero), "first block has the embedding's share"),
        (rates_with(merging_with_the_next), "goes with the block before"),
        (rates_with(norm_too_low), "last norm has the last block's share"),
        (rates_with(from_the_last_block), "the last block has 1"),
        (rates_with(every_norm_last), "every name with `norm` in it"),
        (rates_with(upside_down), "wrong way round"),
        (rates_with(right_place, lambda decay, head: decay * head), "multiplied by a decay"),
        (rates_with(right_place, lambda decay, head: 1.0), "`head_rate` is not used"),
    ],
    "gradient_in_parts": [
        (in_parts(lambda n, N, size: 1), "added as they are"),
        (in_parts(lambda n, N, size: 1 / -(-N // size)), "mean over parts"),
        (in_parts(lambda n, N, size: 1, cleared=True), "only the last part's"),
        (in_parts(lambda n, N, size: n / N, whole=True), "smaller part at the end is left out"),
        (in_parts(lambda n, N, size: size / N), "counts as if it were whole"),
        (in_parts(lambda n, N, size: n), "sum over pictures"),
        (gradient_of_the_weight_itself, "writes into its input `weight`"),
    ],
}
