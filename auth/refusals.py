"""Why somebody is not let in."""


class InvalidToken(Exception):
    """A token that proves nothing; the message may be shown to whoever sent it: it has nothing of the token in it."""


class KeysUnavailable(InvalidToken):
    """A token that may be good, but the issuer's keys cannot be had now: worth another try later."""
