"""Stored against fresh outputs: what strict nbval lets pass.

nbval compares every text that a cell stores. It does not look at pictures, accepts a cell that was
never run, and in a cell tagged `nbval-ignore-output` accepts warnings too.
"""

import base64
import io

from PIL import Image, ImageChops, ImageStat
from PIL.PngImagePlugin import PngInfo

from nbform import PICTURES

# Tags of cells whose pictures differ from run to run, such as a plot of timings.
ANY_OUTPUT = "nbval-ignore-output"
ANY_PICTURE = "picture-varies"

THUMBNAIL = (64, 64)
TOLERANCE = 4.0  # of 255, mean over the thumbnail
# Of 255, in one place of the thumbnail and one colour, where the same library drew both: more than
# a figure that moves by a pixel is off by, less than one without its title (test_notebooks).
TOLERANCE_OF_A_PLACE = 60
SIZE_SLACK = 4  # pixels, two of the page: the trimmed margins follow the text's extent, rounded
# Another version of matplotlib sets its text a little differently, and Python 3.10 gets an older
# one than 3.11: the same figures came out up to 4.5 of 255 and 3 pixels apart.
OTHER_VERSION = 3
TILE = 8  # pixels: about one letter of a label


def problems(cell: dict, fresh: list[dict]) -> list[str]:
    """What is wrong with a stored code cell, given the outputs that it has just produced."""
    found = []
    if cell.get("execution_count") is None:
        found.append("the stored cell was never run")
    for output in fresh:
        if output["output_type"] == "stream" and output["name"] == "stderr":
            found.append(f"it writes to stderr: {output['text'].strip()[:300]!r}")
    if cell.get("execution_count") is not None:
        found += picture_problems(cell, fresh)
    return found


def picture_problems(cell: dict, fresh: list[dict]) -> list[str]:
    tags = cell.get("metadata", {}).get("tags", [])
    if ANY_OUTPUT in tags:
        return []
    old, new = pictures(cell["outputs"]), pictures(fresh)
    if len(old) != len(new):
        return [f"it stores {len(old)} pictures and now draws {len(new)}"]
    if ANY_PICTURE in tags:
        return []
    found = []
    for number, (before, after) in enumerate(zip(old, new, strict=True), 1):
        slack = 1 if drawn_by(before) == drawn_by(after) else OTHER_VERSION
        sizes = f"stored {before.width}x{before.height}, now {after.width}x{after.height} pixels"
        if size_distance(before, after) > SIZE_SLACK * slack:
            found.append(f"picture {number} has another size: {sizes}")
        elif (distance := thumbnail_distance(before, after)) > TOLERANCE * slack:
            found.append(
                f"picture {number} looks different: its thumbnail is off by "
                f"{distance:.1f} of 255, allowed {TOLERANCE * slack:.1f}"
            )
        elif slack == 1 and (distance := worst_distance(before, after)) > TOLERANCE_OF_A_PLACE:
            found.append(
                f"picture {number} looks different in one place: its thumbnail is off by "
                f"{distance} of 255 there, allowed {TOLERANCE_OF_A_PLACE}"
            )
    return found


def pictures(outputs: list[dict]) -> list[Image.Image]:
    """The pixel pictures among a cell's outputs, on the white of a page."""
    return [
        decode(output["data"][mime])
        for output in outputs
        for mime in PICTURES
        if mime in output.get("data", {})
    ]


def decode(data: str | list[str]) -> Image.Image:
    stored = Image.open(io.BytesIO(base64.b64decode("".join(data))))
    picture = stored.convert("RGBA")
    picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    picture = picture.convert("RGB")
    picture.info["Software"] = stored.info.get("Software")
    return picture


def drawn_by(picture: Image.Image) -> str | None:
    """The drawing library and its version, where the picture tells."""
    return picture.info["Software"]


def size_distance(a: Image.Image, b: Image.Image) -> int:
    return max(abs(a.width - b.width), abs(a.height - b.height))


def thumbnail_distance(a: Image.Image, b: Image.Image) -> float:
    """Mean difference of two 64x64 thumbnails in grey, 0 to 255."""
    small = [picture.convert("L").resize(THUMBNAIL, Image.Resampling.BOX) for picture in (a, b)]
    return ImageStat.Stat(ImageChops.difference(*small)).mean[0]


def worst_distance(a: Image.Image, b: Image.Image) -> int:
    """The largest difference of two 64x64 thumbnails in colour, 0 to 255; 0 for other sizes."""
    if a.size != b.size:  # then all of it is moved a little
        return 0
    small = [picture.resize(THUMBNAIL, Image.Resampling.BOX) for picture in (a, b)]
    return max(high for _, high in ImageChops.difference(*small).getextrema())


def indistinguishable(a: Image.Image, b: Image.Image) -> bool:
    """True when no place differs, however small: a changed letter is a change, a pixel is not.

    Stricter than the thumbnails, since what is kept because of it never changes again.
    """
    if a.size != b.size:
        return False
    tiles = (-(-a.width // TILE), -(-a.height // TILE))
    off = ImageChops.difference(a, b).resize(tiles, Image.Resampling.BOX)
    return max(high for _, high in off.getextrema()) <= TOLERANCE


def lighter(data: str | list[str]) -> str:
    """A PNG with a palette of 256 colours where that makes it smaller; else the PNG as it is.

    A drawing has few colours and needs no more, a photograph loses nothing that a lesson shows, and
    either takes less than half of the room, in the file and for ever in its history.
    """
    data = "".join(data)
    raw = base64.b64decode(data)
    picture = Image.open(io.BytesIO(raw))
    shape = picture.convert("RGBA").getchannel("A")
    if picture.mode == "P" or len(shape.getcolors()) > 2:
        return data  # done before, or half transparent
    about = PngInfo()
    for name in ("Software", "Description"):
        if name in picture.info:
            about.add_text(name, picture.info[name])
    few = in_few_colours(picture.convert("RGB"), 255)
    outside = shape.point(lambda alpha: 255 * (alpha == 0))  # the corners of a card
    transparent = {"transparency": 255} if outside.getbbox() else {}
    if transparent:
        few.paste(255, mask=outside)
        # All 256, or the last would be saved without its alpha, and the corners black.
        few.putpalette([*few.getpalette(), *bytes(768)][:768])
    buffer = io.BytesIO()
    few.save(buffer, "PNG", optimize=True, pnginfo=about, **transparent)
    if buffer.tell() >= len(raw):
        return data
    return base64.b64encode(buffer.getvalue()).decode() + "\n"


def in_few_colours(picture: Image.Image, number: int) -> Image.Image:
    """An RGB picture with a palette, in which what is painted flat has colours of its own.

    The rest of the palette is spread over all colours that there are. A cut by how many pixels each
    has would take the rare ones away, such as the ends of a colour bar beside a photograph.
    """
    area = picture.width * picture.height
    counted = sorted(picture.getcolors(area), reverse=True)[: number // 3]
    flat = [colour for count, colour in counted if count > area / 2000]
    rest = picture.quantize(number - len(flat), Image.Quantize.MAXCOVERAGE, kmeans=2).getpalette()
    rest = [
        colour
        for colour in zip(rest[::3], rest[1::3], rest[2::3], strict=True)
        if all(max(abs(a - b) for a, b in zip(colour, other, strict=True)) > 8 for other in flat)
    ]  # Pillow looks for the nearest in steps of 4
    palette = Image.new("P", (1, 1))
    palette.putpalette([level for colour in (*flat, *rest) for level in colour])
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)
