"""Settings of CPython and of the process, for one that does nothing but serve."""

import gc
import logging
import resource
import sys

logger = logging.getLogger(__name__)

_SWITCH_SECONDS = 0.001
"""How long a thread that computes keeps the event loop waiting, several times a turn; CPython takes 5 ms."""

_GC_THRESHOLDS = (10_000, 20, 100)
"""With CPython's (700, 10, 10) an update of 20,000 structs sets off collections that stop all for 70 ms; next to
nothing here is garbage that counting references does not free."""


_FEW_FILES = 4096
"""Each connection is an open file; the soft limit is often 1024, which a few scripts take."""


def prepare_to_serve() -> None:
    """Call once all is loaded: what there is then is never looked at again by the collector."""
    allow_open_files()
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def allow_open_files() -> None:
    """As many open files as the system lets this process have; says so where these are few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError) as error:  # macOS has a limit below its hard one
            logger.warning("the limit of open files stays at %d: %s", soft, error)
    if soft != resource.RLIM_INFINITY and soft < _FEW_FILES:
        logger.warning("%d files may be open at once, connections among them: raise `ulimit -n`", soft)
