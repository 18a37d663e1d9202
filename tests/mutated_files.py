"""Small foreign files, each off a healthy one in one way, made anew from fixed seeds.

`MUTANTS` names them: how a file is made, the settings that read it, and what has to come of it:

    "right"    read; every number as NetCDF's own library reads it, or as written (`truth`)
    "refused"  one line, before any work
    "either"   damage, which may or may not touch what is read: right, or refused
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

T, H, W = SHAPE = (20, 16, 16)
HEALTHY = (np.arange(T * H * W).reshape(SHAPE) * 7 % 113).astype(float)
TIMES = np.arange(T, dtype=float)
FILL = 9.969209968386869e36


@dataclass(frozen=True)
class Mutant:
    make: Callable[[Path], None]
    expected: str
    settings: dict[str, Any] = field(default_factory=dict)
    truth: np.ndarray | None = None  # (T, H, W), where the other reader reads it differently


MUTANTS: dict[str, Mutant] = {}


def array(path, values=HEALTHY, *, attributes=None, time=None, edit=None, **options):
    """A file of one array `a`, perhaps with times `t`; edit: what is done to it at last."""
    with h5py.File(path, "w", libver=options.pop("libver", None)) as file:
        item = file.create_dataset("a", data=values, **options)
        item.attrs.update(attributes or {})
        if time is not None:
            given = time if isinstance(time, dict) else {"data": time}
            kept = {name: value for name, value in given.items() if name != "attributes"}
            file.create_dataset("t", **kept).attrs.update(given.get("attributes", {}))
        if edit is not None:
            edit(file)


def add(name, expected, *, settings=None, truth=None, make=array, **given):
    assert name not in MUTANTS, name
    MUTANTS[name] = Mutant(partial(make, **given), expected, settings or {}, truth)


def changed(value, place=(4, 5, 6), dtype="f4"):
    values = HEALTHY.astype(dtype)
    values[place] = value
    return values


# --- types -----------------------------------------------------------------------------------

for kind in ("i1", "u1", "<i2", ">i2", "<u2", ">u2", "<i4", ">i4", "u4", "<i8", ">i8", "u8"):
    add(f"type {kind}", "right", values=HEALTHY.astype(kind))
for kind in ("<f4", ">f4", "<f8", ">f8"):
    add(f"type {kind}", "right", values=HEALTHY.astype(kind))
for kind in ("<f2", ">f2", "longdouble"):
    add(f"type {kind}", "right", values=HEALTHY.astype(kind), truth=HEALTHY)
OTHERS = {
    "bool": HEALTHY > 50,
    "complex64": HEALTHY.astype("c8"),
    "complex128": HEALTHY.astype(">c16"),
    "bytes": HEALTHY.astype("S6"),
    "compound": np.zeros(SHAPE, [("re", "f4"), ("im", "f4")]),
    "opaque": np.zeros(SHAPE, "V4"),
}
for kind, values in OTHERS.items():
    add(f"type {kind}", "refused", values=values)
SPECIAL = {
    "text": h5py.string_dtype(),
    "enumeration": h5py.enum_dtype({"calm": 0, "wild": 1}, basetype="i4"),
    "ragged": h5py.vlen_dtype("f4"),
    "reference": h5py.ref_dtype,
}
for kind, dtype in SPECIAL.items():
    add(f"type {kind}", "refused", values=None, shape=SHAPE, dtype=dtype)

# --- how values are stored -------------------------------------------------------------------

STORED = {
    "chunks of one snapshot": {"chunks": (1, H, W)},
    "chunks over all times": {"chunks": (T, 4, 4)},
    "chunks that stick out": {"chunks": (7, 5, 11)},
    "tiny chunks": {"chunks": (1, 2, 8)},
    "unlimited": {"maxshape": (None, H, W)},
    "unlimited in all": {"maxshape": (None, None, None)},
    "gzip": {"compression": "gzip", "chunks": (2, 8, 16)},
    "gzip 9, shuffled": {"compression": "gzip", "compression_opts": 9, "shuffle": True},
    "checksum": {"fletcher32": True, "chunks": (3, 16, 4)},
    "newest format": {"libver": ("latest", "latest"), "chunks": (1, 8, 8)},
    "newest, unlimited": {"libver": ("latest", "latest"), "maxshape": (None, H, W)},
    "fill value 0": {"fillvalue": 0, "chunks": (4, 8, 8)},
    "fill value NaN": {"fillvalue": np.nan, "chunks": (4, 8, 8)},
}
for name, options in STORED.items():
    add(f"stored: {name}", "right", values=HEALTHY.astype("f4"), **options)
add("stored: lzf", "right", values=HEALTHY, compression="lzf", truth=HEALTHY)
add("stored: offsets", "right", values=HEALTHY.astype("i4"), scaleoffset=0, truth=HEALTHY)

# --- axes ------------------------------------------------------------------------------------

for order in ("tyx", "txy", "ytx", "xty", "yxt", "xyt"):
    names = [{"t": "time", "y": "y", "x": "x"}[letter] for letter in order]
    add(
        f"axes {order}",
        "right",
        values=HEALTHY.transpose(["tyx".index(letter) for letter in order]),
        settings={"axes": names},
    )
for place, order in enumerate(("cyxt", "tcyx", "ytcx", "xytc")):
    names = [{"t": "time", "c": "channel", "y": "y", "x": "x"}[letter] for letter in order]
    whole = np.stack([HEALTHY - 5, HEALTHY, 2 * HEALTHY])
    add(
        f"axes {order}",
        "right",
        values=whole.transpose(["ctyx".index(letter) for letter in order]),
        settings={"axes": names, "channel": place % 3},
    )
RANKS = {1: (20,), 2: (20, 16), 5: (20, 1, 1, 16, 16), 6: (1, 2, 2, 5, 16, 16)}
for rank, shape in RANKS.items():
    add(f"rank {rank}", "refused", values=np.zeros(shape))
for shape in ((20, 16, 15), (0, 16, 16), (20, 0, 16), (20, 3, 16, 16), (), (2, 16, 16)):
    add(f"shape {shape}", "refused", values=np.zeros(shape))
add("shape None", "refused", values=h5py.Empty("f4"))
for settings in ({"channel": 3}, {"axes": ["time", "y", "x"]}):
    named = {"values": np.stack([HEALTHY] * 3, axis=1), "settings": settings}
    add(f"channels, but {settings}", "refused", **named)

# --- what attributes say ---------------------------------------------------------------------

PACKED = HEALTHY.astype("i2")
BYTES = (HEALTHY * 2).astype("u1")
RIGHT: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "scale": (PACKED, {"scale_factor": 0.01}),
    "scale in a list": (PACKED, {"scale_factor": np.array([0.01], "f4")}),
    "offset": (PACKED, {"add_offset": 273.15}),
    "both": (PACKED, {"scale_factor": -2.5, "add_offset": np.float32(100)}),
    "both of floats": (HEALTHY.astype("f4"), {"scale_factor": 2, "add_offset": 1}),
    "both, big-endian": (HEALTHY.astype(">i4"), {"scale_factor": 1e-3, "add_offset": -7}),
    "fill value elsewhere": (PACKED, {"_FillValue": np.int16(-1)}),
    "fill value of another type": (PACKED, {"_FillValue": -5.0}),
    "fill value NaN": (HEALTHY, {"_FillValue": np.nan}),
    "missing values elsewhere": (PACKED, {"missing_value": np.array([-1, -2], "i2")}),
    "wide range": (PACKED, {"valid_range": np.array([0, 112], "i2")}),
    "wide bounds": (HEALTHY, {"valid_min": 0.0, "valid_max": 112.0}),
    "range of NaN": (HEALTHY, {"valid_range": [np.nan, np.nan]}),
    "unsigned": (BYTES.view("i1"), {"_Unsigned": "true", "_FillValue": np.int8(-1)}),
    "unsigned, titled": (BYTES.view("i1"), {"_Unsigned": "True", "_FillValue": np.int8(-1)}),
    "unsigned words": ((HEALTHY * 500).astype(">u2").view(">i2"), {"_Unsigned": "true"}),
    "unsigned floats": (HEALTHY, {"_Unsigned": "true"}),
    "text": (HEALTHY, {"units": "m", "long_name": b"level", "comment": ["a", "b"]}),
    "of no known type": (HEALTHY, {"units": h5py.Empty("S4"), "flags": np.bool_(True)}),
}
for name, (values, attributes) in RIGHT.items():
    add(f"says: {name}", "right", values=values, attributes=attributes)
for word, stored in (("TRUE", BYTES.view("i1")), (" true ", BYTES.view("i1"))):
    add(
        f"says: unsigned {word!r}",
        "right",
        values=stored,
        attributes={"_Unsigned": word},
        truth=BYTES.astype(float),
    )
for word in ("false", "False", "FALSE"):
    add(
        f"says: unsigned {word!r}",
        "right",
        values=BYTES,
        attributes={"_Unsigned": word},
        truth=BYTES.view("i1").astype(float),
    )
WRONG: dict[str, dict[str, Any]] = {
    "scale 0": {"scale_factor": 0},
    "scale NaN": {"scale_factor": np.nan},
    "scale as text": {"scale_factor": "0.1"},
    "two scales": {"scale_factor": [0.1, 0.2]},
    "no scale": {"scale_factor": h5py.Empty("f8")},
    "infinite offset": {"add_offset": np.inf},
    "complex offset": {"add_offset": 1 + 1j},
    "fill value as text": {"_FillValue": "none"},
    "no missing values": {"missing_value": np.array([], "i2")},
    "half a range": {"valid_range": [0]},
    "two minima": {"valid_min": [0, 1]},
    "unsigned perhaps": {"_Unsigned": "perhaps"},
    "unsigned 1": {"_Unsigned": 1},
    "fill value": {"_FillValue": np.int16(50)},
    "fill value in a list": {"_FillValue": np.array([50], "i2")},
    "fill value 0": {"_FillValue": np.int16(0)},
    "missing values": {"missing_value": np.array([-1, 50], "i2")},
    "missing value of another type": {"missing_value": 50.0},
    "narrow range": {"valid_range": np.array([1, 112], "i2")},
    "low maximum": {"valid_max": np.int16(111)},
    "high minimum": {"valid_min": 1},
    "range of what is meant": {"valid_range": [0.5, 100.0], "scale_factor": 0.5},
    "scale beyond float32": {"scale_factor": 1e300},
}
for name, attributes in WRONG.items():
    add(f"says: {name}", "refused", values=PACKED, attributes=attributes)

# --- what is missing -------------------------------------------------------------------------

for value in (np.nan, np.inf, -np.inf, FILL):
    for kind in ("<f4", ">f8"):
        add(f"value {value} in {kind}", "refused", values=changed(value, dtype=kind))
add("value inf in f2", "refused", values=changed(np.inf, dtype="f2"))
add("value 1e39", "refused", values=changed(1e39, dtype="f8"))
DEFAULTS = {
    **{"<i2": -32767, ">u2": 65535, "i4": -2147483647, "u4": 4294967295},
    **{"i8": -9223372036854775806, "u8": 18446744073709551614},
}
for kind, default in DEFAULTS.items():
    add(f"default fill of {kind}", "refused", values=changed(default, dtype=kind))
    near = changed(0, dtype=kind)
    near[4, 5, 6] = default + 1 if default < 0 else default // 2
    add(f"near the default fill of {kind}", "right", values=near)
for kind, value in (("i1", -127), ("u1", 255), ("i1", -128)):
    add(f"byte {value}", "right", values=changed(value, dtype=kind), truth=changed(value))
for place in ((0, 0, 0), (9, 15, 15), (12, 3, 3), (19, 0, 15)):
    add(f"missing at {place}", "refused", values=changed(np.nan, place))
for place in ((10, 0, 0), (15, 15, 15)):
    unused = changed(np.nan, place)
    add(f"missing at {place}, unused", "right", values=unused)


def holes(path, *, chunks, lacking, **options):
    """Chunks that begin at the places `lacking` are never written."""
    with h5py.File(path, "w") as file:
        item = file.create_dataset("a", SHAPE, "f4", chunks=chunks, **options)
        for chunk in item.iter_chunks():
            if tuple(along.start for along in chunk) not in lacking:
                item[chunk] = HEALTHY[chunk]


for lacking in ([(0, 0, 0)], [(9, 0, 0)], [(12, 0, 0)], [(19, 0, 0)], [(3, 0, 0), (4, 0, 0)]):
    add(f"chunk {lacking}", "refused", make=holes, chunks=(1, H, W), lacking=lacking)
for options in ({"compression": "gzip"}, {"maxshape": (None, H, W)}, {"fillvalue": 3.0}):
    corner = {"chunks": (5, 8, 8), "lacking": [(5, 8, 8)], "make": holes}
    add(f"a corner, {options}", "refused", **corner, **options)
for lacking in ([(10, 0, 0)], [(11, 0, 0), (15, 0, 0)]):
    unused = {"chunks": (1, H, W), "lacking": lacking}
    add(f"chunk {lacking}, unused", "right", make=holes, **unused)


def empty(path, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("a", SHAPE, "f4", **options)


for name, options in {
    "contiguous": {},
    "chunked": {"chunks": (1, H, W)},
    "packed": {"compression": "gzip"},
    "filled": {"fillvalue": 5.0},
}.items():
    add(f"never written, {name}", "refused", make=empty, **options)

# --- times -----------------------------------------------------------------------------------

GOOD_TIMES: dict[str, Any] = {
    "float32": (50 + 0.01 * TIMES).astype("f4"),
    "float32, big-endian": (1000 + 0.1 * TIMES).astype(">f4"),
    "days": 738841 + TIMES / 24,
    "days of six decimals": np.round(738841 + TIMES / 24, 6),
    "integers": (3 * TIMES).astype("i2"),
    "unsigned": TIMES.astype("u8"),
    "negative": TIMES - 100,
    "uneven": TIMES**1.5,
    "in chunks": {"data": TIMES, "chunks": (3,), "compression": "gzip"},
    "packed": {"data": TIMES.astype("i2"), "attributes": {"scale_factor": 0.5, "add_offset": 9}},
    "with units": {"data": TIMES, "attributes": {"units": b" hours  since 1900-01-01 "}},
}
for name, time in GOOD_TIMES.items():
    add(f"times {name}", "right", time=time, settings={"time": "t"})
BAD_TIMES: dict[str, Any] = {
    "standing still": np.zeros(T),
    "backwards": TIMES[::-1].copy(),
    "twice the same": np.repeat(TIMES[::2], 2),
    "too few": TIMES[:-1],
    "too many": np.arange(T + 1.0),
    "of rank 2": TIMES[None],
    "a scalar": 3.0,
    "text": TIMES.astype("S4"),
    "complex": TIMES.astype("c8"),
    "NaN": np.where(TIMES == 7, np.nan, TIMES),
    "infinite": np.where(TIMES == 19, np.inf, TIMES),
    "default fill": np.where(TIMES == 19, FILL, TIMES),
    "default fill of integers": np.where(TIMES == 0, -2147483647, TIMES).astype("i4"),
    "fill value": {"data": TIMES, "attributes": {"_FillValue": 7.0}},
    "above a maximum": {"data": TIMES, "attributes": {"valid_max": 18.0}},
    "never written": {"shape": (T,), "dtype": "f8", "chunks": (5,)},
    "rounded into one another": (738841 + TIMES / 24).astype("f4"),
    "scale 0": {"data": TIMES, "attributes": {"scale_factor": 0}},
}
for name, time in BAD_TIMES.items():
    add(f"times {name}", "refused", time=time, settings={"time": "t"})
add("times absent", "refused", settings={"time": "t"})

# --- where the array lies --------------------------------------------------------------------


def elsewhere(path, *, how):
    other = path.with_suffix(".other")
    with h5py.File(other, "w") as file:
        file["a"] = HEALTHY
    with h5py.File(path, "w") as file:
        if how == "soft link":
            file["b"], file["a"] = HEALTHY, h5py.SoftLink("/b")
        elif how == "broken link":
            file["a"] = h5py.SoftLink("/b")
        elif how == "external link":
            file["a"] = h5py.ExternalLink(other.name, "/a")
        elif how == "virtual":
            layout = h5py.VirtualLayout(SHAPE, "f8")
            layout[:] = h5py.VirtualSource(other.name, "a", SHAPE)
            file.create_virtual_dataset("a", layout)
        elif how == "external":
            other.write_bytes(HEALTHY.tobytes())
            file.create_dataset("a", SHAPE, "f8", external=[(other.name, 0, HEALTHY.nbytes)])
        elif how == "group":
            file.create_group("a")
        elif how == "type":
            file["a"] = np.dtype("f4")
        else:
            assert how == "nothing"


for how in ("soft link", "broken link", "external link", "virtual", "external", "group", "type"):
    add(f"lies: {how}", "refused", make=elsewhere, how=how)
add("lies: nothing", "refused", make=elsewhere, how="nothing")

# --- damage ----------------------------------------------------------------------------------


def damaged(path, *, options, harm):
    array(path, HEALTHY.astype("f4"), time=TIMES, attributes={"units": "m"}, **options)
    path.write_bytes(bytes(harm(bytearray(path.read_bytes()))))


def cut(raw, *, share):
    return raw[: int(share * len(raw))]


def flip(raw, *, seed, head):
    """Some bits of eight bytes, in the first `head` bytes or in all."""
    rng = np.random.default_rng(seed)
    for place in rng.integers(0, min(head, len(raw)), 8):
        raw[place] ^= int(rng.integers(1, 256))
    return raw


def blank(raw, *, share):
    start = int(share * len(raw))
    raw[start : start + 64] = bytes(64)
    return raw


def longer(raw, *, more):
    return raw + bytes(more)


ONE_PIECE, CHUNKED = {}, {"chunks": (4, 8, 16), "compression": "gzip", "fletcher32": True}
for share in (0.0, 0.001, 0.02, 0.1, 0.5, 0.9, 0.999):
    for name, options in (("whole", ONE_PIECE), ("chunked", CHUNKED)):
        given = {"options": options, "harm": partial(cut, share=share)}
        add(f"cut at {share}, {name}", "refused", make=damaged, **given)
for seed in range(16):
    head = 4000 if seed % 2 else 1 << 30
    given = {"options": CHUNKED if seed % 4 > 1 else ONE_PIECE}
    given["harm"] = partial(flip, seed=seed, head=head)
    add(f"flipped {seed}", "either", make=damaged, settings={"time": "t"}, **given)
for share in (0.0, 0.01, 0.05, 0.3, 0.6, 0.95):
    given = {"options": CHUNKED, "harm": partial(blank, share=share)}
    add(f"blank at {share}", "either", make=damaged, settings={"time": "t"}, **given)
for more in (1, 1000):
    given = {"options": ONE_PIECE, "harm": partial(longer, more=more)}
    add(f"{more} bytes longer", "either", make=damaged, **given)
