"""Forward passes side by side, batches that do not fit, and long videos that are opened once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from usbench.core.types import Frame
from usbench.data.dataset import Dataset, DatasetCard, Index
from usbench.data.frames import FrameRef
from usbench.embedding.extract import extract
from usbench.embedding.prefetch import frames_that_may_wait, prepared_frames
from usbench.embedding.store import Store
from usbench.encoder import batching as passes_module
from usbench.encoder.base import Encoder
from usbench.encoder.batching import Passes, frames_that_fit
from usbench.encoder.card import EncoderCard
from usbench.encoder.preprocessing import grey_to_tensor
from usbench.errors import EncodingError
from usbench.media import open_media
from usbench.media.errors import MediaError
from usbench.plugins.catalog import load_encoder


class Rows(Encoder):
    """Eight bands through a frozen layer; fails for lack of memory above a number of frames."""

    card = EncoderCard(name="rows", title="Rows", embedding_dim=3, parameters=27)
    batch_size = 8
    fits = 100

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.passes: list[tuple[int, int]] = []

    def load(self) -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.Linear(8, 3)

    def weights_id(self) -> str:
        return "init:0"

    def preprocess(self, frame: Frame) -> torch.Tensor:
        return grey_to_tensor(frame, (8, 8)).mean(dim=(0, 2))

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        self.passes.append((len(batch), torch.get_num_threads()))
        if len(batch) > self.fits:
            raise torch.OutOfMemoryError("no room")
        return self.network(batch)  # type: ignore[no-any-return]


class Clips(Dataset):
    """Videos of a folder; counts how often one is opened."""

    card = DatasetCard(name="clips", title="Clips")

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.opened: list[str] = []

    def read(self) -> Index:
        raise NotImplementedError

    def open(self, path: str) -> Any:
        self.opened.append(path)
        return open_media(self.root / path)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, bus_bra_subset: Path) -> Path:
    """Two long videos, without loss, that wander over a real image."""
    folder = tmp_path_factory.mktemp("clips")
    with open_media(sorted((bus_bra_subset / "Images").glob("*.png"))[0]) as media:
        image = media.frames([0])[0]
    for name in ("a", "b"):
        with av.open(str(folder / f"{name}.avi"), "w") as container:
            stream = container.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
            for k in range(200):
                top = (k + (name == "b") * 17) % (image.shape[0] - 48)
                cut = np.ascontiguousarray(image[top : top + 48, k % 40 : k % 40 + 64])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(cut, format="gray")))
            container.mux(stream.encode(None))
    return folder


def wanted(*names: str, every: int = 1) -> list[FrameRef]:
    return [FrameRef(f"{n}.avi", k, f"{n}{k:031d}".encode()) for n in names for k in range(0, 200, every)]


def test_a_long_video_is_opened_once_for_all_its_frames(tmp_path: Path, clips: Path) -> None:
    dataset, encoder, refs = Clips(clips), Rows(), wanted("a", "b")
    done = extract(encoder, dataset, refs, Store(tmp_path, encoder.identity()), workers=2)
    assert sorted(dataset.opened) == ["a.avi", "b.avi"]
    with open_media(clips / "b.avi") as media:
        last = media.frames([199])
    np.testing.assert_allclose(done.vectors[-1], Rows().encode_frames(last)[0], atol=1e-6)
    assert len(np.unique(done.vectors[:200, 0].round(5))) > 100


def test_frames_arrive_in_order_and_no_further_than_memory_allows(clips: Path) -> None:
    dataset, encoder = Clips(clips), Rows()
    made = 0

    def preprocess(frame: Frame) -> torch.Tensor:
        nonlocal made
        made += 1
        return Rows.preprocess(encoder, frame)

    encoder.preprocess = preprocess  # type: ignore[method-assign]
    items = prepared_frames(encoder, dataset, wanted("b", "a")[::-1], ahead=1, workers=1)
    seen = [next(items)[0] for _ in range(10)]
    threading.Event().wait(0.5)  # the decoder goes on for as long as it may
    assert 10 <= made <= 10 + passes_ahead()
    seen += [ref for ref, _ in items]
    assert [ref.frame for ref in seen] == [*range(200), *range(200)]
    assert [ref.path for ref in seen] == ["a.avi"] * 200 + ["b.avi"] * 200


def passes_ahead() -> int:
    from usbench.embedding.prefetch import WAITING_FRAMES

    return WAITING_FRAMES + 2  # one in the hands of the thread, one handed over


def test_decoding_goes_on_while_the_network_is_built(clips: Path) -> None:
    many = threading.Event()

    class Slow(Rows):
        made = 0

        def preprocess(self, frame: Frame) -> torch.Tensor:
            self.made += 1
            if self.made >= 100:  # of both videos: one may not be further ahead than its own frames that may wait
                many.set()
            return super().preprocess(frame)

        def load(self) -> torch.nn.Module:
            assert many.wait(30), "nothing was decoded while the network was built"
            return super().load()

    items = list(prepared_frames(Slow(), Clips(clips), wanted("a", "b"), workers=2))
    assert [ref.path for ref, _ in items] == ["a.avi"] * 200 + ["b.avi"] * 200


def test_a_network_that_a_decoding_thread_asks_for_is_built_once(clips: Path) -> None:
    class Asking(Rows):
        built = 0

        def load(self) -> torch.nn.Module:
            self.built += 1
            threading.Event().wait(0.2)
            return super().load()

        def preprocess(self, frame: Frame) -> torch.Tensor:
            assert self.network is not None
            return super().preprocess(frame)

    encoder = Asking()
    assert len(list(prepared_frames(encoder, Clips(clips), wanted("a", "b", every=20), workers=2))) == 20
    assert encoder.built == 1


@pytest.mark.parametrize(("size", "frames"), [(0, 4096), (65_536, 4096), (12_582_912, 21), (2**40, 1)])
def test_how_many_frames_may_wait(size: int, frames: int) -> None:
    assert frames_that_may_wait(size) == frames


def test_leaving_early_stops_the_threads(clips: Path) -> None:
    items = prepared_frames(Rows(), Clips(clips), wanted("a", "b"), ahead=1, workers=2)
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_a_damaged_video_is_an_error_in_its_place(tmp_path: Path, clips: Path) -> None:
    (tmp_path / "a.avi").write_bytes((clips / "a.avi").read_bytes()[:20000])
    encoder = Rows()
    with pytest.raises(MediaError, match=r"a\.avi"):
        extract(encoder, Clips(tmp_path), wanted("a"), Store(tmp_path / "store", encoder.identity()))


def test_a_batch_that_does_not_fit_is_halved_until_it_does(tmp_path: Path, clips: Path) -> None:
    encoder, refs = Rows(), wanted("a", every=10)
    encoder.fits = 3
    done = extract(encoder, Clips(clips), refs, Store(tmp_path, encoder.identity()))
    assert [n for n, _ in encoder.passes] == [8, 4, *[2] * 10]
    plenty = extract(Rows(), Clips(clips), refs, Store(tmp_path / "other", encoder.identity()))
    np.testing.assert_allclose(done.vectors, plenty.vectors, atol=1e-6)


@pytest.mark.parametrize(
    ("batch_size", "fits", "advice"), [(8, 3, "smaller --batch-size"), (None, 0, "another device")]
)
def test_what_the_user_wants_is_not_changed_and_one_frame_is_the_least(
    tmp_path: Path, clips: Path, batch_size: int | None, fits: int, advice: str
) -> None:
    encoder = Rows()
    encoder.fits = fits
    with pytest.raises(EncodingError, match=f"out of memory.*{advice}"):
        extract(
            encoder, Clips(clips), wanted("a", every=10), Store(tmp_path, encoder.identity()), batch_size=batch_size
        )


def test_passes_side_by_side_have_a_core_each_and_leave_no_trace(two_threads: None) -> None:
    class Small(Rows):
        micro_batch_size = 2

    encoder, alone = Small(), Rows()
    tensors = list(torch.rand(13, 8, generator=torch.Generator().manual_seed(0)))
    with Passes(encoder) as passes:
        found = passes.encode(tensors, "x")
    assert torch.get_num_threads() == 2
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert seen == [2]  # threads that begin later are not held to one core
    assert {count for _, count in encoder.passes} == {1}
    assert sum(n for n, _ in encoder.passes) == 13
    assert max(n for n, _ in encoder.passes) == 2
    with Passes(alone) as passes:
        np.testing.assert_allclose(found, passes.encode(tensors, "x"), atol=1e-6)


def test_an_error_in_one_of_the_passes_is_told(two_threads: None) -> None:
    class Bad(Rows):
        micro_batch_size = 2

        def encode(self, batch: torch.Tensor) -> torch.Tensor:
            if (batch > 5).any():
                raise ZeroDivisionError("no contrast")
            return super().encode(batch)

    tensors = [torch.full((8,), float(k)) for k in range(8)]
    with (
        Passes(Bad()) as passes,
        pytest.raises(EncodingError, match="failed near here: ZeroDivisionError: no contrast"),
    ):
        passes.encode(tensors, "here")


def test_tusa_gives_the_same_vectors_side_by_side_and_one_by_one(bus_bra_subset: Path, two_threads: None) -> None:
    frames = []
    for path in sorted((bus_bra_subset / "Images").glob("*.png"))[:7]:
        with open_media(path) as media:
            frames += media.frames([0])
    encoder = load_encoder("tusa.random")
    one_by_one = np.concatenate([encoder.encode_batch(encoder.preprocess(frame)[None]) for frame in frames])
    # Batches of another size are summed in another order. With AVX2 this moves MONAI's own module by 8e-6 from float64.
    np.testing.assert_allclose(encoder.encode_frames(frames), one_by_one, atol=2e-5)


@pytest.mark.parametrize(
    ("each", "free", "tried", "expected"),
    [(1e9, 80e9, 16, 56), (1e6, 80e9, 16, passes_module.MOST_FRAMES), (20e9, 80e9, 16, 16), (0.0, 1e9, 4, 512)],
)
def test_how_many_frames_fit(each: float, free: float, tried: int, expected: int) -> None:
    assert frames_that_fit(each, free, tried) == expected


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_takes_more_frames_after_the_first_batch_and_remembers(tmp_path: Path) -> None:
    encoder = load_encoder("tusa.random", device="cuda")
    kept = tmp_path / "batch-sizes.json"
    with Passes(encoder, memory=kept) as passes:
        first = passes.frames
        passes.encode([torch.zeros(1, 128, 128)] * first, "x")
        assert passes.frames > first
        grown = passes.frames
    with Passes(encoder, memory=kept) as passes:
        assert passes.frames == grown
