"""Settings of CPython itself, for a process that does nothing but serve."""

import gc
import sys

_SWITCH_SECONDS = 0.001
"""How long a thread that computes keeps the event loop waiting, several times a turn; CPython takes 5 ms."""

_GC_THRESHOLDS = (10_000, 20, 100)
"""With CPython's (700, 10, 10) an update of 20,000 structs sets off collections that stop all for 70 ms; next to
nothing here is garbage that counting references does not free."""


def prepare_to_serve() -> None:
    """Call once all is loaded: what there is then is never looked at again by the collector."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
