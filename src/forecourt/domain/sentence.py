"""Sentences for people that can be said in other languages: their words in English, and what fills their places.

Guarantees
* `str()` says it in English. Whoever speaks another language looks the words up as they are, with their places, and
  fills those: a number with as many digits as the place asks for (`{limit:.1f}`; `{n:g}`: as many as it has), another
  sentence in that language too.
* The words are ours, and what fills them isn't: a name with braces in it stays a name.
* A number without end is nothing (null) in JSON, which knows none, and says so in English where it is made.
"""

import msgspec


class Sentence(msgspec.Struct, frozen=True, omit_defaults=True):
    """Words with places, such as `circuit {node}, phase {phase}`."""

    text: str
    values: "dict[str, str | float | Sentence | None]" = {}

    def __str__(self) -> str:
        """In English."""
        return self.text.format_map(self.values)


def say(text: str, /, **values: "str | float | Sentence") -> Sentence:
    """A sentence."""
    return Sentence(text, {**values})


def duration(seconds: float) -> Sentence:
    """A stretch of time as one says it: up to two minutes in seconds."""
    whole = round(max(seconds, 0.0))
    return say("{n:.0f} s", n=whole) if whole < 120 else say("{n:.0f} min", n=whole // 60)
