"""The judge, judged: right models pass, mistakes are told their own sentence, all else is found."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
import torchvision

from nbsolve import solve
from swinlib import SwinTransformer, onepage
from swinlib.lab.judge import judge
from swinlib.lab.judge import table as judged
from swinlib.lab.judge.__main__ import EXAMPLES, main, parse
from swinlib.lab.judge.examine import examine
from swinlib.lab.judge.mistakes import MISTAKES, SHOWS
from swinlib.lab.judge.models import ONE_PAGE, Builder, page_classes, page_with
from swinlib.lab.judge.parts import PARTS, page_of
from swinlib.lab.judge.patterns import padding_tokens, pattern_of, seam_tokens
from swinlib.lab.judge.picture import difference_map
from swinlib.lab.judge.places import TOLERANCE, compare, places_of
from swinlib.lab.judge.report import Report, walls
from swinlib.lab.judge.sittings import HEADER, HINTS, Sittings, praise
from swinlib.lab.judge.target import Target
from swinlib.lab.judge.worker import work

HERE = Path(__file__).parent
STYLES = ("bchw", "static_tokens", "with_einops", "with_sdpa")
SMALL_SIZES = ((48, 36), (33, 57), (16, 12))
FITTING = {"static_tokens": {"window_size": 7}}  # 224 pixels are 8 windows of 7 tokens
ROWS = {}
PAGES = ("README.md", "docs/ports.md")  # that show the command


def examined(source_or_class, sizes=judged.SIZES, **options) -> Report:
    made = source_or_class
    if isinstance(made, str):
        defined = {"__name__": "judged"}
        exec(compile(made, "my_swin.py", "exec"), defined)
        made = defined["SwinTransformer"]
    return examine(Builder(made, wanted=judged.OPTIONS | options), sizes)


# --- known mistakes -----------------------------------------------------------------------------


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name)
def test_a_mistake_is_told_its_own_sentence(mistake):
    row = ROWS[mistake.name] = judged.try_out(mistake)
    assert row.rightly, [f.says for f in row.report.findings]
    assert row.localised, row.report.findings[0]
    says = row.report.findings[0].says
    assert says.lower().startswith(mistake.says.lower())
    assert mistake.reread in str(row.report).replace("\n  ", " ")
    assert row.report.equal == (SHOWS.index(mistake.shows) > 1)


def test_how_many_of_them(report):
    assert len(MISTAKES) >= 40
    if len(ROWS) == len(MISTAKES):  # all of them ran, in this process
        count = {
            "tried": len(ROWS),
            "told": sum(row.told for row in ROWS.values()),
            "told rightly": sum(row.rightly for row in ROWS.values()),
            "localised": sum(row.localised for row in ROWS.values()),
        }
        report("mistakes and the judge: " + ", ".join(f"{k} {n}" for k, n in count.items()))


def test_every_mistake_has_a_name_and_a_sentence_of_its_own():
    assert len({m.name for m in MISTAKES}) == len({m.says for m in MISTAKES}) == len(MISTAKES)
    assert {m.shows for m in MISTAKES} == set(SHOWS)
    for mistake in MISTAKES:
        assert page_with(mistake.changes) != ONE_PAGE
        assert mistake.says.endswith((".", ".)")), mistake.says


def test_every_section_to_reread_is_there():
    headings = {}
    for path in sorted((HERE.parent / "notebooks").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        lines = [
            line
            for cell in cells
            if cell.cell_type == "markdown"
            for line in cell.source.splitlines()
        ]
        found = [re.fullmatch(r"#+ (?:\d+ · )?(.*)", line) for line in lines]
        headings[path.name[:2]] = {match[1] for match in found if match}
    from swinlib.lab.judge import examine as module

    named = {(m.lesson, m.section) for m in MISTAKES}
    for text in [*module.LESSON_OF.values(), *module.TRAINING_LESSON.values()]:
        named.add(re.fullmatch(r"lesson (\d\d), “(.*)”", text).groups())
    missing = [where for where in named if where[1] not in headings[where[0]]]
    assert not missing


def test_no_sentence_gives_a_line_away():
    lines = [line.strip() for line in ONE_PAGE.splitlines() if len(line.strip()) > 24]
    for mistake in MISTAKES:
        assert not any(line in mistake.says for line in lines)


# --- mistakes that nobody prepared --------------------------------------------------------------

UNPREPARED = [
    ("self.proj_drop(self.proj(x))", "self.proj_drop(-self.proj(x))", "layers.0.blocks.0", "all"),
    ("return self.drop(self.fc2(x))", "return self.fc2(x) * 0.5", "layers.0.blocks.0", "all"),
    (
        "return self.reduction(self.norm(x))",
        "return self.reduction(self.norm(x)) * 1.5",
        "layers.0.downsample",
        "factor",
    ),
    (
        "shift_size = 0 if i % 2 == 0 else window_size // 2",
        "shift_size = (0, window_size // 2, 0, 1)[i]",
        "layers.2.blocks.3",
        None,
    ),
    (
        "return self.norm(self.proj(x).permute(0, 2, 3, 1))",
        "return self.norm(self.proj(x).permute(0, 2, 3, 1)).flip(-1)",
        "patch_embed",
        "channels",
    ),
    (
        "return self.norm(self.proj(x).permute(0, 2, 3, 1))",
        "return self.norm(self.proj(x).permute(0, 2, 3, 1)).flip(1)",
        "patch_embed",
        "places",
    ),
    (
        "x = pad_to_windows(x, M)\n",
        "x = F.pad(x, (0, 0, 0, -W % M, 0, -H % M), value=0.7)\n",
        "layers.0.blocks.0",
        "padding",
    ),
    (
        "(regions != regions.transpose(1, 2))",
        "(regions > regions.transpose(1, 2))",
        "layers.0.blocks.1",
        "seam",
    ),
    (
        "x = window_reverse(windows, M, padded_H, padded_W)",
        "x = window_reverse(windows, M, padded_H, padded_W); x[1:] *= 0.9",
        "layers.0.blocks.0",
        "picture",
    ),
    ("x = self.norm(x).mean(dim=(1, 2))", "x = self.norm(x).mean(dim=(1, 2)) + 1", "head", None),
    (
        "x = block(x)",
        "x = block(x) + (x if x.shape[-1] == 48 else 0)",
        "layers.1.blocks.1",  # block 0 itself is right
        "all",
    ),
    (
        "torch.roll(x, (-sh, -sw), (1, 2))",
        "torch.roll(x, (-sh, 0), (1, 2))",
        "layers.0.blocks.1",
        None,
    ),
    (
        "x = pad_to_windows(x, 2)",
        "x = F.pad(x, (0, 0, 0, W % 2, 0, H % 2), value=1.0)",
        "layers.0.downsample",
        "edge",
    ),
]


@pytest.mark.parametrize(("old", "new", "place", "pattern"), UNPREPARED, ids=lambda x: str(x)[:30])
def test_an_unprepared_mistake_is_localised(old, new, place, pattern):
    changes = ((old, new),)
    if "W % 2" in new:
        changes = ((old, "H, W = x.shape[1:3]; " + new),)
    (finding,) = examined(page_classes(changes)["SwinTransformer"]).findings
    assert finding.mistake == ""
    assert finding.about == "forward"
    assert finding.place == place
    assert pattern is None or finding.pattern == pattern, finding
    assert "lesson" in finding.reread


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("self.proj_drop(self.proj(x))", "self.proj_drop(-self.proj(x))", "it is attention."),
        ("return self.drop(self.fc2(x))", "return self.fc2(x) * 0.5", "it is the MLP."),
        (
            "return x + self.drop_path(self.mlp",
            "return 2 * x + self.drop_path(self.mlp",
            "what passes by.",
        ),
    ],
)
def test_the_part_of_a_block_that_is_at_fault(old, new, words):
    (finding,) = examined(page_classes(((old, new),))["SwinTransformer"], SMALL_SIZES).findings
    assert words in finding.says


def test_what_is_right_is_said_too():
    """Only where padding is needed: the sizes that are right are named."""
    old, new = UNPREPARED[6][:2]
    (finding,) = examined(page_classes(((old, new),))["SwinTransformer"]).findings
    assert "Only tokens whose window holds padding differ." in finding.says


class Deaf(torch.nn.Module):
    """A model none of whose modules can be heard: only its scores tell."""

    def __init__(self, made, **options):
        super().__init__()
        self.inner = [made(**options)]
        names = dict(self.inner[0].named_parameters())
        for name, parameter in names.items():
            self.register_parameter(name.replace(".", "/"), parameter)

    def named_parameters(self, *args, **kwargs):
        for name, parameter in super().named_parameters(*args, **kwargs):
            yield name.replace("/", "."), parameter

    def forward(self, x):
        weights = {name: p * 1 for name, p in self.named_parameters()}
        return torch.func.functional_call(self.inner[0], weights, (x,))


@pytest.mark.parametrize(
    "spared", ['{"relative_position_bias_table", "bias", "norm"}', '{"bias_table"}']
)
def test_what_never_decays_may_be_named_or_not(spared):
    source = ONE_PAGE.replace('{"relative_position_bias_table"}', spared)
    found = examined(source, SMALL_SIZES)
    assert found.right, str(found)


def test_of_many_names_three_are_told():
    source = ONE_PAGE.replace(
        '{"relative_position_bias_table"}', '{"relative_position_bias_table", "fc1"}'
    )
    found = examined(source, SMALL_SIZES)
    (finding,) = found.findings
    assert "Wrongly spared: layers.0.blocks.0.mlp.fc1.weight, " in finding.says
    assert finding.says.count(".weight") == 3 and "and 3 more." in finding.says
    assert found.equal and not found.right
    assert "\n~ A Swin Transformer, equal" in str(found) and "✗" not in str(found)
    assert "\n~ In training, decay" in str(found)


def test_forgotten_tables_are_told_where_to_say_so():
    found = examined(next(m for m in MISTAKES if m.name == "tables_decay").model, SMALL_SIZES)
    assert "`no_weight_decay_keywords`" in found.findings[0].says
    assert "lesson 05, “Questions people" in found.findings[0].reread
    for name in ("05_relative_position_index", "07_full_model"):  # where it really stands
        text = (NOTEBOOK.parent / f"{name}.ipynb").read_text(encoding="utf-8")
        assert "no_weight_decay_keywords" in text


def test_a_model_that_cannot_be_listened_to():
    def deaf(changes=()):
        made = page_classes(changes)["SwinTransformer"]
        return lambda **options: Deaf(made, **options)

    def judge_deaf(changes=()):
        return examine(Builder(deaf(changes), wanted=judged.OPTIONS), ((80, 160), (33, 57)))

    found = judge_deaf()
    assert found.equal
    assert "No forward hook saw its blocks' outputs: drop path was not looked at." in found.remarks
    known = next(m for m in MISTAKES if m.name == "index_key_minus_query")
    (finding,) = judge_deaf(known.changes).findings
    assert finding.mistake == known.name and finding.place == "layers.0.blocks.0"
    strange = (
        ("shift_size = 0 if i % 2 == 0 else window_size // 2", "shift_size = (0, 2, 0, 1)[i]"),
    )
    (finding,) = judge_deaf(strange).findings
    assert (finding.mistake, finding.place) == ("", "layers.2.blocks.3")
    for outside in (
        ("return self.reduction(self.norm(x))", "return self.reduction(self.norm(x)) * 2"),
        ("return x + self.drop_path(self.mlp", "return 2 * x + self.drop_path(self.mlp"),
    ):
        (finding,) = judge_deaf((outside,)).findings
        assert (finding.mistake, finding.place) == ("", "")
        assert "points to what passes by in the blocks, the embedding, a merging" in finding.says
    known = next(m for m in MISTAKES if m.name == "mlp_without_residual")
    (finding,) = judge_deaf(known.changes).findings
    assert finding.mistake == known.name and "points to" not in finding.says
    random = (("self.proj_drop(self.proj(x))", "F.dropout(self.proj(x), 0.1)"),)
    (finding,) = judge_deaf(random).findings
    assert finding.pattern == "random" and "points to" not in finding.says


@pytest.mark.parametrize(
    ("old", "place"),
    [
        ("self.proj_drop(self.proj(x))", "layers.0.blocks.0"),
        ("self.reduction(self.norm(x))", "layers.0.downsample"),
        ("self.head(x)", "head"),
    ],
)
def test_randomness_in_evaluation_is_told(old, place):
    made = page_classes(((old, f"F.dropout({old}, 0.1)"),))["SwinTransformer"]

    def without_rates(patch_size, in_chans, num_classes, embed_dim, depths, num_heads):
        """As one writes it who knows of no rates."""
        return made(patch_size, in_chans, num_classes, embed_dim, depths, num_heads, 7)

    before = torch.get_rng_state()
    (finding,) = examine(Builder(without_rates, wanted=judged.OPTIONS), SMALL_SIZES).findings
    assert (finding.place, finding.pattern, finding.mistake) == (place, "random", "")
    assert "Two passes over the same pictures give different numbers" in finding.says
    assert "it is" not in finding.says and "Every token" not in finding.says
    assert "Dropout and drop path" in finding.reread
    assert torch.equal(torch.get_rng_state(), before)


def test_a_coin_for_every_window_is_told_in_shifted_blocks_too():
    """The only block that drops is shifted; and its attention is right but for the coin."""
    known = next(m for m in MISTAKES if m.name == "drop_path_for_every_window")
    given = dict(embed_dim=16, depths=(2,), num_heads=(2,), window_size=3)
    found = examine(Builder(known.model, given), SMALL_SIZES)
    assert [f.mistake for f in found.findings] == [known.name], str(found)
    assert examine(Builder(onepage.SwinTransformer, given), SMALL_SIZES).right


# --- right models in other styles ---------------------------------------------------------------


def style(name: str) -> str:
    return (HERE / "swins" / f"{name}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", STYLES)
def test_a_right_model_in_another_style_passes(name, report):
    found = examined(style(name), **FITTING.get(name, {}))
    assert found.right, str(found)
    assert found.largest < TOLERANCE / 4  # room before a right model is called wrong
    assert found.verdict.startswith("A Swin Transformer, equal to the official one")
    if name == "static_tokens":
        assert [size for size, _ in found.sizes] == ["224x224"]
        assert any("judged at 224x224 alone" in remark for remark in found.remarks)
    else:
        assert len(found.took) >= 11, found.took
        assert all(line.split(" for ")[0] != line.split(" for ")[1] for line in found.took)
    report(f"judge, {name}: largest difference {found.largest:.1e}")


ELSEWHERE = [
    ("bchw", "self.attention(y, labels)", "self.attention(y, None)", "no_mask"),
    (
        "bchw",
        "for j in (0, 1) for i in (0, 1)",
        "for i in (0, 1) for j in (0, 1)",
        "merged_along_rows",
    ),
    ("bchw", "y = y.roll(shift, (2, 3))", "pass", "not_rolled_back"),
    ("bchw", "nn.GELU()", "nn.ReLU()", "relu_for_gelu"),
    (
        "bchw",
        "torch.linspace(0, drop_path_rate",
        "torch.linspace(drop_path_rate, drop_path_rate",
        "rates_constant",
    ),
    ("bchw", "rand(len(x), 1, 1, 1) >=", "rand(1, 1, 1, 1) >=", "drop_path_for_the_whole_batch"),
    ("with_einops", '(x y c)", y=2', '(y x c)", y=2', "merged_along_rows"),
    ("with_einops", "(three h d)", "(h three d)", "heads_before_qkv"),
    ("with_einops", ".masked_fill(apart, -1e9)", "", "no_mask"),
    ("with_sdpa", "n > M else 0", "True else 0", "shifted_in_a_single_window"),
    ("with_sdpa", "(2 * M - 1) + z", "1 + z", "index_without_the_factor"),
    (
        "with_sdpa",
        ".repeat(B, 1, 1, 1)",
        ".repeat_interleave(B, 0)",
        "mask_windows_before_pictures",
    ),
    (
        "with_sdpa",
        "self.last_norm(x).mean((1, 2))",
        "self.last_norm(x.mean((1, 2)))",
        "norm_after_the_mean",
    ),
    (
        "with_sdpa",
        "p = self.attn_drop if self.training else 0.0",
        "p = self.attn_drop",
        "attention_dropout_in_evaluation",
    ),
    ("with_sdpa", 'no_weight_decay_keywords = {"tables"}', "", "tables_decay"),
    ("static_tokens", "attn = attn + bias[None]", "pass", "bias_unused"),
    (
        "static_tokens",
        "self.scale = (dim // num_heads) ** -0.5",
        "self.scale = dim ** -0.5",
        "scaled_by_embed_dim",
    ),
    (
        "static_tokens",
        "self.drop(self.fc2(self.drop(",
        "self.drop(self.fc2((",
        "mlp_dropped_behind_only",
    ),
]


@pytest.mark.parametrize(("name", "old", "new", "mistake"), ELSEWHERE, ids=lambda x: str(x)[:24])
def test_a_mistake_in_another_style_is_told_the_same(name, old, new, mistake):
    source = style(name)
    assert source.count(old) == 1, old
    found = examined(source.replace(old, new), **FITTING.get(name, {}))
    assert [f.mistake for f in found.findings] == [mistake], [f.says for f in found.findings]


# --- models that others wrote -------------------------------------------------------------------


def test_torchvisions_class():
    given = dict(patch_size=[4, 4], embed_dim=24, depths=[2, 2], num_heads=[3, 6])
    given |= dict(window_size=[5, 5], num_classes=7)
    builder = Builder(torchvision.models.swin_transformer.SwinTransformer, given)
    found = examine(builder, judged.SIZES)
    assert found.equal and found.largest < TOLERANCE / 4, str(found)
    assert "features.1.0.mlp.3 for layers.0.blocks.0.mlp.fc2" in found.took
    # What it does in its own way is said, and does not make it another model.
    assert "What patches do not fit it drops, where the reference pads." in found.remarks
    assert {f.about for f in found.findings} <= {"training"}
    # No dropout behind the embedding, and nothing that spares the tables from decay.
    assert {f.pattern for f in found.findings} == {"dropout", "decay"}


def test_swinlibs_own_class_by_name():
    report = work(Target("swinlib.model:SwinTransformer", sizes=SMALL_SIZES), print)
    assert report.right, str(report)


def test_a_class_that_takes_no_arguments_is_swin_t():
    class Fixed(SwinTransformer):
        def __init__(self):
            super().__init__(drop_path_rate=0.0)

    found = examine(Builder(Fixed), ((33, 57),))
    assert found.equal
    assert "drop_rate, attn_drop_rate, drop_path_rate: not looked at" in " ".join(found.remarks)


# --- parameters ---------------------------------------------------------------------------------


def test_missing_and_superfluous_parameters_are_named():
    source = ONE_PAGE.replace("self.norm2 = nn.LayerNorm(dim)", "self.norm2 = nn.Identity()")
    (finding,) = examined(source, SMALL_SIZES).findings
    assert "Missing: layers.0.blocks.0.norm2.weight, layers.0.blocks.0.norm2.bias" in finding.says
    assert "and 10 more" in finding.says
    source = ONE_PAGE.replace("nn.Linear(dim, num_classes)", "nn.Linear(dim, 3)")
    (finding,) = examined(source, SMALL_SIZES).findings
    assert "head.weight has the shape (3, 96), wanted (10, 96)." in finding.says


@pytest.mark.parametrize("bias", ["True", "False"])
@pytest.mark.parametrize("names", ["q k v", "to_a to_b to_c"])
def test_three_layers_for_one(names, bias):
    a, b, c = names.split()
    source = ONE_PAGE.replace(
        "self.qkv = nn.Linear(dim, 3 * dim)",
        f"self.{a}, self.{b}, self.{c} = (nn.Linear(dim, dim, bias={bias}) for _ in range(3))",
    ).replace("self.qkv(x)", f"torch.cat([self.{a}(x), self.{b}(x), self.{c}(x)], -1)")
    if a != "q":
        source = source.replace("norm1", "before").replace("fc1", "first")
    (finding,) = examined(source, SMALL_SIZES).findings
    assert finding.says == "q, k and v are three layers here; one joint layer qkv is wanted."
    assert finding.place == "layers.0.blocks.0.attn" and "lesson 07" in finding.reread


def test_what_is_missing_may_be_zero_to_go_on():
    changes = {m.name: m for m in MISTAKES}
    both = changes["table_missing"].changes + changes["no_mask"].changes
    found = examined(page_classes(both)["SwinTransformer"])
    assert [f.mistake for f in found.findings] == ["table_missing", "no_mask"]


def test_other_names_in_order():
    source = re.sub(r"\bfc([12])\b", r"layer\1", ONE_PAGE).replace("norm1", "before_attention")
    found = examined(source, SMALL_SIZES)
    assert found.right
    assert "layers.0.blocks.0.mlp.layer2 for layers.0.blocks.0.mlp.fc2" in found.took


# --- the process --------------------------------------------------------------------------------


@pytest.fixture
def judge_file(tmp_path):
    def run(source: str, **options) -> Report:
        path = tmp_path / "my_swin.py"
        path.write_text(source, encoding="utf-8")
        return judge(str(path), sizes=[(16, 12)], **options)

    return run


def test_a_file_is_judged_in_its_own_process(judge_file):
    found = judge_file("print('hello')\nprint('again')\n" + ONE_PAGE)
    assert found.right, str(found)
    assert found.seconds is not None
    assert found.remarks == ["It prints 2 lines, the first of them: hello"]


def test_a_file_may_print_what_the_console_cannot(judge_file, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")  # as Windows has it where output is a file
    found = judge_file("print('✓ ready')\n" + ONE_PAGE)
    assert found.right and "✓ ready" in found.remarks[0], str(found)


ERRORS = [
    ("def f(:", "Python cannot read it"),
    ("import nothing_of_this_name", "stops with ModuleNotFoundError"),
    ("1 / 0", "stops with ZeroDivisionError"),
    ("x = 1", "has no class SwinTransformer; it defines no nn.Module"),
    ("from torch import nn\nclass Swin(nn.Module): pass", "there are Swin"),
    ("class SwinTransformer: pass", "gives a SwinTransformer, not an nn.Module"),
    ("def SwinTransformer(**_): raise ValueError('no')", "No model could be made: it stops with"),
]


@pytest.mark.parametrize(("source", "says"), ERRORS)
def test_an_error_is_told_in_a_sentence(source, says):
    found = work(Target("my_swin.py", source=source), print)
    (finding,) = found.findings
    assert says in finding.says and "\n" not in finding.says
    assert not found.right and found.verdict == "Not yet the Swin Transformer."


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import sys; sys.exit(3)", "exit code 3), while the file is read"),
        pytest.param(
            "import os; os.kill(os.getpid(), 11)",
            "Python crashed (signal 11)",
            marks=pytest.mark.skipif(os.name != "posix", reason="no such signals"),
        ),
    ],
)
def test_an_end_of_the_process_is_told_in_a_sentence(judge_file, source, says):
    (finding,) = judge_file(source).findings
    assert says in finding.says and "\n" not in finding.says


def test_a_hang_is_told(judge_file):
    endless = ONE_PAGE.replace("x = self.pos_drop(self.patch_embed(x))", "while True: pass")
    found = judge_file(endless, time_limit=5)
    assert "did not finish within 5 seconds, in a forward pass at 16x12" in (found.findings[0].says)


@pytest.mark.skipif(os.name != "posix", reason="no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_worker_ends_with_whoever_waits_for_it(tmp_path, number):
    path, mine, folders = (tmp_path / name for name in ("my_swin.py", "pid", "folders"))
    folders.mkdir()
    path.write_text(
        f"import os\nopen({str(mine)!r}, 'w').write(str(os.getpid()))\nwhile True: pass\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "swinlib.lab.judge", str(path)]
    environment = os.environ | {"TMPDIR": str(folders)}
    parent = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert "while the file is read" in parent.stderr.readline()
    wait_for(lambda: mine.exists() and mine.read_text())
    worker = int(mine.read_text())
    parent.send_signal(number)
    assert parent.wait(300) == (143 if number == signal.SIGTERM else -number)
    wait_for(lambda: not is_running(worker))
    wait_for(lambda: not any(folders.iterdir()))
    parent.stderr.close()


def wait_for(fact, seconds=300):
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end
        time.sleep(0.1)


def is_running(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{number}/stat")  # one that nobody waits for is dead all the same
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


def test_no_such_file():
    assert "no file nowhere.py" in work(Target("nowhere.py"), print).findings[0].says
    assert "is no file: give my_swin.py" in work(Target("nowhere"), print).findings[0].says


def test_a_report_goes_through_json():
    mistake = next(m for m in MISTAKES if m.name == "scaled_by_embed_dim")
    report = examined(mistake.model, ((16, 12),))
    (finding,) = report.findings
    assert len(finding.map) == 4 and len(finding.map[0]) == 3  # tokens, of 16 x 12 pixels
    again = Report.from_dict(json.loads(json.dumps(report.as_dict())))
    assert str(again) == str(report)


# --- the command line ---------------------------------------------------------------------------


def test_command_line(tmp_path, capsys):
    path = tmp_path / "my_swin.py"
    path.write_text(ONE_PAGE.replace("class SwinTransformer(", "class Swin("), encoding="utf-8")
    arguments = [f"{path}:Swin", "embed_dim=12", "depths=[2]", "num_heads=[3]", "--sizes", "16x12"]
    assert main(arguments) == 0
    assert "✓ A Swin Transformer, equal" in capsys.readouterr().out
    assert main([str(path), "--sizes", "16x12"]) == 1
    assert "there are " in capsys.readouterr().out


@pytest.mark.parametrize("size", ["64", "64x", "64x0", "64x48x3", "-4x4", "axb"])
def test_sizes_are_two_numbers(size, capsys):
    with pytest.raises(SystemExit):
        main(["my_swin.py", f"--sizes={size}"])
    assert f"such as 64x48, got {size!r}" in capsys.readouterr().err


def test_what_the_reference_cannot_be_is_no_fault_of_the_file():
    options = dict(embed_dim=48, depths=[2, 2])  # and four numbers of heads
    (finding,) = work(Target("swinlib.onepage:SwinTransformer", options), print).findings
    assert finding.says.startswith("The official model cannot have these options: ")
    assert "num_heads" in finding.says and "The file" not in finding.says


def test_an_error_of_the_judges_own_is_no_fault_of_the_file():
    (finding,) = work(Target("swinlib.onepage:SwinTransformer", sizes=[(64,)]), print).findings
    assert finding.says.startswith("The examination stops with ")


@pytest.mark.parametrize("example", re.findall(r"swinlib.lab.judge (my_swin.*=.*)\n", EXAMPLES))
def test_the_helps_example_can_be_judged(example, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source = ONE_PAGE.replace("class SwinTransformer(", "class Swin(")
    Path("my_swin.py").write_text(source, encoding="utf-8")
    assert main([*shlex.split(example), "--sizes", "16x12"]) == 0


def test_brackets_are_quoted_for_every_shell():
    """zsh takes them for a pattern, and PowerShell the comma for a list."""
    texts = [EXAMPLES, *(Path(HERE.parent, name).read_text("utf-8") for name in PAGES)]
    commands = [line for text in texts for line in text.splitlines() if "lab.judge" in line]
    assert sum("=[" in line for line in commands) > 5
    for line in commands:
        assert not re.search(r'(?<!")\b\w+=\[', line), line
        assert not line.endswith("\\"), line


def test_arguments_are_read_as_python_reads_them():
    assert parse("depths=[2,2]") == ("depths", [2, 2])
    assert parse("norm=batch") == ("norm", "batch")
    with pytest.raises(ValueError, match="name=value"):
        parse("depths")
    with pytest.raises(SystemExit):
        main([])


# --- activations from elsewhere -----------------------------------------------------------------


def saved_by(model, file, tmp_path, **places) -> str:
    """What a port would save: here a port to PyTorch."""
    weights = {k[8:]: torch.tensor(file[k]) for k in file.files if k.startswith("weights/")}
    model.load_state_dict(weights, strict=False)
    arrays = {}
    for key in ("images/64x48", "images/33x57"):
        x = model.eval().patch_embed(torch.tensor(file[key]))
        size = key.removeprefix("images/")
        arrays[f"{size}/patch_embed"] = x.permute(0, 3, 1, 2)
        for i, layer in enumerate(model.layers):
            for j, block in enumerate(layer.blocks):
                x = block(x)
                arrays[f"{size}/layers.{i}.blocks.{j}"] = x.flatten(1, 2)
            x = layer.downsample(x) if layer.downsample else x
    path = tmp_path / "activations.npz"
    np.savez(path, **{key: value.detach().numpy() for key, value in arrays.items()})
    return str(path)


@pytest.mark.parametrize("name", ["", "rolled_the_other_way"])
def test_against_activations(name, tmp_path, capsys):
    options = ["embed_dim=24", "depths=[2,2]", "num_heads=[3,6]"]
    made = {m.name: m.model for m in MISTAKES}.get(name, onepage.SwinTransformer)
    assert main(["--export", str(tmp_path / "port.npz"), *options]) == 0
    assert "layers.0.downsample, layers.1.blocks.0" in capsys.readouterr().out
    model = made(embed_dim=24, depths=(2, 2), num_heads=(3, 6), num_classes=10)
    path = saved_by(model, np.load(tmp_path / "port.npz"), tmp_path)
    assert main(["--against", path, *options]) == (1 if name else 0)
    out = capsys.readouterr().out
    if name:
        assert "The map is rolled down and to the right" in out
    else:
        assert "Equal to the official one in all that was saved" in out
        assert "Nothing was saved of layers.0.downsample, norm, head." in out


def test_activations_of_nothing_known(tmp_path, capsys):
    for name in ("64x48/stem", "100x100/norm", "20/head", "head"):
        np.savez(tmp_path / "a.npz", **{"64x48/norm": np.zeros(3), name: np.zeros(3)})
        assert main(["--against", str(tmp_path / "a.npz")]) == 1
        out = capsys.readouterr().out.replace("\n  ", " ")
        assert f"'{name}' is no HxW/PLACE. Sizes are 224x224, " in out and "places head, " in out
    np.savez(tmp_path / "a.npz")
    assert main(["--against", str(tmp_path / "a.npz")]) == 1
    assert "The file holds nothing." in capsys.readouterr().out


def test_scores_alone_are_compared_too(tmp_path, capsys):
    options = ["embed_dim=24", "depths=[2,2]", "num_heads=[3,6]"]
    assert main(["--export", str(tmp_path / "port.npz"), *options]) == 0
    file = np.load(tmp_path / "port.npz")
    model = onepage.SwinTransformer(embed_dim=24, depths=(2, 2), num_heads=(3, 6), num_classes=10)
    weights = {k[8:]: torch.tensor(file[k]) for k in file.files if k.startswith("weights/")}
    model.load_state_dict(weights, strict=False)
    head = model.eval()(torch.tensor(file["images/20x24"])).detach().numpy()
    for scores, code, words in (
        (head, 0, "Equal to the official one in all that was saved"),
        (head[:, ::-1], 1, "Save the blocks too, to learn where it begins."),
    ):
        np.savez(tmp_path / "a.npz", **{"20x24/head": scores})
        capsys.readouterr()
        assert main(["--against", str(tmp_path / "a.npz"), *options]) == code
        assert words in capsys.readouterr().out.replace("\n  ", " ")


@pytest.mark.parametrize("flag", ["--export", "--against"])
def test_a_port_that_cannot_be_compared_is_told_so(flag, tmp_path, capsys):
    path, other = tmp_path / "a.npz", tmp_path / "b.npz"
    np.savez(path, **{"20x24/head": np.zeros((2, 10))})
    other.write_text("no arrays")
    for words, says in (
        ([str(tmp_path / "nowhere" / "a.npz")], "No such file"),
        ([str(path), "embed_dim=25"], "embed_dim"),
        ([str(path), "width=25"], "width"),
        *([([str(other)], "is no .npz file of numbers")] if flag == "--against" else []),
    ):
        with pytest.raises(SystemExit):
            main([flag, *words])
        assert says in capsys.readouterr().err


# --- parts --------------------------------------------------------------------------------------


def source_of(part: int) -> str:
    return HEADER + page_of(part)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_judged_among_the_pages_others(part):
    right = work(Target("cell", part=part, source=source_of(part), sizes=SMALL_SIZES), print)
    assert right.right, str(right)
    assert not right.remarks


def test_a_part_that_is_wrong_or_not_there():
    wrong = source_of(1).replace(
        "(0, 1, 3, 2, 4, 5).reshape(-1, M", "(0, 1, 2, 3, 4, 5).reshape(-1, M"
    )
    report = work(Target("cell", part=1, source=wrong, sizes=SMALL_SIZES), print)
    assert report.findings[0].mistake == "windows_not_cut_as_joined"
    report = work(Target("cell", part=2, source=wrong, sizes=SMALL_SIZES), print)
    assert "nothing of part 2 is written yet" in report.findings[0].says.lower()
    some = "import torch\n" + source_of(2).split("class WindowAttention")[0]
    report = work(Target("cell", part=2, source=some, sizes=SMALL_SIZES), print)
    assert report.right
    assert "Not written yet, and taken from the one-page model: WindowAttention." in report.remarks


def test_an_error_shows_the_learners_own_line_and_none_of_the_pages():
    wrong = source_of(2).replace("N, C = x.shape", "N, C, D = x.shape")
    report = work(Target("sitting 2", part=2, source=wrong, sizes=SMALL_SIZES), print)
    (finding,) = report.findings
    assert finding.mistake == "" and "at `B, N, C, D = x.shape" in finding.says
    # (B, L, C) is right for the embedding, and not what the next part takes.
    tokens = source_of(1).replace(".permute(0, 2, 3, 1))", ".flatten(2).transpose(1, 2))", 1)
    report = work(Target("sitting 1", part=1, source=tokens, sizes=SMALL_SIZES), print)
    (finding,) = report.findings
    assert finding.mistake == "" and finding.place == "layers.0.blocks.0"
    assert "expected 4, got 3" in finding.says and "at `" not in finding.says


def test_a_sitting_is_told_of_nothing_that_is_not_written_there():
    fits = source_of(1).replace("-W % M, 0, -H % M", "M - W % M, 0, M - H % M")
    report = work(Target("cell", part=1, source=fits), print)
    (finding,) = report.findings
    assert finding.mistake == "map_padded_where_it_fits" and "lesson 03" in finding.reread
    strange = source_of(1).replace("-W % M, 0, -H % M", "-W % M + (W % M == 0) * M, 0, -H % M")
    (finding,) = work(Target("cell", part=1, source=strange, sizes=[(224, 224)]), print).findings
    assert finding.mistake == "" and finding.place == "layers.0.blocks.1"
    assert "Look at the mask" not in finding.says and "do with the shift" not in finding.says
    assert "Yours here: PatchEmbed, pad_to_windows, window_" in finding.says
    assert "lesson 03" in finding.reread


def test_padding_that_only_a_shifted_block_minds_is_the_masks_matter():
    old = "mask = shifted_window_mask(padded_H, padded_W, M, (sh, sw)) if sh or sw else None"
    new = (
        "rows, columns = torch.zeros(H, 1), torch.zeros(1, W)\n"
        "        for n, s, of in ((H, sh, rows), (W, sw, columns.T)):\n"
        "            of[max(n - M, 0) :] += 1 if s else 0\n"
        "            of[n - s :] += 1 if s else 0\n"
        "        ids = pad_to_windows((3 * rows + columns)[None, ..., None], M)\n"
        "        ids = window_partition(ids, M)\n"
        "        mask = (ids != ids.transpose(1, 2)) * -100.0 if sh or sw else None"
    )
    model = page_classes(((old, new),))["SwinTransformer"]
    (finding,) = examined(model, ((80, 80), (48, 36))).findings
    assert finding.place == "layers.0.blocks.1" and finding.mistake == ""
    assert (
        "Look at the mask, and at the size of map" in finding.says
        and "what is padded" not in finding.says
    )


def test_another_parts_mistake_does_not_count():
    wrong = source_of(1) + source_of(4).replace(".mean(dim=(1, 2))", ".sum(dim=(1, 2))")
    assert work(Target("cell", part=1, source=wrong, sizes=SMALL_SIZES), print).right


def test_what_is_imported_is_not_written():
    source = "from swinlib.onepage import *"
    report = work(Target("cell", part=3, source=source, sizes=SMALL_SIZES), print)
    assert "nothing of part 3" in report.findings[0].says.lower()


# --- the sittings of notebook 09 ----------------------------------------------------------------

NOTEBOOK = HERE.parent / "notebooks" / "09_from_an_empty_file.ipynb"


def test_a_sitting_that_was_not_begun(capsys, monkeypatch):
    sittings = Sittings()
    sittings.sit(2, "# nothing yet\n...\n")
    assert "sitting 2: not written yet, so the one-page model stands in" in capsys.readouterr().out
    monkeypatch.setenv("SWINLIB_EXERCISES", "strict")
    with pytest.raises(AssertionError, match="not written yet"):
        sittings.sit(2, "...")
    with pytest.raises(AssertionError, match="1, 2, 3, 4"):
        sittings.whole()


def test_sittings_make_a_file(capsys, monkeypatch, tmp_path):
    """Right parts are kept, a wrong one is not, and four of them are a file."""

    def judge_here(what, part=0, source=None):
        if source is None:
            source = Path(what).read_text(encoding="utf-8")
        return work(Target(what, part=part, source=source, sizes=SMALL_SIZES), print)

    monkeypatch.setattr("swinlib.lab.judge.sittings.judge", judge_here)
    sittings = Sittings()
    for part in PARTS:
        sittings.sit(part, page_of(part))
    out = capsys.readouterr().out
    assert all(praise(part) in out for part in PARTS)
    report = sittings.whole(tmp_path / "my_swin.py")
    assert report.right, str(report)
    assert (tmp_path / "my_swin.py").read_text(encoding="utf-8").startswith(HEADER)

    sittings.sit(
        1, page_of(1).replace("0, 1, 3, 2, 4, 5).reshape(-1, M", "0, 1, 2, 3, 4, 5).reshape(-1, M")
    )
    assert sorted(sittings.right) == [2, 3, 4]
    assert "`hint(1)` helps you on." in capsys.readouterr().out
    assert "… Still to write: sitting 1." in str(sittings.whole(tmp_path / "other.py"))
    assert not (tmp_path / "other.py").exists()


def test_nothing_written_is_not_right():
    says = str(Sittings().whole())
    assert "… Nothing has been written yet." in says and "✓" not in says and "✗" not in says


def test_a_file_of_the_learners_is_not_overwritten(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("swinlib.lab.judge.sittings.judge", Report)
    path, sittings = tmp_path / "my_swin.py", Sittings()
    path.write_text("mine", encoding="utf-8")
    sittings.right = {part: f"# {part}" for part in PARTS}
    for _ in range(2):  # the same contents once more are no second file
        assert sittings.whole(path).name == str(tmp_path / "my_swin-1.py")
        assert "stays as it is; yours is in" in capsys.readouterr().out
    sittings.right[1] = "# better"  # what was written from here may be written again
    assert sittings.whole(path).name == str(tmp_path / "my_swin-1.py")
    assert "# better" in (tmp_path / "my_swin-1.py").read_text(encoding="utf-8")
    sittings = Sittings()  # another day: who wrote the file is not known any more
    sittings.right = {part: f"# {part}" for part in PARTS}
    assert sittings.whole(path).name == str(tmp_path / "my_swin-2.py")
    assert "# better" in (tmp_path / "my_swin-1.py").read_text(encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "mine"
    assert len(list(tmp_path.iterdir())) == 3


def test_hints_come_one_by_one(capsys):
    sittings = Sittings()
    sittings.hint(1)
    assert capsys.readouterr().out.startswith("1. Padding")
    for _ in HINTS[1]:
        sittings.hint(1)
    assert "That is all there is." in capsys.readouterr().out
    with pytest.raises(ValueError, match="part must be one of 1 to 4, got 5"):
        sittings.hint(5)


def test_neither_hints_nor_the_notebook_give_a_line_away():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    told = " ".join([*(cell.source for cell in cells), *sum(HINTS.values(), ())])
    code = [line.strip() for part in PARTS for line in page_of(part).splitlines()]
    signatures = ("class ", "def ", '"""', "super()")
    for line in code:
        if len(line) > 20 and not line.startswith(signatures):
            assert line not in told, line


def test_the_notebook_asks_for_all_parts():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    stubs = [cell for cell in cells if "exercise" in cell.metadata.get("tags", [])]
    assert [cell.source.splitlines()[0] for cell in stubs] == [f"%%sitting {n}" for n in PARTS]
    for part, cell in zip(PARTS, stubs, strict=True):
        assert f"sitting {part}: not written yet" in cell.outputs[0].text, "stored unanswered"
        task = cells[cells.index(cell) - 1].source
        assert all(f"`{name}(" in task for name in PARTS[part])
        solve(cell)
        assert page_of(part) in cell.source
        assert cell.outputs[0].text == praise(part) + "\n"


def test_what_the_tables_say_can_be_called():
    """Also where it is the stand-in that gets called."""
    values = dict(patch_size=4, in_chans=3, embed_dim=8, M=4, H=8, W=8, shift=(2, 0), dim=8)
    values |= dict(window_size=4, num_heads=2, attn_drop=0.0, proj_drop=0.0, hidden=16, drop=0.0)
    values |= dict(shift_size=2, drop_path=0.0, mlp_ratio=4.0, drop_path_rates=[0.0, 0.1])
    values |= dict(last=False, drop_prob=0.1, x=torch.zeros(2, 8, 8, 8))
    values |= dict(windows=torch.zeros(8, 16, 8))
    text = "\n".join(c.source for c in nbformat.read(NOTEBOOK, as_version=4).cells)
    called = set()
    for name, written in re.findall(r"^\| `(\w+)\(([\w, *]+)\)` \|", text, re.MULTILINE):
        before, _, behind = (written + ", ").partition("*, ")
        positional = [values[word] for word in before.split(", ") if word]
        page_classes()[name](*positional, **{w: values[w] for w in behind.split(", ") if w})
        called.add(name)
    assert called == {n for names in PARTS.values() for n in names} - {"SwinTransformer"}


def test_the_parts_are_the_page():
    defined = re.findall(r"^(?:class|def) (\w+)", ONE_PAGE, re.MULTILINE)
    assert sorted(defined) == sorted(name for names in PARTS.values() for name in names)


# --- patterns and pictures ----------------------------------------------------------------------


def test_where_seams_and_padding_lie():
    place = next(p for p in places_of((2,)) if p.shifted)
    seam = seam_tokens(8, 12, place, (4, 4))
    wanted = torch.zeros(8, 12, dtype=torch.bool)
    wanted[:2], wanted[-2:], wanted[:, :2], wanted[:, -2:] = True, True, True, True
    assert torch.equal(seam, wanted)
    assert not seam_tokens(4, 4, place, (4, 4)).any()
    unshifted = places_of((2,))[1]
    padding = padding_tokens(6, 8, unshifted, (4, 4))
    assert padding[4:].all() and not padding[:4].any()
    # Rolled by 2, rows 6 and 7 of padding share a window with rows 0, 1 and with none of 2 to 5.
    moved = padding_tokens(6, 8, place, (4, 4))
    assert moved[:2].all() and not moved[2:].any()


def test_patterns():
    wanted, place = torch.randn(2, 8, 8, 6), places_of((2,))[2]

    def name(got):
        return pattern_of(got, wanted, place, (4, 4)).name

    some = wanted.clone()
    some[:, 3:5, 3:5] += 1
    channels = wanted.clone()
    channels[..., 2:] += 1
    assert name(wanted * 1.7) == "factor"
    assert name(wanted.transpose(1, 2)) == "transposed"
    assert name(wanted.roll((2, -1), (1, 2))) == "rolled"
    assert name(wanted.flip(1)) == "places"
    assert name(wanted[..., [1, 0, 2, 3, 5, 4]]) == "channels"
    assert name(some) == "some"
    assert name(channels) == "some channels"
    assert name(wanted + torch.randn_like(wanted)) == "all"
    assert name(wanted / 0) == "nan"


def test_in_a_notebook_the_sentence_stands_below_the_map(capsys, monkeypatch):
    model = next(m for m in MISTAKES if m.name == "no_mask").model
    report = examined(model, ((80, 80),))
    monkeypatch.setattr("IPython.display.display", lambda image: print("MAP"))
    report.show()
    above, below = capsys.readouterr().out.split("MAP")
    assert "80x80" in above and "There is no mask" not in above
    assert "There is no mask" in below and "Not yet" in below and "#" not in below
    assert "There is no mask" in str(report) and "#" in str(report)


def test_layouts_are_told_apart():
    for shape in [(2, 3, 5, 7), (2, 3, 4, 12), (2, 6, 6, 6), (2, 2, 2, 2)]:
        wanted = torch.randn(shape)
        tokens = wanted.flatten(1, 2)
        for got in (wanted, wanted.permute(0, 3, 1, 2), tokens, tokens.mT, tokens.transpose(0, 1)):
            assert compare([got], wanted).equal
    wanted = torch.randn(2, 3, 5, 7)
    assert "wanted (2, 3, 5, 7)" in compare([wanted[:, :2]], wanted).says


def test_the_picture_of_the_map():
    mistake = next(m for m in MISTAKES if m.name == "no_mask")
    (finding,) = examined(mistake.model, ((80, 80),)).findings
    assert finding.pattern == "seam"
    assert (finding.window, finding.shift) == ((5, 5), (2, 2))
    assert walls(finding) == ([2, 7, 12, 17], [2, 7, 12, 17])
    drawing = difference_map(finding)
    assert "moved windows" in drawing.caption and "175 of 400 tokens differ" in drawing.caption
    svg = drawing.svg()
    assert "layers.0.blocks.1" in svg and svg.count("<rect") > 8
    assert drawing.png(1.0).startswith(b"\x89PNG")
    letters = finding.letters()
    assert letters[0].count("#") == 20 and letters[3].count("|") == 4
    assert sum(line.startswith("--") for line in letters) == 4
