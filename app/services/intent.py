"""What a change is for, in one sentence: what its author says it did, else what was asked."""

import re

_LONGEST = 200
_FENCE = re.compile(r"```.*?(```|\Z)", re.DOTALL)
_MARKS = re.compile(r"\*\*|__|`|^\s*(?:#+|[-*+>]|\d+[.)])\s+", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(]?[A-Z0-9])")
# Words that open an agent's report and say nothing of the change.
_IDLE = re.compile(
    r"(all )?(done|finished|complete|completed|implemented|fixed|great|perfect|sure|ok|okay"
    r"|summary|changes|what (i )?(did|changed)|overview|results?)\b[^a-z]*$"
    r"|(the |all )?(task|work|changes?|implementation|everything|tests?|checks?)"
    r"( \w+)* (is|are|was|were|has been|have been|now)?\s*"
    r"(done|complete|completed|finished|ready|pass|passes|passing|green|committed)\b.{0,40}$"
    r"|(i('ve| have)? (committed|pushed|finished|completed)|let me|here('s| is| are)|would you"
    r"|let me know)\b",
    re.IGNORECASE,
)
_I_DID = re.compile(r"^(now,? )?i('ve| have)? (also )?(just |now )?(?=[a-z]{3,})", re.IGNORECASE)


def intent(title: str, prompt: str = "", summary: str = "") -> str:
    """One sentence, at most 200 characters, that says more than the title where anything does."""
    for text in (summary, prompt):
        for sentence in _sentences(text):
            if not _says_the_same(sentence, title):
                return _short(sentence)
    return _short(title)


def _sentences(text: str) -> list[str]:
    plain = _LINK.sub(r"\1", _MARKS.sub("", _FENCE.sub("", text[:20_000])))
    lines = [" ".join(line.split()) for line in plain.splitlines()]
    found = [part for line in lines for part in _END.split(line)]
    return [_plain(part) for part in found if len(part) > 12 and not _IDLE.match(part)]


def _plain(sentence: str) -> str:
    """`I added a cache` reads as `Added a cache`."""
    said = _I_DID.sub("", sentence).strip()
    return said[:1].upper() + said[1:]


def _says_the_same(sentence: str, title: str) -> bool:
    def letters(text: str) -> str:
        return "".join(filter(str.isalnum, text.casefold()))

    return letters(sentence) in letters(title)


def _short(text: str) -> str:
    text = " ".join(text.split())
    if len(text) <= _LONGEST:
        return text
    return text[: _LONGEST - 1].rsplit(" ", 1)[0].rstrip(",;:") + "…"
