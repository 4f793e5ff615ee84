"""Image files and archives that the tests of photographs make."""

import io
import tarfile

import numpy as np
import PIL.Image


def encode(pixels, format="JPEG", **options):
    """The bytes of an image file of ``pixels`` [height, width(, 3)] uint8."""
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()


def photograph(seed, height=48, width=60):
    """A JPEG of smooth random colours, different for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    smooth = PIL.Image.fromarray(coarse).resize((width, height), PIL.Image.Resampling.BICUBIC)
    return encode(np.asarray(smooth), quality=90)


def pack(path, files, mode="w"):
    """Writes a tar archive of (name, bytes) and returns its path."""
    with tarfile.open(path, mode) as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path
