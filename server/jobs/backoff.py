"""When a job that has failed is tried again. PURE."""

_MAX_DOUBLINGS = 40


def retry_seconds(attempts: int, *, first_seconds: float, longest_seconds: float, random: float) -> float:
    """After so many attempts, 1 or more: twice as long each time, and by chance (`random`: 0 to 1) up to half less.

    So jobs that have failed together do not all come back together.
    """
    doubled = first_seconds * 2.0 ** min(attempts - 1, _MAX_DOUBLINGS)
    return min(doubled, longest_seconds) * (1 - random / 2)
