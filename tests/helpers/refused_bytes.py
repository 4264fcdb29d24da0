"""Gives bytes to a reader of files, and asks for the line with which it refuses them."""

import pytest

from stylegan_tf.config.errors import UserError


def reading(read_file, name):
    """(read, refusal): functions of (folder, bytes) that write a file of this name there.

    `read` returns what `read_file` does with it, `refusal` the message of its UserError: one line that names the file.
    """

    def read(folder, data):
        path = folder / name
        path.write_bytes(data)
        return read_file(path)

    def refusal(folder, data):
        with pytest.raises(UserError) as caught:
            read(folder, data)
        message = str(caught.value)
        assert message.startswith(str(folder / name)) and "\n" not in message and len(message) < 600
        return message

    return read, refusal
