"""What agents print, made harmless to look at: no terminal control, no text that runs backwards.

`clean` drops such characters (prose, log output); `reveal` shows them as ⟦U+202E⟧, for what a
human is about to judge (a command to allow, a line to merge). Neither escapes HTML: Jinja does.
"""

import re

# A control sequence (CSI); a string (OSC, DCS, PM, APC, SOS: titles, links); a short escape.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
# C0 but tab and line feed, C1, bidirectional controls, lone surrogates (not encodable).
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
# Those, and what is drawn as nothing though it is there: zero widths, fillers, tags, selectors.
_UNSEEN = re.compile(
    _FORBIDDEN.pattern[:-1]
    + "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065"
    "\u206a-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def clean(text: str) -> str:
    """`text` without escape sequences and control characters; a lone CR ends the line."""
    if text.isprintable():
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _FORBIDDEN.sub("", _SEQUENCE.sub("", text))


def reveal(text: str) -> str:
    """`text` with every such or invisible character shown by its number: none can mislead."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub(lambda found: f"⟦U+{ord(found[0]):04X}⟧", text)
