"""swinlib.training.pictures and .folders: every kind of file that people have, as real files."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from training_runs import TINY, outcome, run

from swinlib.training import folders as folders_module
from swinlib.training import pictures as pictures_module
from swinlib.training import stream as stream_module
from swinlib.training.checkpoint import CheckpointError
from swinlib.training.data import DatasetError, draw_shapes, load_dataset
from swinlib.training.lock import locked
from swinlib.training.pictures import read_picture, usable_processors

CONFIG = TINY.replace(val_size=2)
POSIX = pytest.mark.skipif(os.name != "posix", reason="Windows has no such files, or not for all")


def folder_of(root, count=6, size=(8, 8)):
    """train and test, two classes, PNGs whose brightness is their number."""
    for split in ("train", "test"):
        for c, name in enumerate(("cat", "dog")):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", size, (10 * i + c,) * 3).save(root / split / name / f"{i}.png")
    return root


@pytest.fixture
def folder(tmp_path):
    return folder_of(tmp_path / "pets")


def load(folder, **changes):
    return load_dataset(folder.parent, str(folder), config=CONFIG.replace(**changes))


def brightness(data):
    """Of all pictures that are no test pictures."""
    return sorted(torch.cat([data.train_images, data.val_images])[:, 0, 0, 0].tolist())


# ---------------------------------------------------------------------------------- one picture


def rgb(path):
    return np.asarray(read_picture(path))


def test_grey_of_16_bits(tmp_path):
    values = np.array([[0, 255, 256, 65535]], np.uint16)
    for name in ("grey.png", "grey.tif", "grey.pgm"):
        Image.fromarray(values).save(tmp_path / name)
        assert rgb(tmp_path / name).tolist() == [[[v] * 3 for v in (0, 1, 1, 255)]], name
    Image.fromarray(values.astype(np.int32)).save(tmp_path / "whole.tif")
    assert rgb(tmp_path / "whole.tif")[0, :, 1].tolist() == [0, 1, 1, 255]
    for wrong in (values.astype(np.int32) * 2, -values.astype(np.int32), values / np.float32(2)):
        Image.fromarray(wrong).save(tmp_path / "wrong.tif")
        with pytest.raises(DatasetError, match="wrong.tif cannot be read .*wanted 8 or 16 bits"):
            read_picture(tmp_path / "wrong.tif")


KINDS = {
    "a.png": ("L", "RGB", "I;16"), "a.jpg": ("L", "RGB"), "a.webp": ("RGB",),
    "a.tif": ("L", "RGB", "I;16"), "lzw.tif": ("L", "RGB", "I;16"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "mode"), [(n, mode) for n in KINDS for mode in KINDS[n]])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation, name, mode):
    """The picture as its photographer saw it, whichever way the camera was held. TIFFs are turned
    by Pillow, and must not be turned again."""
    upright = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    # What lies in the file, so that turning it as EXIF says gives the upright one.
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.T, 6: np.rot90(upright), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(np.ascontiguousarray(stored.astype(np.uint16) * 257))
    if mode != "I;16":
        picture = Image.fromarray(np.ascontiguousarray(stored)).convert(mode)
    kind = {"a.jpg": {"quality": 100}, "a.webp": {"lossless": True},
            "lzw.tif": {"compression": "tiff_lzw"}}.get(name, {})  # fmt: skip
    picture.save(tmp_path / name, exif=exif, **kind)
    got = rgb(tmp_path / name)[:, :, 0].astype(int)
    assert got.shape == upright.shape and abs(got - upright).max() <= 3 * (name == "a.jpg")


def test_damaged_exif_hides_no_orientation(tmp_path):
    """One byte at a time; Pillow's own exif_transpose fails at some of them."""
    exif, file, failures = Image.Exif(), tmp_path / "a.jpg", 0
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "maker", 72.0
    Image.new("RGB", (6, 4)).save(file, exif=exif)
    whole = file.read_bytes()
    begin, end = whole.index(b"Exif\0\0") + 6, whole.index(b"maker")
    for place in range(begin, end):
        for value in (0, 2, 5, 255):
            file.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                shape = rgb(file).shape
                with Image.open(file) as picture:
                    known = picture.getexif().get(0x0112) == 6
                    try:
                        ImageOps.exif_transpose(picture)
                    except Exception:
                        failures += known
            assert shape == (6, 4, 3) if known else shape in ((4, 6, 3), (6, 4, 3))
    assert failures


def test_other_kinds_of_pixels(tmp_path):
    Image.new("L", (2, 1), 7).save(tmp_path / "L.png")
    Image.new("1", (2, 1), 1).save(tmp_path / "1.png")
    Image.new("RGBA", (2, 1), (7, 7, 7, 255)).save(tmp_path / "RGBA.png")
    Image.new("RGB", (2, 1), (7, 7, 7)).quantize().save(tmp_path / "P.gif")
    Image.new("CMYK", (2, 1), (0, 0, 0, 0)).save(tmp_path / "CMYK.jpg")
    seen = {file.stem: rgb(file)[0, 0].tolist() for file in tmp_path.iterdir()}
    assert seen == {m: [7] * 3 for m in ("L", "RGBA", "P")} | {m: [255] * 3 for m in ("1", "CMYK")}


def test_more_pixels_than_pillow_takes_for_harmless(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 31)  # it refuses from twice as many on
    with pytest.raises(DatasetError, match="cat/0.png is larger than .*MAX_IMAGE_PIXELS"):
        load(folder)


def test_no_other_program_is_started(folder):
    """Pillow hands EPS to Ghostscript, whatever the file is called."""
    (folder / "train" / "cat" / "0.png").write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    )
    with pytest.raises(DatasetError, match=r"cat/0.png cannot be .*\(of no kind that Pillow knows"):
        load(folder)


# ------------------------------------------------------------------------------------- a folder


def test_other_kinds_of_files_are_read_too(folder):
    kinds = ["webp", "gif", "tif", "bmp", "TIFF", "ppm", "jpeg"]
    for i, kind in enumerate(kinds):
        picture = Image.new("RGB", (8, 8), (200 + i,) * 3)
        picture.save(folder / "train" / "dog" / f"more.{kind}", lossless=True, quality=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen = brightness(load(folder))
    assert len(seen) == 12 + len(kinds) and seen[-len(kinds) :] == list(range(200, 207))


def test_what_is_no_picture_is_left_out_with_a_word(folder):
    for name in ("._1.png", ".DS_Store", "Thumbs.db", "desktop.ini"):  # macOS, Windows
        (folder / "train" / "cat" / name).write_bytes(b"\0\5\x16\7")
    (folder / "train" / ".ipynb_checkpoints").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = brightness(load(folder))
    (folder / "train" / "cat" / "boxes.txt").write_text("1 2 3 4")
    (folder / "train" / "labels.csv").write_text("a,b")
    (folder / "test" / "dog" / "more").mkdir()
    with pytest.warns(
        UserWarning,
        match="left out 3 that are no pictures .* such as .*(boxes.txt|more|labels.csv)$",
    ):
        assert brightness(load(folder)) == before


@POSIX
@pytest.mark.parametrize("kind", ["broken", "looping"])
@pytest.mark.parametrize("place", ["train/cat/link.png", "test/fox"])
def test_links_that_lead_nowhere(folder, kind, place):
    link = folder / place
    link.symlink_to(link if kind == "looping" else "gone.png")
    with pytest.raises(DatasetError, match=f"{place} is a link that leads nowhere"):
        load(folder)


@POSIX
def test_links_that_lead_somewhere_are_followed(folder, tmp_path):
    (folder / "train" / "cat" / "0.png").rename(tmp_path / "elsewhere.png")
    (folder / "train" / "cat" / "0.png").symlink_to(tmp_path / "elsewhere.png")
    (folder / "test").rename(tmp_path / "other disk")
    (folder / "test").symlink_to(tmp_path / "other disk")
    assert len(load(folder).train_labels) == 10


@POSIX
def test_what_is_named_like_a_picture_and_is_no_file(folder):
    os.mkfifo(folder / "train" / "cat" / "pipe.png")  # whoever opens it waits for ever
    with pytest.raises(DatasetError, match="cat/pipe.png is no file"):
        load(folder)
    (folder / "train" / "cat" / "pipe.png").unlink()
    (folder / "train" / "cat" / "album.png").mkdir()
    with pytest.raises(DatasetError, match="cat/album.png is no file"):
        load(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="only there a name is any bytes")
def test_names_that_are_not_utf_8(folder, tmp_path):
    odd = os.fsdecode("gr\u00fcn".encode("latin-1"))
    (folder / "train" / "cat" / "0.png").rename(folder / "train" / "cat" / f"{odd}.png")
    for stream in (False, True):
        data = load(folder, stream=stream, image_size=8)
        assert len(data.train_labels) == 10
    folder = folder.rename(tmp_path / odd)
    data = load(folder)
    assert data.label.encode() == "image folder gr\ufffdn".encode()
    (folder / "train" / "cat" / f"{odd}.png").write_bytes(b"")
    with pytest.raises(DatasetError, match="gr\ufffdn.png cannot be read") as error:
        load(folder)
    str(error.value).encode()
    (folder / "train" / "cat").rename(folder / "train" / odd)
    with pytest.raises(DatasetError, match="train/gr\ufffdn names a class, wanted a name in UTF-8"):
        load(folder)


# ------------------------------------------------------------------------------------ the cache


def cached(folder):
    return sorted(f for f in (folder.parent / "cache").iterdir())


def test_one_cache_for_a_folder_however_often_it_is_touched(folder):
    load(folder)
    (first,) = cached(folder)
    for turn in range(3):
        Image.new("RGB", (8, 8), (100 + turn,) * 3).save(folder / "train" / "cat" / "0.png")
        assert 100 + turn in brightness(load(folder))
        assert cached(folder) == [first]
    load(folder, image_size=4)
    assert len(cached(folder)) == 2  # another size is another set of pictures
    other = folder_of(folder.parent / "deeper" / "pets")
    load_dataset(folder.parent, str(other), config=CONFIG)
    assert len(cached(folder)) == 3  # and so is another folder of that name


def test_a_flipped_bit_in_the_cache_is_noticed(folder, monkeypatch):
    before = brightness(load(folder))
    (file,) = cached(folder)
    whole = file.read_bytes()
    file.write_bytes(whole[:-5] + bytes([whole[-5] ^ 64]) + whole[-4:])
    assert brightness(load(folder)) == before
    monkeypatch.setattr(folders_module, "_decode", None)
    assert brightness(load(folder)) == before  # it was written anew


def test_another_process_at_the_cache_and_what_it_left(folder, monkeypatch):
    load(folder)
    (file,) = cached(folder)
    file.unlink()
    file.with_name(file.name + ".part").write_bytes(b"half")  # of one that was killed
    with locked(file):
        load(folder)
        assert not file.exists()
    load(folder)
    assert cached(folder) == [file]


MEASURE = """
import sys
from swinlib.training import TrainConfig, load_dataset
import numpy, PIL.Image, torchvision.transforms.v2, safetensors.torch
def memory(kind):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind))
before = memory("VmRSS:")
load_dataset(sys.argv[1], sys.argv[1] + "/pets", config=TrainConfig(val_size=50))
print(memory("VmHWM:") - before)  # the most that it ever was
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's account of memory")
def test_the_limit_counts_what_reading_takes(tmp_path, report):
    """Measured: the largest memory of a process that reads a folder, with and without a cache."""
    folder = folder_of(tmp_path / "pets", count=100, size=(256, 256))
    pictures = 400 * 3 * 256 * 256  # bytes
    for how in ("decoded", "from the cache"):
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        copies = int(done.stdout) / pictures
        report(f"pictures {how} take {copies:.2f} times their size in memory")
        assert 1 < copies < pictures_module.COPIES + 0.3
    assert len(cached(folder)) == 1


def test_too_much_for_memory_is_told_before(folder, monkeypatch):
    monkeypatch.setattr(pictures_module, "MEMORY_LIMIT", 2 * 24 * 3 * 8 * 8 - 1)
    with pytest.raises(DatasetError, match="24 pictures of 8x8 pixels take.*or stream=True"):
        load(folder)
    monkeypatch.setattr(pictures_module, "MEMORY_LIMIT", 2 * 24 * 3 * 8 * 8)
    load(folder)


# -------------------------------------------------------------------------- sizes and processors


def test_shapes_are_drawn_at_the_size_that_is_asked_for(tmp_path, monkeypatch):
    sizes = []

    def draw(count, seed, size):
        sizes.append((count, size))
        return draw_shapes(30, seed, size)

    monkeypatch.setattr("swinlib.training.data.draw_shapes", draw)
    data = load_dataset(tmp_path, "shapes", config=CONFIG.replace(image_size=64))
    assert data.train_images.shape[1:] == data.test_images.shape[1:] == (3, 64, 64)
    assert sizes == [(15_000, 64), (2_000, 64)]
    with pytest.raises(DatasetError, match="generated shapes .*stream=True is for folders"):
        load_dataset(tmp_path, "shapes", config=CONFIG.replace(image_size=64, stream=True))


def test_processors_that_may_not_be_used_are_not_counted(monkeypatch):
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no affinity here")
    mine = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(mine)})
        assert usable_processors() == 1
    finally:
        os.sched_setaffinity(0, mine)
    assert usable_processors() == len(mine)


@pytest.fixture
def streamed(tmp_path):
    folder = folder_of(tmp_path / "pets", count=12)
    config = TINY.replace(
        val_size=6, image_size=8, stream=True, batch_size=4, epochs=2, patch_size=1,
        crop_padding=0, ema_decay=0, drop_path_rate=0,
    )  # fmt: skip
    return folder, config


def read_all(folder, config):
    return load_dataset(folder.parent, str(folder), config=config)


@pytest.mark.parametrize(("workers", "processes"), [(0, 0), (1, 1), (3, 3), (None, 2)])
def test_the_number_of_workers(streamed, monkeypatch, workers, processes):
    counts, real = [], stream_module.DataLoader

    def loader(*args, **options):
        counts.append(options["num_workers"])
        return real(*args, **options | {"num_workers": 0})

    monkeypatch.setattr(stream_module, "DataLoader", loader)
    monkeypatch.setattr(stream_module, "usable_processors", lambda: 2)
    monkeypatch.setattr(stream_module, "FEW", 0)  # a handful is read without processes
    folder, config = streamed
    data = read_all(folder, config.replace(workers=workers))
    monkeypatch.setattr(torch.multiprocessing, "get_start_method", lambda **_: "fork")
    counts.clear()
    list(data.test_images.split(4))
    assert counts == [processes]
    monkeypatch.setattr(torch.multiprocessing, "get_start_method", lambda **_: "spawn")
    counts.clear()
    list(data.test_images.split(4))
    assert counts == [workers or 0]  # 24 pictures are read before a process has loaded torch


def test_a_run_may_go_on_with_other_workers(streamed, tmp_path):
    folder, config = streamed

    def stop(state):
        if state["step"] == 5:
            raise InterruptedError

    expected = outcome(run(config, read_all(folder, config.replace(workers=0))))
    with pytest.raises(InterruptedError):
        run(config, read_all(folder, config), checkpoints=tmp_path / "c", on_step=stop)
    config = config.replace(workers=0)
    assert outcome(run(config, read_all(folder, config), checkpoints=tmp_path / "c")) == expected


def test_little_shared_memory(streamed, monkeypatch):
    """64 MB is what a container has, where nobody asked for more."""
    folder, config = streamed
    data = read_all(folder, config.replace(workers=0))
    batch = 4 * 3 * 8 * 8  # bytes
    for free, fitting in ((0, 0), (3 * batch, 0), (4 * batch, 1), (7 * batch, 2), (8 * batch, 3)):
        monkeypatch.setattr(stream_module, "_free_shared_memory", lambda free=free: free)
        data.test_images.workers = 3
        counts, real = [], stream_module.DataLoader

        def loader(*args, counts=counts, real=real, **options):
            counts.append(options["num_workers"])
            return real(*args, **options | {"num_workers": 0})

        with monkeypatch.context() as patch:
            patch.setattr(stream_module, "DataLoader", loader)
            if fitting < 3:
                with pytest.warns(UserWarning, match=f"for {fitting} of 3 processes.*--shm-size"):
                    pictures = torch.cat(list(data.test_images.split(4)))
            else:
                pictures = torch.cat(list(data.test_images.split(4)))
        assert counts == [fitting] and len(pictures) == 24
    if os.path.isdir("/dev/shm"):
        monkeypatch.undo()
        told = os.statvfs("/dev/shm")
        assert 0 < stream_module._free_shared_memory() <= told.f_blocks * told.f_frsize


def die(file):
    os.kill(os.getpid(), 7)  # SIGBUS on Linux


@POSIX
def test_workers_that_are_killed(streamed):
    """As with 64 MB of shared memory in a container: the system kills them."""
    folder, config = streamed
    data = read_all(folder, config.replace(workers=1))
    data.test_images.read = die
    with pytest.raises(DatasetError, match="ended .DataLoader worker .*--shm-size=8g.*workers=0"):
        list(data.test_images.split(4))


def test_a_bad_picture_is_named_without_a_traceback(streamed):
    folder, config = streamed
    (folder / "test" / "dog" / "3.png").write_bytes(b"")
    for workers in (0, 1):
        data = read_all(folder, config.replace(workers=workers))
        with pytest.raises(DatasetError, match="test/dog/3.png cannot be read") as error:
            list(data.test_images.split(4))
        assert "Traceback" not in str(error.value)


# ----------------------------------------------------- a run whose folder loses a picture or two


@pytest.mark.parametrize("loses", ["training", "validation", "test"])
def test_a_bad_picture_removed_does_not_lose_the_run(streamed, tmp_path, monkeypatch, loses):
    folder, config = streamed
    config = config.replace(workers=0)
    data, places = read_all(folder, config), {"checkpoints": tmp_path / "c"}
    images = {"training": "train", "validation": "val", "test": "test"}[loses]
    bad = getattr(data, f"{images}_images").files[5 if loses == "training" else 2]

    def damage(state):
        if state["step"] == 2:
            bad.write_bytes(b"")

    with pytest.raises(DatasetError, match=f"{bad.name} cannot be read.*or remove it"):
        run(config, data, on_step=damage, **places)
    bad.unlink()
    for name in ("100.png", "101.png"):  # new ones do not get between the splits
        Image.new("RGB", (8, 8)).save(folder / "train" / "cat" / name)
    seen = []
    real = stream_module.PictureFiles._load

    def spy(self, batches):
        seen.extend(self.files[i] for batch in batches for i, _ in batch)
        return real(self, batches)

    smaller = read_all(folder, config)
    monkeypatch.setattr(stream_module.PictureFiles, "_load", spy)
    with pytest.warns(UserWarning, match="1 pictures are gone, 2 new ones are not used"):
        result = run(config, smaller, **places)
    assert len(result.history) == 2 and (result.mean, result.std) == (data.mean, data.std)
    assert len(result.test_predictions) == len(data.test_labels) - (loses == "test")
    assert bad not in seen and not {f.name for f in seen} & {"100.png", "101.png"}
    # Every picture is still where it was: none of the validation pictures is trained on.
    begun = {
        split: [f for f in getattr(data, f"{split}_images").files if f != bad]
        for split in ("train", "val", "test")
    }
    assert set(seen) <= set(sum(begun.values(), []))
    trained = [f for f in seen if f in begun["train"]]
    if loses != "test":  # else all epochs were done
        # An epoch is four whole batches of 18; where in one the run stopped, the order decides,
        # which is another in another version of torch.
        last = trained[-16:]
        assert len(last) == len(set(last)) and len(trained) % 4 == 0 and last
        assert [f for f in seen if f in begun["val"]][-len(begun["val"]) :] == begun["val"]
    assert [f for f in seen if f in begun["test"]] == begun["test"]


def test_new_pictures_alone_change_nothing(streamed, tmp_path):
    folder, config = streamed
    config = config.replace(workers=0)
    expected = outcome(run(config, read_all(folder, config)))

    def stop(state):
        if state["step"] == 6:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run(config, read_all(folder, config), checkpoints=tmp_path / "c", on_step=stop)
    Image.new("RGB", (8, 8)).save(folder / "train" / "cat" / "100.png")
    with pytest.warns(UserWarning, match="0 pictures are gone, 1 new ones.* The run goes on.$"):
        assert (
            outcome(run(config, read_all(folder, config), checkpoints=tmp_path / "c")) == expected
        )


def test_another_folder_is_another_run(streamed, tmp_path):
    folder, config = streamed
    config = config.replace(workers=0, epochs=1)
    run(config, read_all(folder, config), checkpoints=tmp_path / "c")
    for i in range(6):
        (folder / "train" / "cat" / f"{i}.png").unlink()
    with pytest.raises(CheckpointError, match="is of another run: 6 of its 48 pictures are not in"):
        run(config, read_all(folder, config), checkpoints=tmp_path / "c")
