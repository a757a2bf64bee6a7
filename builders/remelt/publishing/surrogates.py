"""Text that UTF-8 cannot hold, made writable and back again without loss.

Parquet strings are UTF-8, which has no unpaired surrogates; a few corpora and servers produce them. Each
becomes U+FFFD, the replacement character, followed by its code in braces. Text that happens to look like
that already is marked too, so that reading gives back exactly what was written.
"""

from __future__ import annotations

import re

_WRITE = re.compile("[\ud800-\udfff]|\ufffd(?=\\{)")
_READ = re.compile("\ufffd\\{([0-9a-f]{4})\\}")


def escape(text: str) -> str:
    """The text as it is stored; the same object for all text that UTF-8 can hold.

    >>> escape("caf\\u00e9"), escape("a\\ud83d!") == "a\\ufffd{d83d}!"
    ('café', True)
    """
    if text.isascii():
        return text
    return _WRITE.sub(lambda found: f"\ufffd{{{ord(found[0]):04x}}}", text)


def unescape(text: str) -> str:
    """The text that `escape` was given.

    >>> unescape(escape("\\ud83d\\ufffd{d83d}")) == "\\ud83d\\ufffd{d83d}"
    True
    """
    if text.isascii():
        return text
    return _READ.sub(lambda found: chr(int(found[1], 16)), text)
