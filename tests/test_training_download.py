"""swinlib.training.cifar: a download that stands still ends, in a sentence and drawn shapes."""

import hashlib
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from torchvision.datasets import CIFAR10

from swinlib.training import cifar as cifar_module
from swinlib.training import data as data_module
from swinlib.training.cifar import _download
from swinlib.training.data import SHAPE_CLASSES, DatasetError, draw_shapes, load_dataset

BODY = bytes(range(256)) * 400
MD5 = hashlib.md5(BODY).hexdigest()


class Server(BaseHTTPRequestHandler):
    """Answers each path in a way of its own."""

    def do_HEAD(self):
        if "deaf" in self.path:
            self.server.end.wait(30)
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        if "deaf" in self.path:
            self.server.end.wait(30)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        if "whole" in self.path:
            self.wfile.write(BODY)
        elif "cut" in self.path:
            self.wfile.write(BODY[:1000])
        elif "wrong" in self.path:
            self.wfile.write(BODY[::-1])
        elif "stalls" in self.path:
            self.wfile.write(BODY[:1000])
            self.wfile.flush()
            self.server.end.wait(30)
        else:  # a byte now and then, for hours
            for _ in range(300):
                self.wfile.write(b"x")
                self.wfile.flush()
                if self.server.end.wait(0.1):
                    return

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.end = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(cifar_module, "SILENCE", 0.5)
    monkeypatch.setattr(cifar_module, "PATIENCE", 1.0)
    few = {"train": draw_shapes(60, 1), "test": draw_shapes(20, 2)}, SHAPE_CLASSES, "shapes"
    monkeypatch.setattr(data_module, "_shapes", lambda size: few)
    yield f"http://127.0.0.1:{server.server_port}"
    server.end.set()
    server.shutdown()
    server.server_close()


def test_a_whole_file_arrives(server, tmp_path):
    path = tmp_path / "new" / "a.tar.gz"
    _download(f"{server}/whole", path, MD5)
    assert path.read_bytes() == BODY and list(path.parent.iterdir()) == [path]
    _download(f"{server}/deaf", path, MD5)  # it is there already: nobody is asked


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("stalls", "came to a standstill"),
        ("deaf", "came to a standstill|timed out"),
        ("drips", r"came to a standstill: \d+ bytes in \d seconds"),
        ("cut", "sent 1,000 bytes with a wrong checksum"),
        ("wrong", "sent 102,400 bytes with a wrong checksum"),
    ],
)
def test_what_does_not_arrive_leaves_nothing(server, tmp_path, how, words):
    with pytest.raises(OSError, match=words):
        _download(f"{server}/{how}", tmp_path / "a.tar.gz", MD5)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("how", ["stalls", "deaf", "drips"])
def test_drawn_shapes_then(server, tmp_path, monkeypatch, how):
    monkeypatch.setattr(CIFAR10, "url", f"{server}/{how}")
    real = cifar_module.online
    monkeypatch.setattr(data_module, "online", lambda: real(1.0))
    from swinlib.training.config import TrainConfig

    data = load_dataset(tmp_path, "auto", config=TrainConfig(val_size=20))
    assert "THIS IS NOT CIFAR-10" in data.announcement
    why = "cannot be reached" if how == "deaf" else "came to a standstill"
    assert why in data.announcement
    with pytest.raises(DatasetError, match=r"CIFAR-10 in .* is missing.*(standstill|timed out)"):
        load_dataset(tmp_path, "cifar10")


def test_a_proxy_that_hangs(server, tmp_path, monkeypatch):
    monkeypatch.setattr(urllib.request, "_opener", None)  # else proxies are known from before
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", f"{server}/deaf")
    monkeypatch.setattr(CIFAR10, "url", "http://pictures.invalid/deaf.tar.gz")
    assert not cifar_module.online(1.0)
    with pytest.raises(DatasetError, match=r"CIFAR-10 in .* is missing.*(standstill|timed out)"):
        load_dataset(tmp_path, "cifar10")
