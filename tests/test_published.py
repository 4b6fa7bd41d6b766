"""Published checkpoints: the list, and a download that is checked, with nobody asked."""

import dataclasses
import hashlib
import io
import os
import urllib.error
from email.message import Message
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torchvision.models import swin_transformer as torchvision_swin

import swinlib
from swinlib import SwinTransformer, export_state_dict, published

SMALL = {"embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2)}


class Answer(io.BytesIO):
    def __init__(self, data, told=None):
        super().__init__(data)
        self.headers = Message()
        self.headers["Content-Length"] = str(len(data) if told is None else told)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A small checkpoint under two names, one with its hash, and how often it was asked for."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    torch.manual_seed(3)
    model, file = SwinTransformer(num_classes=1000, **SMALL), io.BytesIO()
    torch.save(export_state_dict(model, "torchvision"), file)
    data = file.getvalue()
    digits = hashlib.sha256(data).hexdigest()[:8]
    base = published.CHECKPOINTS["swin_tiny_torchvision"]
    hashed = dataclasses.replace(base, name="hashed", url=f"https://example.org/m-{digits}.pth")
    plain = dataclasses.replace(base, name="plain", url="https://example.org/plain.pth")
    monkeypatch.setitem(published.CHECKPOINTS, "hashed", hashed)
    monkeypatch.setitem(published.CHECKPOINTS, "plain", plain)
    asked = []

    def answer(url, timeout):
        asked.append(url)
        return Answer(data)

    monkeypatch.setattr(published.urllib.request, "urlopen", answer)
    return {"model": model.eval(), "data": data, "asked": asked, "set": monkeypatch.setattr}


def build(**arguments):
    return SwinTransformer(**SMALL, **arguments)


@pytest.mark.parametrize("name", ["hashed", "plain"])
def test_downloaded_once_and_loaded(shelf, name):
    checkpoint, x = published.CHECKPOINTS[name], torch.randn(1, 3, 64, 64)
    for _ in range(2):
        model = published.load(checkpoint, build).eval()
        assert torch.equal(model(x), shelf["model"](x))
    assert len(shelf["asked"]) == 1


def test_other_classes_and_another_window(shelf, capsys):
    checkpoint = published.CHECKPOINTS["hashed"]
    model = published.load(checkpoint, build, num_classes=5, window_size=8)
    assert model.head.weight.shape[0] == 5 and "head" in capsys.readouterr().out


def test_as_a_backbone_and_for_other_channels(shelf):
    checkpoint, x = published.CHECKPOINTS["hashed"], torch.randn(1, 3, 32, 32)
    first, _ = published.load(checkpoint, build, out_indices=(0, 1)).eval()(x)
    assert first.shape == (1, 8, 8, 8)
    grey = published.load(checkpoint, build, in_chans=1).eval()
    torch.testing.assert_close(grey(x[:, :1]), shelf["model"](x[:, :1].expand(-1, 3, -1, -1)))


@pytest.mark.parametrize("name", ["hashed", "plain"])
def test_a_download_cut_short_leaves_nothing(shelf, name, tmp_path):
    data = shelf["data"]
    cut = Answer(data[: len(data) // 2], told=len(data))
    shelf["set"](published.urllib.request, "urlopen", lambda url, timeout: cut)
    with pytest.raises(published.DownloadError, match="broke off .*bytes came"):
        published.fetch(name)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_another_file_is_no_checkpoint(shelf):
    other = Answer(b"another file")
    shelf["set"](published.urllib.request, "urlopen", lambda url, timeout: other)
    with pytest.raises(published.DownloadError, match="SHA-256 does not begin with"):
        published.fetch("hashed")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (urllib.error.URLError("no name"), "perhaps since this machine is offline.*no name"),
        (urllib.error.HTTPError("u", 404, "Not Found", None, None), r"answers 404 \(Not Found\)"),
        (TimeoutError("timed out"), "broke off"),
    ],
    ids=str,
)
def test_offline_is_said_plainly(shelf, error, words):
    def fail(url, timeout):
        raise error

    shelf["set"](published.urllib.request, "urlopen", fail)
    with pytest.raises(published.DownloadError, match=words) as told:
        published.fetch("hashed")
    assert str(published.CHECKPOINTS["hashed"].path) in str(told.value)


def test_on_a_mac_without_certificates_those_of_pip_are_found(monkeypatch):
    pytest.importorskip("certifi")
    monkeypatch.setenv("SSL_CERT_FILE", "")  # so that it is put back
    monkeypatch.delenv("SSL_CERT_FILE")
    nothing = SimpleNamespace(cafile=None, capath=None)
    monkeypatch.setattr(published.ssl, "get_default_verify_paths", lambda: nothing)
    published.find_certificates()
    assert "SSL_CERT_FILE" not in os.environ  # elsewhere the system is asked
    monkeypatch.setattr(published.sys, "platform", "darwin")
    published.find_certificates()
    assert Path(os.environ["SSL_CERT_FILE"]).name == "cacert.pem"
    monkeypatch.setenv("SSL_CERT_FILE", "my own")
    published.find_certificates()
    assert os.environ["SSL_CERT_FILE"] == "my own"


@pytest.mark.parametrize("name", ["hashed", "plain"])
def test_a_file_that_is_damaged_later_is_noticed(shelf, name):
    path = published.fetch(name)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ValueError, match="damaged"):
        published.fetch(name)


def test_the_list_is_right():
    for c in published.CHECKPOINTS.values():
        with torch.device("meta"):
            model = getattr(swinlib, c.model)(num_classes=c.num_classes, window_size=c.window_size)
        assert sum(p.numel() for p in model.parameters()) == c.parameters, c.name
        assert c.url.endswith(".pth")
        assert c.resize is None or c.resize >= c.size
        assert published.find(c.model, c.name) == c
        assert published.find(c.model, c.weights) == c
    with pytest.raises(ValueError, match="weights for swin_large must be one of imagenet22k"):
        published.find("swin_large", "imagenet1k")


@pytest.mark.parametrize(
    ("name", "weights"),
    [("swin_tiny", "Swin_T"), ("swin_small", "Swin_S"), ("swin_base", "Swin_B")],
)
def test_torchvision_tells_the_same_of_its_own(name, weights):
    theirs = getattr(torchvision_swin, f"{weights}_Weights").IMAGENET1K_V1
    ours = published.find(name, "imagenet1k")
    assert ours.url == theirs.url and ours.top1 == theirs.meta["_metrics"]["ImageNet-1K"]["acc@1"]
    assert ours.parameters == theirs.meta["num_params"]
    preset = theirs.transforms()
    assert [ours.resize] == preset.resize_size and [ours.size] == preset.crop_size
    assert list(ours.mean) == preset.mean and list(ours.std) == preset.std
    assert preset.interpolation.value == ours.interpolation
    assert published.imagenet_classes() == tuple(theirs.meta["categories"])


def test_swin_tiny_with_weights_is_torchvisions(tmp_path, monkeypatch):
    torch.manual_seed(1)
    theirs = torchvision_swin.swin_t().eval()
    file = tmp_path / "swin_t.pth"
    torch.save(theirs.state_dict(), file)
    monkeypatch.setattr(published, "fetch", lambda name: file)
    ours = swinlib.swin_tiny(weights="imagenet1k").eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(ours(x), theirs(x), atol=1e-5)
