"""Decoding, orientation and resizing, against OpenCV, hand-made files and hand-made answers."""

import base64
import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from sensmap import exif, images
from sensmap.datasets import ExampleError

# 8x8, cyan 0, magenta 128, yellow 255, black 40: in RGB (215, 107, 0).
CMYK_JPEG = base64.b64decode(
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAIBgYHBgUIBwcHCQkICgwUDQwLCwwZEhMPFB0aHx4dGhwcICQuJyAiLCMcHCg3"
    "KSwwMTQ0NB8nOT04MjwuMzQy/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABYAAQEBAAAAAAAAAAAAAAAAAAcBCP/EABQQ"
    "AQAAAAAAAAAAAAAAAAAAAAD/2gAOBEMATQBZAEsAAD8Af0Z/K7//2Q=="
)
# Two frames of 1x2: red and green, then blue and gray.
ANIMATED_GIF = base64.b64decode(
    "R0lGODdhAgABAIEAAAD/AP8AAAAAAAAAACwAAAAAAgABAAAIBQADAAgIACH5BAEAAAIALAAAAAACAAEAgQAA/wkJCQAA"
    "AAAAAAgFAAEECAgAOw=="
)
ANIMATED_WEBP = base64.b64decode(
    "UklGRooAAABXRUJQVlA4WAoAAAACAAAAAQAAAAAAQU5JTQYAAAAAAAAAAABBTk1GKgAAAAAAAAAAAAEAAAAAAAAAAAJW"
    "UDhMEQAAAC8BAAAAD7D/8x/zHxUyov8BAEFOTUYsAAAAAAAAAAAAAQAAAAAAAAAAAFZQOEwUAAAALwEAAAAPMAmTcIX/"
    "+Q8eVCCi/wE="
)


def photo(height=40, width=60):
    """Smooth noise, RGB: what JPEG is made for, and no two sides of it alike."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (9, 9), 3)


def encode(suffix, rgb, *options):
    return cv2.imencode(suffix, rgb[..., ::-1] if rgb.ndim == 3 else rgb, options)[1].tobytes()


def png(color_type, depth, rows, *chunks):
    """A PNG by hand: rows of bytes, and chunks such as the palette before them."""

    def chunk(kind, body):
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    width = len(rows[0]) * 8 // (depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color_type])
    header = struct.pack(">IIBBBBB", width, len(rows), depth, color_type, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def exif_segment(value, endian, before=b""):
    """An APP1 segment with a camera's name and an orientation."""
    maker = struct.pack(endian + "HHI4s", 0x010F, 2, 4, b"abc\0")
    entry = struct.pack(endian + "HHIHH", 0x0112, 3, 1, value, 0)
    order = b"II*\0" if endian == "<" else b"MM\0*"
    tiff = order + struct.pack(endian + "IH", 8, 2) + maker + entry + bytes(4)
    body = b"Exif\0\0" + tiff
    return before + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def with_segment(jpeg, segment):
    return jpeg[:2] + segment + jpeg[2:]


def test_jpeg_is_what_opencv_decodes():
    data = encode(".jpg", photo())
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(images.load(data), expected)


def test_real_jpegs_are_what_opencv_decodes(shared):
    for path in sorted(shared.glob("data/pets3/JPEGImages/*.jpg"))[:5]:
        expected = cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1]
        np.testing.assert_array_equal(images.load(path), expected)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp"])
def test_lossless_formats_come_back_as_they_were(suffix):
    options = (cv2.IMWRITE_WEBP_QUALITY, 101) if suffix == ".webp" else ()
    np.testing.assert_array_equal(images.load(encode(suffix, photo(), *options)), photo())


def test_cmyk_jpeg():
    assert images.load(CMYK_JPEG).tolist() == np.tile([215, 107, 0], (8, 8, 1)).tolist()


def test_first_frame_of_animation():
    assert images.load(ANIMATED_GIF).tolist() == [[[255, 0, 0], [0, 255, 0]]]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png(0, 8, [[0, 7, 255]]), [[0] * 3, [7] * 3, [255] * 3]),  # gray
        (png(0, 1, [[0b10100000]]), np.repeat([255, 0] * 2 + [0] * 4, 3).reshape(8, 3)),  # 1 bit
        (png(4, 8, [[9, 0, 8, 255]]), [[9] * 3, [8] * 3]),  # gray and alpha
        (png(6, 8, [[1, 2, 3, 0, 4, 5, 6, 255]]), [[1, 2, 3], [4, 5, 6]]),  # colour and alpha
        (png(3, 8, [[1, 0]], (b"PLTE", bytes([1, 2, 3, 4, 5, 6]))), [[4, 5, 6], [1, 2, 3]]),
        (
            png(3, 8, [[1, 0]], (b"PLTE", bytes([1, 2, 3, 4, 5, 6])), (b"tRNS", b"\0")),
            [[4, 5, 6], [1, 2, 3]],
        ),  # palette with a transparent colour
        # 16 bits: 128/257 rounds down, 129/257 up; 300/257 and 257/257 are 1.
        (png(0, 16, [[0, 128, 0, 129, 1, 1, 1, 44, 255, 255]]), np.repeat([0, 1, 1, 1, 255], 3)),
        (png(2, 16, [[0, 129, 128, 128, 255, 255]]), [[1, 128, 255]]),  # 16 bits, colour
        (png(4, 16, [[128, 128, 0, 0]]), [[128] * 3]),  # 16 bits, gray and alpha
        (png(6, 16, [[0, 129, 1, 1, 128, 128, 0, 0]]), [[1, 1, 128]]),  # 16 bits, colour, alpha
    ],
)
def test_kinds_of_png(data, expected):
    assert images.load(data).tolist() == np.reshape(expected, (1, -1, 3)).tolist()


def test_gray_jpeg():
    pixels = images.load(encode(".jpg", photo()[..., 0]))
    assert pixels.shape == (40, 60, 3)
    assert (pixels == pixels[..., :1]).all()


TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("value", sorted(TURNS))
def test_orientations(value, endian):
    jpeg = encode(".jpg", photo())
    turned = with_segment(jpeg, exif_segment(value, endian))
    expected = TURNS[value](images.load(jpeg))
    np.testing.assert_array_equal(images.load(turned), expected)
    by_opencv = cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(images.load(turned), by_opencv)


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        (b"", 1),  # no Exif
        (exif_segment(0, "<"), 1),  # out of range
        (exif_segment(9, ">"), 1),
        (exif_segment(6, "<", before=b"\xff\xfe\x00\x04hi"), 6),  # after a comment
        (exif_segment(6, ">", before=b"\xff\xff\xff"), 6),  # after filling bytes
        (exif_segment(6, "<", before=b"\xff\xe1\x00\x08http:/"), 6),  # after another APP1
        (exif_segment(6, "<", before=b"\xff\xda\x00\x02"), 1),  # after the picture began
        (exif_segment(6, "<", before=b"\x00\x00"), 1),  # after what is no segment
        (exif_segment(6, "<", before=b"\xff\xe0\x00\x00"), 1),  # after an impossible length
        (exif_segment(6, "<").replace(b"II*\0", b"IX*\0"), 1),  # neither byte order
        (exif_segment(6, "<").replace(b"*\0\x08\0\0\0", b"*\0\xff\xff\xff\xff"), 1),  # far away
        (exif_segment(6, "<").replace(b"\x12\x01", b"\x13\x01"), 1),  # without the tag
    ],
)
def test_exif_in_odd_places(segment, expected):
    data = tf.constant(b"\xff\xd8" + segment + b"\xff\xdb")
    assert int(exif.orientation(data)) == expected


_orientation = tf.function(
    exif.orientation, input_signature=[tf.TensorSpec([], tf.string)], autograph=False
)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_damaged_exif_never_fails(data):
    segment = exif_segment(6, data.draw(st.sampled_from("<>")))
    damaged = bytearray(with_segment(b"\xff\xd8\xff\xdb", segment))
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    assert 1 <= int(_orientation(tf.constant(bytes(damaged[:cut])))) <= 8


@settings(deadline=None, max_examples=30)
@given(st.binary(max_size=64))
def test_any_bytes_are_upright(data):
    assert int(_orientation(tf.constant(b"\xff\xd8\xff\xe1" + data))) in range(1, 9)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".gif"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_truncated_files_are_errors(tmp_path, suffix, share):
    data = encode(suffix, photo())
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ExampleError, match=rf"cut\{suffix}: truncated or damaged \w+\.$"):
        images.load(path)
    with pytest.raises(ExampleError, match="truncated or damaged"):
        images.load_resized(path, (8, 8))


def test_clear_errors(tmp_path):
    with pytest.raises(ExampleError, match=r"nowhere\.jpg: there is no such file\.$"):
        images.load(tmp_path / "nowhere.jpg")
    with pytest.raises(ExampleError, match=r"cannot be read \(Is a directory\)"):
        images.load(tmp_path)
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(ExampleError, match=r"empty\.png: the file is empty\.$"):
        images.load(str(tmp_path / "empty.png"))
    (tmp_path / "page.jpg").write_text("<html>Not found</html>")
    with pytest.raises(ExampleError, match=r"page\.jpg: not an image \(JPEG, PNG"):
        images.load(tmp_path / "page.jpg")
    with pytest.raises(ExampleError, match=r"image of 146 bytes: animated WebP"):
        images.load(ANIMATED_WEBP)
    with pytest.raises(TypeError, match=r"a path, the bytes of a file or .* received int\.$"):
        images.load(7)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.uint8),  # no channels
        np.zeros((4, 4, 4), np.uint8),  # alpha
        np.zeros((4, 4, 3), np.float32),  # float
        np.zeros((0, 4, 3), np.uint8),  # nothing
    ],
)
def test_arrays_must_be_rgb_of_uint8(array):
    with pytest.raises(ExampleError, match=r"\(H, W, 3\) and type uint8"):
        images.load(array)
    with pytest.raises(ExampleError, match="received the shape"):
        images.load_resized(array, (2, 2))


def test_resize_is_antialiased():
    # At half the size a triangle of 2 pixels to either side: weights 0.75, 0.75, 0.25 at the
    # border: (0.75 * 70 + 0.25 * 140) / 1.75 = 50.
    row = np.array([[[0] * 3, [70] * 3, [140] * 3, [210] * 3]], np.uint8)
    assert images.resize(row, (1, 2)).numpy()[0, :, 0].tolist() == [50.0, 160.0]


def test_resize_of_little_reduction_is_plain():
    # Of 8 pixels to 7, by 1.14: the first is at 0.5 * 8/7 - 0.5 = 1/14 between the first two.
    row = np.arange(0, 112, 14, np.uint8)[None, :, None].repeat(3, axis=2)
    plain = images.resize(row, (1, 7)).numpy()[0, :, 0]
    np.testing.assert_allclose(plain, [1 + 16 * n for n in range(7)], rtol=1e-6)


def test_resize_keeps_range_and_squashes():
    white = np.full((2, 5, 7, 3), 255, np.uint8)
    resized = images.resize(white, (11, 3))
    assert resized.dtype == tf.float32
    np.testing.assert_allclose(resized, np.full((2, 11, 3, 3), 255), rtol=1e-6)


def test_load_resized_is_resize_of_load():
    jpeg = with_segment(encode(".jpg", photo(40, 60)), exif_segment(6, "<"))
    pixels, size = images.load_resized(jpeg, (16, 24))
    assert size == (60, 40)  # turned
    np.testing.assert_array_equal(pixels, images.resize(images.load(jpeg), (16, 24)))
    from_array, size = images.load_resized(images.load(jpeg), (16, 24))
    assert size == (60, 40)
    np.testing.assert_array_equal(pixels, from_array)


def test_many_threads_and_sizes_share_one_trace():
    files = [encode(".jpg", photo(20 + n, 30)) for n in range(12)]
    expected = [images.load_resized(file, (8 + n, 8))[0] for n, file in enumerate(files)]
    with ThreadPoolExecutor(4) as pool:
        pairs = pool.map(lambda n: images.load_resized(files[n], (8 + n, 8)), range(12))
        for (pixels, _), by_itself in zip(pairs, expected, strict=True):
            np.testing.assert_array_equal(pixels, by_itself)
    assert images._decode_resized.experimental_get_tracing_count() == 1


def test_decode_in_a_saved_model_by_the_session_path(tmp_path):
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def serve(image_bytes):
        return tf.map_fn(
            lambda data: images.resize(images.decode(data), (8, 6)),
            image_bytes,
            fn_output_signature=tf.TensorSpec([8, 6, 3], tf.float32),
        )

    tf.saved_model.save(module, os.fspath(tmp_path), signatures={"serve": serve})
    batch = [
        with_segment(encode(".jpg", photo()), exif_segment(6, ">")),
        png(2, 16, [[0, 129, 128, 128, 255, 255]]),
        encode(".webp", photo()),
    ]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], os.fspath(tmp_path))
        signature = meta.signature_def["serve"]
        served = session.run(
            next(iter(signature.outputs.values())).name,
            {signature.inputs["image_bytes"].name: batch},
        )
    for data, pixels in zip(batch, served, strict=True):
        np.testing.assert_array_equal(pixels, images.load_resized(data, (8, 6))[0])


def test_load_batch_is_load_resized_of_each(tmp_path):
    path = tmp_path / "turned.jpg"
    path.write_bytes(with_segment(encode(".jpg", photo(40, 60)), exif_segment(6, "<")))
    sources = [path, encode(".png", photo(9, 7)), encode(".webp", photo(16, 24))]
    pixels, originals, errors = images.load_batch(sources, (16, 24))
    assert (originals, errors) == ([(60, 40), (9, 7), (16, 24)], {})
    for source, resized in zip(sources, pixels.numpy(), strict=True):
        np.testing.assert_array_equal(resized, images.load_resized(source, (16, 24))[0])


@pytest.mark.parametrize(
    "good", [[], [encode(".jpg", photo())], [photo(), encode(".png", photo())]]
)
def test_load_batch_names_what_cannot_be_read(good):
    sources = [*good, b"text", "nowhere.jpg", np.zeros((2, 2), np.uint8)]
    pixels, originals, errors = images.load_batch(sources, (8, 6))
    assert pixels.shape == (len(good), 8, 6, 3)
    assert originals == [(40, 60)] * len(good)
    assert sorted(errors) == [len(good), len(good) + 1, len(good) + 2]
    assert "nowhere.jpg: there is no such file" in str(errors[len(good) + 1])
