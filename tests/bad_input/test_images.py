"""Every kind of odd image is either understood or quarantined with a reason."""

from __future__ import annotations

import struct
import subprocess
import zlib

import numpy as np
import pytest
from PIL import Image
from pipelines import CLI, SIZE, Site, encoded

MEBIBYTE = 1024 * 1024
NOISE = Image.effect_noise((50, 50), 50)
GREY = Image.new("RGB", (20, 20), (100, 100, 100))


def png(width: int, height: int, *, depth: int, colour_type: int, pixel: bytes = b"", rows: int = 0) -> bytes:
    """A PNG of one colour, written by hand: Pillow writes no RGB of 16 bits, and no header that lies."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    packer = zlib.compressobj()
    data = b"".join(packer.compress(b"\0" + pixel * width) for _ in range(rows)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


class TestUnderstood:
    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
    def test_formats(self, site: Site, kind: str) -> None:
        site.add("a", GREY, kind)

        assert site.run().colour("a") == pytest.approx((100, 100, 100), abs=2)

    def test_cmyk(self, site: Site) -> None:
        red = Image.new("CMYK", (20, 20), (0, 255, 255, 0))
        inverted = encoded(red, "JPEG", quality=100)
        assert b"Adobe" in inverted  # whose convention is 255 for no ink
        site.add("adobe.jpg", inverted)
        site.add("plain.tif", red, "TIFF")
        outcome = site.run()

        assert outcome.colour("plain.tif") == (255, 0, 0)
        assert outcome.colour("adobe.jpg") == pytest.approx((255, 0, 0), abs=3)

    @pytest.mark.parametrize(("level", "grey"), [(0, 0), (257 * 100, 100), (65535, 255)])
    def test_sixteen_bits_are_scaled_not_clipped(self, site: Site, level: int, grey: int) -> None:
        wide = struct.pack(">H", level)
        site.add("grey.png", png(9, 9, depth=16, colour_type=0, pixel=wide, rows=9))
        site.add("rgb.png", png(9, 9, depth=16, colour_type=2, pixel=wide * 3, rows=9))
        outcome = site.run()

        assert outcome.colour("grey.png") == (grey, grey, grey)
        assert outcome.colour("rgb.png") == (grey, grey, grey)

    @pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
    def test_alpha_is_dropped(self, site: Site, mode: str) -> None:
        site.add("a.tif" if mode == "PA" else "a.png", GREY.convert("RGBA").convert(mode), _kind_for(mode))

        assert site.run().colour("a.tif" if mode == "PA" else "a.png") == (100, 100, 100)

    def test_a_palette_with_transparency(self, site: Site) -> None:
        image = Image.new("P", (20, 20), 1)
        image.putpalette([0, 0, 0, 200, 50, 25])
        site.add("one.png", image, transparency=1)
        site.add("many.png", image, transparency=bytes([255, 128]))
        site.add("a.gif", image, "GIF", transparency=1)
        outcome = site.run()

        assert {outcome.colour(name) for name in ("one.png", "many.png", "a.gif")} == {(200, 50, 25)}

    def test_of_an_animation_the_first_frame(self, site: Site) -> None:
        others = [Image.new("RGB", (20, 20), colour) for colour in ("green", "blue")]
        site.add("a.gif", Image.new("RGB", (20, 20), "red"), "GIF", save_all=True, append_images=others)

        assert site.run().colour("a.gif") == (255, 0, 0)

    @pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
    def test_tiny_and_narrow_images(self, site: Site, size: tuple[int, int]) -> None:
        site.add("a.png", Image.new("RGB", size, (1, 2, 3)))

        assert site.run().colour("a.png") == (1, 2, 3)

    @pytest.mark.parametrize("kind", ["PNG", "JPEG"])
    def test_every_orientation_gives_the_same_pixels(self, site: Site, kind: str) -> None:
        upright = Image.fromarray(
            np.kron([[10, 90, 30], [200, 120, 160]], np.ones((16, 16))).astype(np.uint8)
        ).convert("RGB")
        turned = Image.Transpose
        stored = {
            1: upright,
            2: upright.transpose(turned.FLIP_LEFT_RIGHT),
            3: upright.transpose(turned.ROTATE_180),
            4: upright.transpose(turned.FLIP_TOP_BOTTOM),
            5: upright.transpose(turned.TRANSPOSE),
            6: upright.transpose(turned.ROTATE_90),
            7: upright.transpose(turned.TRANSVERSE),
            8: upright.transpose(turned.ROTATE_270),
        }
        for orientation, image in stored.items():
            exif = Image.Exif()
            exif[0x0112] = orientation
            site.add(str(orientation), image, kind, exif=exif, **({"quality": 100} if kind == "JPEG" else {}))
        outcome = site.run(preprocess__crop_fraction=0.9)

        assert outcome.pixels("1").std() > 20  # it is not all one colour
        for orientation in stored:
            np.testing.assert_allclose(outcome.pixels(str(orientation)), outcome.pixels("1"), atol=1)


def _kind_for(mode: str) -> str:
    return "TIFF" if mode == "PA" else "PNG"


class TestQuarantined:
    @pytest.mark.parametrize(
        ("content", "error", "said"),
        [
            (b"", "EmptyRecordError", "The file holds no bytes"),
            (
                b"This is no photo.\n",
                "DecodeError",
                "no image of a known format; they begin with b'This is no pho",
            ),
            (b"\0" * 100, "DecodeError", "The 100 bytes are no image of a known format"),
            (encoded(NOISE, "JPEG")[:-200], "DecodeError", "image file is truncated"),
            (encoded(NOISE, "JPEG")[:100], "DecodeError", ""),
            (encoded(NOISE, "PNG")[:-200], "DecodeError", "image file is truncated"),
            (b"\x89PNG\r\n\x1a\n", "DecodeError", ""),
        ],
        ids=["empty", "text", "zeros", "cut jpeg", "cut jpeg header", "cut png", "png signature"],
    )
    def test_what_is_no_whole_image(self, site: Site, content: bytes, error: str, said: str) -> None:
        site.add("bad.jpg", content)
        site.add("good.jpg", GREY, "JPEG")
        outcome = site.run()
        bad = outcome.bad["bad.jpg"]

        assert list(outcome.rows) == ["good.jpg"]
        assert bad.error_class == error
        assert said in bad.message
        assert bad.uri == f"file://{site.photos}/bad.jpg"
        assert bad.stage == ("ingest" if error == "EmptyRecordError" else "preprocess")

    @pytest.mark.parametrize("size", [(20_000, 20_000), (15_000, 10_000), (100_000, 1_000)])
    def test_an_image_that_declares_too_many_pixels(self, site: Site, size: tuple[int, int]) -> None:
        site.add("bomb.png", png(*size, depth=8, colour_type=2))
        site.add("good.png", GREY)
        outcome = site.run()

        assert list(outcome.rows) == ["good.png"]
        assert outcome.bad["bomb.png"].error_class == "RecordTooLargeError"
        assert "preprocess.max_pixels allows 89478485" in outcome.bad["bomb.png"].message

    def test_a_file_over_the_limit_is_not_read(self, site: Site) -> None:
        site.add("large.png", b"\0" * 2000)
        outcome = site.run(source__max_record_bytes=1000)

        assert outcome.bad["large.png"].message == (
            "The record has 2000 bytes; source.max_record_bytes allows 1000. Raise it to take such records"
        )

    def test_a_bomb_costs_no_memory(self, site: Site) -> None:
        site.add("good.png", GREY)
        plain = peak_memory(site, "plain")
        # All the rows that it promises: 400 MB once decoded.
        site.add("bomb.png", png(20_000, 20_000, depth=8, colour_type=0, pixel=b"\0", rows=20_000))
        bomb = peak_memory(site, "bomb")

        assert site.outcome("bomb").bad["bomb.png"].error_class == "RecordTooLargeError"
        assert bomb - plain < 50 * MEBIBYTE


def peak_memory(site: Site, run_id: str) -> int:
    """The largest resident set of a run in a process of its own, in bytes."""
    # Not what the system says of an ended child: that includes its parent's size before it became itself.
    program, flag, code = CLI
    code = code.replace("sys.exit(main())", "main(); print(open('/proc/self/status').read())")
    command = [program, flag, code, *site.arguments(run_id), "--json"]
    status = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def test_a_folder_full_of_everything_at_once(site: Site) -> None:
    """Whatever order and batch they come in, good records keep their own pixels."""
    for number in range(20):
        site.add(f"{number:02d}.good.png", Image.new("RGB", (SIZE, SIZE), (number, number, number)))
        site.add(f"{number:02d}.empty", b"")
        site.add(f"{number:02d}.text", b"text")
        site.add(f"{number:02d}.cut.jpg", encoded(NOISE, "JPEG")[: 100 + 30 * number])
    outcome = site.run(execution__shards=3, execution__batch_size=4)

    assert len(outcome.rows) == 20
    assert len(outcome.bad) == 60
    for number in range(20):
        assert outcome.colour(f"{number:02d}.good.png") == (number, number, number)


def test_random_bytes_are_never_more_than_bad_records(site: Site) -> None:
    generator = np.random.default_rng(7)
    whole = {
        kind: encoded(GREY, kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "ICO", "PPM")
    }
    for kind, content in whole.items():
        for number in range(12):
            damaged = bytearray(content)
            for at in generator.integers(4, len(damaged), 6):
                damaged[at] = generator.integers(256)
            site.add(f"{kind}-{number}", bytes(damaged))
    outcome = site.run(preprocess__max_pixels=1_000_000)

    assert len(outcome.rows) + len(outcome.bad) == 96
    assert {record.error_class for record in outcome.bad.values()} <= {"DecodeError", "RecordTooLargeError"}
