"""The heap of the C library: what one batch gives back, the next one takes."""

import ctypes
from typing import Final

KEPT_BYTES: Final = 8 * 2**20
"""Free memory that is not given back to the kernel, and the largest piece for which that holds."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Source: mallopt(3)"""


def keep_heap() -> bool:
    """Keep what is freed, up to `KEPT_BYTES`; False where the C library has no such setting.

    Without it glibc gives the buffers of each batch back, and the kernel clears every page of
    them anew for the next: measured as a tenth of the time that `enrich` takes for an event.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    set_both = [mallopt(which, KEPT_BYTES) for which in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD)]
    return all(set_both)
