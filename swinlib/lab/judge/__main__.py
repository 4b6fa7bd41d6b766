"""The judge on the command line; `python -m swinlib.lab.judge --help`."""

import argparse
import ast
import re
import signal
import sys

from swinlib._console import write_utf_8
from swinlib.lab.judge import TIME_LIMIT, judge

EXAMPLES = """
examples:
  python -m swinlib.lab.judge my_swin.py
  python -m swinlib.lab.judge my_swin.py --part 2
  python -m swinlib.lab.judge my_swin.py:Swin embed_dim=48 "depths=[2,2]" "num_heads=[3,6]"
  python -m swinlib.lab.judge torchvision.models.swin_transformer:SwinTransformer "patch_size=[4,4]" embed_dim=96 "depths=[2,2,6,2]" "num_heads=[3,6,12,24]" "window_size=[7,7]"
  python -m swinlib.lab.judge --export port.npz embed_dim=48 "depths=[2,2]" "num_heads=[3,6]"
  python -m swinlib.lab.judge --against activations.npz embed_dim=48 "depths=[2,2]" "num_heads=[3,6]"
"""  # noqa: E501


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m swinlib.lab.judge",
        description="Is it a Swin Transformer, and if not, where does it begin to differ?",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", nargs="?", help="my_swin.py, my_swin.py:Class or module:Class")
    parser.add_argument("options", nargs="*", help="constructor arguments, name=value")
    parser.add_argument("--part", type=int, choices=[1, 2, 3, 4], default=0, help="of notebook 09")
    parser.add_argument("--sizes", nargs="+", metavar="HxW", default=[], help="of the pictures")
    parser.add_argument("--time-limit", type=float, default=TIME_LIMIT, metavar="SECONDS")
    parser.add_argument("--export", metavar="FILE.npz", help="weights and pictures, for a port")
    parser.add_argument("--against", metavar="FILE.npz", help="activations saved by a port")
    parser.add_argument("--table", action="store_true", help="try every known mistake")
    options = parser.parse_intermixed_args(arguments)
    if options.table:
        from swinlib.lab.judge import table

        for line in table.lines():
            print(line, flush=True)
        return 0
    words = options.options
    if options.target and "=" in options.target:  # without a target the first word is an option
        words, options.target = [options.target, *words], None
    try:
        given = dict(parse(word) for word in words)
        sizes = [size_of(word) for word in options.sizes]
    except ValueError as error:
        parser.error(str(error))
    if options.export or options.against:
        from swinlib.lab.judge import against

        try:
            if options.export:
                print(against.export(options.export, given))
                return 0
            report = against.judge_activations(options.against, given)
        except (OSError, TypeError, ValueError) as error:  # no such file, or no such options
            parser.error(str(error))
    elif options.target:
        report = judge(
            options.target,
            arguments=given,
            part=options.part,
            sizes=sizes,
            time_limit=options.time_limit,
            say=lambda stage: print(f"… {stage}", file=sys.stderr, flush=True),
        )
    else:
        parser.error("name a file or a class, or give --export or --against")
    print(report)
    return 0 if report.right else 1


def size_of(word: str) -> tuple[int, int]:
    """HxW as two numbers."""
    if not re.fullmatch(r"0*[1-9]\d*x0*[1-9]\d*", word):
        raise ValueError(f"sizes are HxW in pixels, such as 64x48, got {word!r}")
    return tuple(map(int, word.split("x")))


def parse(word: str):
    """name=value, the value as Python reads it, or else as it stands."""
    name, equals, value = word.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"constructor arguments are name=value, got {word!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


if __name__ == "__main__":
    write_utf_8()
    # As an exception, it lets the worker and its folder be cleared away.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.exit(main())
