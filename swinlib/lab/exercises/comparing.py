"""How a result is compared with the wanted one, and how values are put into words."""

import itertools
import numbers

import torch
from torch import Tensor

from swinlib.lab.exercises.running import is_tensor

WIDE = 96  # characters; longer lines are broken
UNLIKE = "*"  # behind a number that is not the wanted one
FEW = 64  # numbers; a tensor with more is described, not printed
# Fractions of the largest number: sums in another order are no mistake, nor are constants of
# float32 beside numbers of float64.
TOLERANCE = {torch.float16: 4e-3, torch.bfloat16: 3e-2, torch.float32: 2e-5, torch.float64: 1e-6}
# Digits of a number: as many as it takes for two unlike ones to look unlike.
DIGITS = (4, 6, 9, 17)

OTHER_AXES = (
    "the numbers are right, but the axes are in another order: yours are the wanted ones as"
)


def agree(got, wanted, *args) -> str | None:
    """None where two results are the same to rounding, else a sentence on how they differ.

    `args` are the case's arguments, for exercises with an `agree` of their own.
    """
    if isinstance(wanted, tuple | list):
        return agree_many(got, wanted, *args)
    if isinstance(wanted, Tensor):
        return agree_tensors(got, wanted, *args)
    if is_tensor(got) and got.numel() == 1:
        got = got.item()
    if isinstance(wanted, numbers.Number):
        return agree_numbers(got, wanted)
    return None if type(got) is type(wanted) and got == wanted else gives(got, wanted)


def agree_many(got, wanted, *args) -> str | None:
    """As `agree`, for several values."""
    if not isinstance(got, tuple | list) or len(got) != len(wanted):
        return f"returns {describe(got)}, wanted {len(wanted)} values"
    found = [(n, agree(a, b, *args)) for n, (a, b) in enumerate(zip(got, wanted, strict=True))]
    says = next((f"in result [{n}], {says}" for n, says in found if says), None)
    if says and not holds_tensors(wanted):  # a few numbers: all of them say more
        return gives(got, wanted)
    return says


def agree_numbers(got, wanted) -> str | None:
    """As `agree`, for single numbers, of Python or of NumPy."""
    if not isinstance(got, numbers.Real):
        return f"returns {describe(got)}, wanted {describe(wanted)}"
    if isinstance(wanted, numbers.Integral):
        same = isinstance(got, numbers.Integral) and got == wanted
    else:
        same = got == wanted or abs(got - wanted) <= 1e-6 * max(1e-9, abs(wanted))
    return None if same else gives(got, wanted)


def gives(got, wanted, digits: tuple[int, ...] = DIGITS[1:]) -> str:
    """That one value came where another was wanted, in as many digits as it takes."""
    for count in digits:
        texts = describe(got, count), describe(wanted, count)
        if texts[0] != texts[1]:
            return f"gives {texts[0]}, wanted {texts[1]}"
    if has_floats(got) and not has_floats(wanted):
        return f"gives {texts[0]} as floats, wanted whole numbers (`//` gives them)"
    return f"gives {got!r}, wanted {wanted!r}"


def has_floats(value) -> bool:
    if isinstance(value, tuple | list):
        return any(map(has_floats, value))
    if is_tensor(value):
        return value.is_floating_point()
    return isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral)


def agree_tensors(got, wanted: Tensor, *args) -> str | None:
    """As `agree`, for tensors, with a word on axes and shapes where that is all that is wrong."""
    if not isinstance(got, Tensor):
        return f"returns {describe(got)}, wanted a tensor"
    if not is_tensor(got):
        return f"returns {describe(got)}, wanted a plain tensor on the CPU"
    kind = ""
    if got.dtype != wanted.dtype:
        kind = f"of type {got.dtype}, wanted {wanted.dtype}"
        if any(is_tensor(arg) and arg.dtype == wanted.dtype for arg in args):
            kind += ", the type that came in: keep it, in half and in double precision too"
    if close(got, wanted):
        return f"the numbers are right, but {kind}" if kind else None
    if order := other_axes(got, wanted):
        return f"{OTHER_AXES} {order}"
    if got.shape != wanted.shape:
        says = f"the shape is {tuple(got.shape)}, wanted {tuple(wanted.shape)}"
        if got.numel() == wanted.numel() and close(got.flatten(), wanted.flatten()):
            return f"the numbers are right and in order, but {says}"
        return f"{says}, and the numbers are in another order" if moved(got, wanted) else says
    if got.is_floating_point() and (got.isnan() & ~wanted.isnan()).any():
        return "some numbers are NaN, the result of something like 0/0"
    if wanted.numel() == 1:
        return gives(got.item(), wanted.item(), DIGITS)
    if moved(got, wanted):
        return f"the right numbers, but {(~near(got, wanted)).sum()} of them at wrong places"
    if factor := common_factor(got, wanted):
        return f"all numbers are {factor:.4g} times what they should be"
    return f"{(~near(got, wanted)).sum()} of {wanted.numel()} numbers are wrong"


def near(got: Tensor, wanted: Tensor) -> Tensor:
    """Where two tensors of one shape are equal to rounding; infinite or NaN only where both are."""
    allowed = max(TOLERANCE.get(tensor.dtype, 0.0) for tensor in (got, wanted))
    if got.is_complex():  # a complex number is near a real one if it is real itself
        return near(got.real, wanted) & (got.imag.abs() <= allowed)
    got, wanted = got.double(), wanted.double()
    finite = wanted[wanted.isfinite()].abs()  # one infinity as the scale would allow anything
    scale = finite.max() if finite.numel() else 0.0
    same = (got == wanted) | (got.isnan() & wanted.isnan())
    return same | ((got - wanted).abs() <= allowed * scale)


def close(got: Tensor, wanted: Tensor) -> bool:
    return got.shape == wanted.shape and bool(near(got, wanted).all())


def other_axes(got: Tensor, wanted: Tensor) -> tuple[int, ...] | None:
    """The order of axes that turns `wanted` into `got`, where there is one; else None.

    Axes of length 1 can go anywhere without moving a number, so an order must move others.
    """
    if got.ndim != wanted.ndim or not 2 <= got.ndim <= 6:
        return None
    if sorted(got.shape) != sorted(wanted.shape):
        return None
    long = [axis for axis, length in enumerate(wanted.shape) if length > 1]
    return next(
        (
            order
            for order in itertools.permutations(range(got.ndim))
            if [axis for axis in order if axis in long] != long
            and close(got, wanted.permute(order))
        ),
        None,
    )


def moved(got: Tensor, wanted: Tensor) -> bool:
    """Whether the numbers are the wanted ones, in another order that means something."""
    if got.numel() != wanted.numel() or wanted.numel() < 2 or got.is_complex():
        return False
    wanted = wanted.flatten().sort().values
    tells_apart = 2 * len(wanted.unique()) > len(wanted)
    return tells_apart and close(got.flatten().sort().values, wanted)


def common_factor(got: Tensor, wanted: Tensor) -> float | None:
    """What all wanted numbers were multiplied by, where it is one number."""
    if got.is_complex() or not got.is_floating_point() or not wanted.any():
        return None
    place = wanted.double().abs().nan_to_num(0, 0, 0).argmax()
    factor = (got.flatten()[place].double() / wanted.flatten()[place].double()).item()
    scaled = (wanted.double() * factor).to(got.dtype)
    return factor if wanted.count_nonzero() > 2 and close(got, scaled) else None


# --- values in words ----------------------------------------------------------------------------


def describe(value, digits: int = 6) -> str:
    """A value in one line; a tensor by its shape and type, unless it is a single number."""
    if is_tensor(value) and value.ndim == 0:
        return number(value, digits)
    if is_tensor(value):
        kind = str(value.dtype).removeprefix("torch.")
        scattered = "" if value.is_contiguous() else ", not contiguous"
        return f"a tensor of shape {tuple(value.shape)}, {kind}{scattered}"
    if isinstance(value, Tensor):
        return f"a tensor on {value.device}, {value.layout}".replace("torch.", "")
    if type(value) in (tuple, list):
        return "(" + ", ".join(describe(v, digits) for v in value) + ")"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return repr(value) if value is None or isinstance(value, bool | str) else a_thing(value)
    if isinstance(value, numbers.Integral):
        return str(int(value))
    return f"{float(value):.{digits}g}"


def a_thing(value) -> str:
    """The type of a value, and of an array the shape."""
    kind, shape = type(value).__name__, getattr(value, "shape", None)
    if kind == "ndarray":
        return f"a NumPy array of shape {shape}, {value.dtype}"
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"


def number(value: Tensor, digits: int = 4) -> str:
    value = value.item()
    if isinstance(value, bool):
        return "T" if value else "F"
    return str(value) if isinstance(value, int) else f"{value:.{digits}g}"


def holds_tensors(result) -> bool:
    if isinstance(result, tuple | list):
        return any(map(holds_tensors, result))
    return is_tensor(result)


# --- the smallest failing example ---------------------------------------------------------------


def one_by_one(name: str, result) -> dict:
    """A result by name; several tensors, each with its number."""
    if not isinstance(result, tuple | list) or not holds_tensors(result):
        return {name: result}
    return {f"{name}[{n}]": part for n, part in enumerate(result)}


def first_unlike(got, wanted) -> list[str]:
    """Where two large tensors of one shape begin to differ."""
    if isinstance(wanted, tuple | list) and isinstance(got, tuple | list):
        found = [first_unlike(a, b) for a, b in zip(got, wanted, strict=False)]
        return next((lines for lines in found if lines), [])
    if not is_tensor(got) or not is_tensor(wanted) or got.shape != wanted.shape:
        return []
    if wanted.numel() <= FEW or close(got, wanted):
        return []
    place = tuple((~near(got, wanted)).nonzero()[0].tolist())
    here, digits = f"[{', '.join(map(str, place))}]", digits_apart(got, wanted)
    texts = number(got[place], digits), number(wanted[place], digits)
    return [f"  first at {here}: yours {texts[0]}, wanted {texts[1]}"]


def digits_apart(got, wanted) -> int:
    """As many digits as it takes for unlike numbers to look unlike."""
    if not is_tensor(got) or not is_tensor(wanted) or got.shape != wanted.shape:
        return DIGITS[0]
    unlike = ~near(got, wanted)
    pairs = list(zip(got[unlike][:FEW], wanted[unlike][:FEW], strict=True))
    enough = (n for n in DIGITS if all(number(a, n) != number(b, n) for a, b in pairs))
    return next(enough, DIGITS[0])


def is_small(value) -> bool:
    return is_tensor(value) and 1 < value.numel() <= FEW


def mark_unlike(yours: dict, wanted: dict) -> dict[str, Tensor]:
    """By name, where the tensors of an answer are unlike the wanted ones of the same shape."""
    pairs = {
        name: (got, want) for (name, got), want in zip(yours.items(), wanted.values(), strict=False)
    }
    return {
        name: ~near(got, want)
        for name, (got, want) in pairs.items()
        if is_small(got) and is_tensor(want) and got.shape == want.shape and not got.is_complex()
    }


def side_by_side(
    blocks: list[tuple[str, Tensor]], digits: int = DIGITS[0], unlike: dict | None = None
) -> list[str]:
    """Small tensors as blocks of numbers beside one another, under their names and shapes.

    Where `unlike` says so of a block by name, a number is marked.
    """
    if not blocks:
        return []
    columns = []
    for name, tensor in blocks:
        table = tensor.reshape(-1, row_length(tensor))
        texts = [[number(value, digits) for value in row] for row in table]
        if unlike and name in unlike:
            marks = unlike[name].reshape(table.shape)
            pairs = [
                zip(row, places, strict=True) for row, places in zip(texts, marks, strict=True)
            ]
            texts = [[text + (UNLIKE if mark else " ") for text, mark in row] for row in pairs]
        width = max(len(text) for row in texts for text in row)
        body = [" ".join(text.rjust(width) for text in row) for row in texts]
        body = in_groups(body, group_length(tensor))
        columns.append([f"{name} {tuple(tensor.shape)}", *body])
    if len(columns) > 1 and sum(max(map(len, c)) + 3 for c in columns) > WIDE:
        half = (len(blocks) + 1) // 2
        return [
            *side_by_side(blocks[:half], digits, unlike),
            *side_by_side(blocks[half:], digits, unlike),
        ]
    height = max(map(len, columns))
    widths = [max(map(len, column)) for column in columns]
    padded = [column + [""] * (height - len(column)) for column in columns]
    rows = zip(*padded, strict=True)
    return [
        ("  " + "   ".join(t.ljust(w) for t, w in zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]


def in_groups(lines: list[str], length: int) -> list[str]:
    """Lines with an empty one after every `length`: where one window, or picture, ends."""
    starts = range(0, len(lines), length)
    return [
        text for start in starts for text in ([""] if start else []) + lines[start : start + length]
    ]


def group_length(tensor: Tensor) -> int:
    """Rows that belong together: the last length but one that is not 1."""
    longer = [length for length in tensor.shape if length > 1]
    return longer[-2] if len(longer) > 2 else tensor.numel()


def row_length(tensor: Tensor) -> int:
    """The last length that is not 1: what reads best as a row of numbers."""
    return next((length for length in reversed(tensor.shape) if length > 1), 1)
