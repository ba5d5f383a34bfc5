"""The image encoder on tiny models: what it makes of pictures of any size, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines import image, vision
from pipelines.engine import EngineError
from pipelines.vision.onnx import Engine, Options
from tests.pipelines.modelfolder import tiny

SMOLVLM = Path(__file__).parents[2] / "fixtures/smolvlm"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> Engine:
    return Engine(Options(model=str(folder)))


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_it_is_an_encoder(folder: Path) -> None:
    encoder = vision.load("onnx", {"model": str(folder), "threads": 2})
    assert encoder.width == 32
    encoding = encoder.encode(noise(20, 30))
    assert encoding.rows.shape == (4, 32)
    assert encoding.rows.dtype == np.float32
    assert encoding.grid == (0, 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (32, 32), (31, 33), (1080, 1920)])
def test_pictures_of_any_size(engine: Engine, size: tuple[int, int]) -> None:
    assert engine.encode(noise(*size)).rows.shape == (4, 32)
    tiled = Engine(Options(model=str(SMOLVLM))).encode(noise(*size))
    rows, columns = tiled.grid
    assert tiled.rows.shape == ((rows * columns + 1) * 4, 48)


def test_the_same_picture_gives_the_same_rows(engine: Engine) -> None:
    assert np.array_equal(engine.encode(noise(48, 64)).rows, engine.encode(noise(48, 64)).rows)
    assert not np.allclose(engine.encode(noise(48, 64)).rows, engine.encode(noise(64, 48)).rows)


def test_a_picture_is_fitted_not_stretched(engine: Engine) -> None:
    wide = noise(16, 32)
    framed = np.full((32, 32, 3), 127, np.uint8)
    framed[8:24] = wide
    assert np.array_equal(engine.encode(wide).rows, engine.encode(framed).rows)


def test_without_padding_it_is_stretched(tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "model")
    settings = folder / "preprocessor_config.json"
    settings.write_text(settings.read_text().replace('"do_pad": true', '"do_pad": false'))
    engine = Engine(Options(model=str(folder)))
    wide = noise(16, 32)
    assert np.allclose(engine.encode(wide).rows, engine.encode(image.resize(wide, 32, 32)).rows)


def test_every_tile_stands_by_itself() -> None:
    """The first rows are those of the top left tile, the last those of the whole picture."""
    engine = Engine(Options(model=str(SMOLVLM)))
    picture = noise(256, 256)  # just what 4 x 4 tiles of 64 need
    rows = engine.encode(picture).rows
    single = Engine(Options(model=str(SMOLVLM), longest_edge=64))
    corner = np.ascontiguousarray(picture[:64, :64])
    assert np.allclose(rows[:4], single.encode(corner).rows, atol=1e-5)
    assert np.allclose(rows[-4:], single.encode(image.resize(picture, 64, 64, 1)).rows, atol=1e-5)


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_picture_is_refused(engine: Engine, wrong: NDArray[np.uint8]) -> None:
    with pytest.raises(EngineError, match="no RGB picture: an array of uint8"):
        engine.encode(wrong)


def test_an_option_without_effect_is_refused(folder: Path) -> None:
    with pytest.raises(EngineError, match="longest_edge is for models that cut pictures into tiles"):
        Engine(Options(model=str(folder), longest_edge=64))
