"""Parts of a chunked HDF5 dataset that were never written: reading them gives the fill value."""

import itertools
from collections.abc import Sequence

import h5py


def first_unwritten(dataset: h5py.Dataset, part: Sequence[range]) -> tuple[int, ...] | None:
    """Where the first chunk begins that a part needs and the file lacks; None where it has all.

    part: of each axis, the (contiguous) indices that are needed. Reads no values.
    """
    chunks = dataset.chunks
    if chunks is None:
        return None
    counts = [-(-length // size) for length, size in zip(dataset.shape, chunks, strict=True)]
    whole = 1
    for count in counts:
        whole *= count
    if dataset.id.get_num_chunks() == whole:
        return None
    needed = [
        range(along.start // size, (along.stop - 1) // size + 1)
        for along, size in zip(part, chunks, strict=True)
    ]
    there: set[tuple[int, ...]] = set()

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        place = tuple(o // size for o, size in zip(chunk.chunk_offset, chunks, strict=True))
        if all(index in along for index, along in zip(place, needed, strict=True)):
            there.add(place)

    dataset.id.chunk_iter(note)
    missing = (place for place in itertools.product(*needed) if place not in there)
    first = next(missing, None)
    if first is None:
        return None
    return tuple(index * size for index, size in zip(first, chunks, strict=True))
