"""Does one piece of work of the `workshop`, read from standard input, and ends."""

import pickle
import resource
import sys


def main() -> None:
    """The answer is (whether it was done, the result or the exception), pickled."""
    memory_bytes, work, args, kwargs = pickle.load(sys.stdin.buffer)
    if memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    try:
        answer = True, work(*args, **kwargs)
    except MemoryError:
        sys.exit(3)
    except Exception as error:  # noqa: BLE001 - it is raised by who asked
        answer = False, error
    pickle.dump(answer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
