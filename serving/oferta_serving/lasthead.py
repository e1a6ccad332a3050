"""The last release head seen, kept in a file: what is served when there is no Redis at boot.

    magic 8s | signature 32s of the rest | count u32 | per record: length u32, bytes

The records are those of the store, each with its own checksum. The signature is made with the key
secret: who can write the folder, and does not have the secret, cannot make an offer. A file that is
not whole, or not signed by us, is no file.
"""

import hmac
import struct
from pathlib import Path

from oferta.durable import replaced
from oferta.errors import RecordCorrupt
from oferta.store.head import (
    ManifestRecord,
    manifest_record,
    pack_head,
    read_head,
    read_manifest,
)
from oferta.store.keys import KeySpace
from oferta.store.release import Head

FILE_NAME = "last-head"
_MAGIC = b"OFRTHD2\n"
_START = len(_MAGIC) + 32
_COUNT = struct.Struct("<I")


def keep(folder: Path, head: Head, space: KeySpace) -> None:
    """Write the head: the old file or the new one is there at any moment, never half of one.

    Raises:
        OSError: the folder cannot be written.
    """
    parts, size, digest = pack_head(head)
    record = ManifestRecord(
        manifest=head.manifest,
        rows=0,
        row_bytes=0,
        head_parts=len(parts),
        head_bytes=size,
        head_sha256=digest,
    )
    records = [manifest_record(record), *parts]
    body = _COUNT.pack(len(records)) + b"".join(_COUNT.pack(len(r)) + r for r in records)
    folder.mkdir(parents=True, exist_ok=True)
    # Several workers may write the same head at once: each has a draft of its own.
    with replaced(folder / FILE_NAME, mode=0o600) as file:
        file.write(_MAGIC + space.file_signature(body) + body)


def restore(folder: Path, space: KeySpace) -> Head | None:
    """The head that was kept last, or None where none was.

    Raises:
        RecordCorrupt: the file is not whole, or another secret signed it.
    """
    try:
        content = (folder / FILE_NAME).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordCorrupt(f"{folder / FILE_NAME}: {type(error).__name__}") from error
    body = content[_START:]
    if not hmac.compare_digest(content[:_START], _MAGIC + space.file_signature(body)):
        raise RecordCorrupt(
            f"{folder / FILE_NAME}: altered, not whole, or signed by another secret"
        )
    records = _records(body)
    return read_head(read_manifest(records[0]), records[1:])


def _records(body: bytes) -> list[bytes]:
    (count,) = _COUNT.unpack_from(body)
    at = _COUNT.size
    records = []
    for _ in range(count):
        (length,) = _COUNT.unpack_from(body, at)
        at += _COUNT.size
        records.append(body[at : at + length])
        at += length
    return records
