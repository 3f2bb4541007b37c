"""What a capability of the CSMS refuses, for whoever asked through the API. Nothing a station sends raises these."""


class CsmsError(Exception):
    """Base of all refusals; `str()` is a sentence for the person who asked."""


class NotFound(CsmsError):  # noqa: N818 -- named as what it says of the thing asked for
    """There is no such thing in this organisation."""

    def __init__(self, kind: str, key: object) -> None:
        super().__init__(f"there is no {kind} {str(key)!r}")
        self.kind = kind
        self.key = key


class Conflict(CsmsError):  # noqa: N818
    """It contradicts what is in the books already: an identity twice, a key used for something else."""


class Invalid(CsmsError):  # noqa: N818
    """A field has a value that can't be. `field` is its name as in the record, dotted where nested."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
