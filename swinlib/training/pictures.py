"""One picture file, as RGB of 8 bits, whatever it was written as; and what can be wrong with it."""

import os

MEMORY_LIMIT = 16e9  # bytes; above it pictures have to be smaller, or streamed from their files
COPIES = 2  # of all pictures in memory at the worst moment: all of them, and their three splits
# What Pillow reads by itself: no other program is started, as for EPS, and no film is opened.
FORMATS = """
    AVIF BMP DIB GIF ICO JPEG JPEG2000 MPO PCX PNG PPM QOI SGI TGA TIFF WEBP
""".split()


class DatasetError(ValueError):
    """The pictures cannot be used; the message names the file, if it is one, and the remedy."""


def usable_processors() -> int:
    """How many processors this process may use: a container or a batch system may allow few."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def require_memory(count, height, width, *remedies):
    """Raises DatasetError where so many RGB pictures of 8 bits need more than MEMORY_LIMIT."""
    needed = COPIES * 3 * height * width * count
    if needed > MEMORY_LIMIT:
        raise DatasetError(
            f"{count:,} pictures of {height}x{width} pixels take {needed / 1e9:.1f} GB of memory "
            f"while they are read, more than {MEMORY_LIMIT / 1e9:.1f} GB. Use config.replace with "
            f"{' or '.join(['a smaller image_size', *remedies])}."
        )


def suffixes() -> frozenset:
    """The endings of picture files that `read_picture` reads here, in small letters."""
    from PIL import Image

    return frozenset(s for s, name in Image.registered_extensions().items() if name in _formats())


def _formats():
    from PIL import Image

    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]  # Pillow may be built without some


def read_picture(file):
    """A picture file as a PIL picture in RGB, the first one if there are several in it.

    Turned as its EXIF orientation says. Grey of 16 bits becomes grey of 8, 65535 being white.
    Raises DatasetError where it cannot be read.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        # Opened here: of a path Pillow maps plain TIFFs into memory, and turns them wrongly.
        with open(file, "rb") as opened, Image.open(opened, formats=_formats()) as picture:
            return _in_rgb(_upright(picture))
    except Image.DecompressionBombError as error:
        raise DatasetError(
            f"{shown(file)} is larger than Pillow takes for harmless ({error}). Make it smaller or "
            "remove it; if it is yours, set PIL.Image.MAX_IMAGE_PIXELS."
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plugins raise whatever their parsers meet
        unknown = isinstance(error, UnidentifiedImageError)  # which names what was opened here
        why = "of no kind that Pillow knows" if unknown else error
        raise DatasetError(
            f"{shown(file)} cannot be read as a picture ({why}). Unpack it again or remove it."
        ) from error


def _upright(picture):
    """As its EXIF orientation says. Pillow's own `exif_transpose` also writes all other EXIF anew,
    and so fails where any of it is damaged, as it often is."""
    from PIL.Image import Transpose

    if picture.format == "TIFF":  # Pillow turns it as it reads it
        return picture
    try:
        orientation = picture.getexif().get(0x0112, 1)
    except Exception:  # nothing of it can be read
        orientation = 1
    turns = {
        2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }  # fmt: skip
    return picture.transpose(turns[orientation]) if orientation in turns else picture


def _in_rgb(picture):
    from PIL import Image

    if picture.mode == "F" or picture.mode.startswith("I"):
        import numpy as np

        values = np.asarray(picture)
        if picture.mode == "F" or values.min() < 0 or values.max() > 65535:
            raise ValueError(
                f"its values go from {values.min():g} to {values.max():g}, wanted 8 or 16 bits"
            )
        # 65535 = 255 * 257. Pillow's own conversion cuts off everything above 255.
        picture = Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
    return picture.convert("RGB")


def shown(path) -> str:
    """A path that can be printed and encoded: a name that is not UTF-8 gets marks in its place."""
    return os.fsencode(path).decode(errors="replace")
