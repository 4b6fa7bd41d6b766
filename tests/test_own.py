"""swinlib.lab.own: lesson 10's pictures and start, and the command that records its numbers."""

import json

import pytest
import torch
from training_runs import tiny_folder

from swinlib import SwinTransformer, published, training
from swinlib.lab import own


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in ("SWINLIB_START", "SWINLIB_DATASET"):
        monkeypatch.delenv(name, raising=False)


def test_pictures_are_the_learner_s_or_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(own, "MINE", tmp_path / "mine")
    drawn = own.choose_pictures(per_class=2, tests=1)
    assert len(list(drawn.glob("train/*/*.png"))) == 20
    assert len(list(drawn.glob("test/*/*.png"))) == 10
    (tmp_path / "mine").mkdir()
    assert own.choose_pictures() == tmp_path / "mine"


def test_the_start_is_what_is_asked_for_or_found(tmp_path, monkeypatch):
    """Online a published checkpoint, offline the shipped run; each with its own configuration."""

    def offline(name):
        raise published.DownloadError("no network")

    monkeypatch.setattr(published, "fetch", offline)
    assert own.choose_start() == str(own.SHIPPED)
    assert own.small_start(own.choose_start()).image_size == 32
    file = tmp_path / "swin.pth"
    model = SwinTransformer(embed_dim=24, depths=(1, 1, 2, 1), num_heads=(1, 2, 4, 8))
    torch.save(model.state_dict(), file)
    monkeypatch.setattr(published, "fetch", lambda name: file)
    assert own.choose_start() == str(file)
    config = own.small_start(str(file))
    assert config.image_size == 224 and config.mean == published.MEAN
    assert config.learning_rate < own.small_start(str(own.SHIPPED)).learning_rate
    monkeypatch.setenv("SWINLIB_START", "shipped")
    assert own.choose_start() == str(own.SHIPPED)
    monkeypatch.setenv("SWINLIB_START", "my.pth")
    assert own.choose_start() == "my.pth"


def test_only_pictures_as_in_training_are_recognised():
    """By a model that sees whether red prevails, and whether its input lies around zero."""

    def looks(x):
        red, blue = x[:, 0].mean((1, 2)), x[:, 2].mean((1, 2))
        centred = (x.mean((1, 2, 3)).abs() < 0.2).float()
        return torch.stack([red - blue, blue - red], 1) * centred[:, None] + 0.01

    class Looks(torch.nn.Linear):
        def forward(self, x):
            return looks(x)

    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    images[0, 0], images[1, 2] = 200, 200  # red, blue
    found = own.recognised(Looks(1, 1), images, torch.tensor([0, 1]), (0.26,) * 3, (0.4,) * 3)
    assert list(found.values()) == [1.0, 0.0, 0.5, 0.5]


def test_an_interrupted_record_is_none(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(own, "record_arms", dict)
    monkeypatch.setattr("os.replace", stop)
    with pytest.raises(KeyboardInterrupt):
        own.main(["--out", str(tmp_path)])
    assert not list(tmp_path.glob("*.json"))


def test_the_command_records_what_is_missing(tmp_path, monkeypatch, capsys):
    small = own.small_start
    monkeypatch.setattr(own, "small_start", lambda start: small(start).replace(epochs=1))
    folder, out = tiny_folder(tmp_path / "shapes"), tmp_path / "records"
    out.mkdir()
    (out / "normalisation.json").write_text("{}")
    arguments = ["--data", str(folder), "--dataset", "imagefolder", "--out", str(out)]
    own.main(arguments)
    arms = json.loads((out / "arms.json").read_text())["test_accuracy"]
    assert list(arms) == ["from scratch", "head only", "all of it"]
    assert all(len(runs) == 3 and all(0 <= x <= 1 for x in runs) for runs in arms.values())
    assert (out / "normalisation.json").read_text() == "{}"
    (out / "normalisation.json").unlink()
    own.main(arguments)
    data = training.load_dataset(folder, "imagefolder", config=training.TrainConfig(val_size=0.1))
    found = json.loads((out / "normalisation.json").read_text())
    run, tests = training.load_model(own.SHIPPED), (data.test_images, data.test_labels)
    assert found == {
        way: round(share, 4)
        for way, share in own.recognised(run.model, *tests, run.mean, run.std).items()
    }
    (out / "normalisation.json").unlink()
    with pytest.raises(SystemExit):  # there are no photographs, and shapes are none
        own.main(["--data", str(tmp_path), "--out", str(out)])
    assert "no photographs" in capsys.readouterr().err
