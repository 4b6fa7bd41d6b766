"""How fast swinlib is beside torchvision and timm: `make bench`, or `python tools/bench.py --help`.

How it measures: data/bench/README.md.
"""

import argparse
import json
from itertools import product
from pathlib import Path

import torch

from bench_drawing import draw, line
from bench_growth import growth
from bench_measuring import BASE, cifar, keep_memory, measure, precisions, swin_t, where

RESULTS = Path(__file__).resolve().parent.parent / "data" / "bench"


def main(arguments: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=15, help="of every row (%(default)s)")
    parser.add_argument("--batch", type=int, help="pictures of Swin-T (8, on a GPU 128)")
    parser.add_argument("--threads", type=int, help="on the CPU; default: PyTorch's")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--no-growth", action="store_true", help="leave the larger pictures out")
    parser.add_argument("--plain-malloc", action="store_true", help="leave glibc's malloc as it is")
    parser.add_argument("--quick", action="store_true", help="three rounds of the smallest task")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for results and picture")
    args = parser.parse_args(arguments)
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.rounds < 3:
        parser.error(f"--rounds {args.rounds}: at least 3 are needed for quartiles")
    gpu = args.device == "cuda"

    kept = not args.plain_malloc and keep_memory()
    results = {"where": where(args, kept), "rows": []}
    print(", ".join(f"{name} {value}" for name, value in results["where"].items()))
    print(f"Times as fast as {BASE}: median of the rounds [quartiles] = multiple of the floor.")
    tasks = [cifar("smoke" if args.quick else "gpu" if gpu else "laptop", 512 if gpu else 64)]
    tasks += [] if args.quick else [swin_t(args.batch or (128 if gpu else 8))]
    compiling = (False,) if args.no_compile or args.quick else (False, True)
    ways = product(tasks, (False, True), precisions(torch.device(args.device)), compiling)
    for task, training, precision, compiled in ways:
        row = measure(task, args, training, compiled, precision)
        results["rows"].append(row)
        print(line(row), flush=True)
        write(results, args)  # a visit to a GPU may end at any moment
    if not args.no_growth and not args.quick:
        results["growth"] = []
        for row in growth([224, 448, 896], args.device, args.rounds):
            results["growth"].append(row)
            write(results, args)
            held = {n: row[n]["bytes"] / 2**20 for n in ("windows", "global")}
            print(
                f"{row['size']:4d} pixels, {row['tokens']:6,} tokens: global attention takes "
                f"{row['global_over_windows']:.1f} times as long as windows, and holds "
                f"{held['global']:.0f} MiB against {held['windows']:.0f}",
                flush=True,
            )
    print(f"written to bench_{args.device}.json and bench_{args.device}.png")
    return results


def write(results: dict, args) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"bench_{args.device}.json"
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    draw(results, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
