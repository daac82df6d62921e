"""The one line of a Keras error that says what is wrong."""

from __future__ import annotations

import re


def reason(error: BaseException) -> str:
    """The first telling line of an error's message.

    Errors inside a layer come as a paragraph in bold between a heading and all the arguments.

    >>> reason(ValueError("Exception encountered when calling Dense.call().\\n\\n"
    ...                   "\\x1b[1mToo wide.\\x1b[0m\\n\\nArguments: ..."))
    'Too wide.'
    >>> reason(KeyError())
    'KeyError'
    """
    message = str(error)
    bold = re.search("\x1b\\[1m(.*?)\x1b\\[0m", message, re.DOTALL)
    text = bold.group(1) if bold else message
    # TensorFlow adds which of its operations it was.
    text = re.sub(r"\{\{.*?\}\}|\[Op:\w+\]", "", text)
    lines = text.strip().splitlines()
    return lines[0] if lines else type(error).__name__
