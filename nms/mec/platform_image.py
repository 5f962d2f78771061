"""The image of a platform's instance: its program, and by what it and its domain know each other.

An authority that signs these two certificates and is then forgotten makes both of them pinned: whoever believes it
believes nobody else.  It is made once for an agreement and kept in a folder, so that the image is the same after a
restart.  It must not know where the image goes.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import ssl
import tarfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from nms import pki
from nms.mec import platform_program
from nms.mec.session import Members

#: Port that the program serves.
PORT: Final = 8443
COMMAND: Final = ("python3", "platform.py")
#: Files of the image.
_IMAGE: Final = ("authority.pem", "server.pem", "server-key.pem")
#: What stays here.
_OURS: Final = ("client.pem", "client-key.pem")
#: A certificate that is valid no longer than this is replaced, and the image with it.
_RENEWAL: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class PlatformImage:
    """An image with its secrets.

    Attributes:
        content: a tar archive; it holds the instance's private key.
        fingerprint: of the certificate that the instance shows, SHA-256 in hexadecimal.
        context: for the domain's own connections: believes the instance and nobody else, and shows who we are.
    """

    content: bytes
    fingerprint: str
    context: ssl.SSLContext

    @property
    def digest(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    def entry(self, source: str) -> Members:
        """For the list image of mec-resource; `source` is where it can be pulled."""
        size = str(len(self.content))
        return {"digest": self.digest, "size": size, "format": "mec-types:process-archive", "source": source}


def image(folder: Path, domain: str, now: datetime) -> PlatformImage:
    """The image whose secrets are kept in `folder`, which is made if it is missing.  Blocks on the disk.

    Args:
        domain: name of the platform's domain, for people.
    """
    if not _valid(folder, now):
        _make(folder, domain, now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The address is not known beforehand; the authority has signed one server.
    context.check_hostname = False
    context.load_verify_locations(folder / "authority.pem")
    context.load_cert_chain(folder / "client.pem", folder / "client-key.pem")
    shown = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes()).fingerprint(hashes.SHA256())
    files = {name: (folder / name).read_bytes() for name in _IMAGE}
    program = Path(platform_program.__file__).read_bytes()
    return PlatformImage(_archive({**files, "platform.py": program}), shown.hex(), context)


def _valid(folder: Path, now: datetime) -> bool:
    if not all((folder / name).is_file() for name in (*_IMAGE, *_OURS)):
        return False
    certificates = (
        x509.load_pem_x509_certificate((folder / name).read_bytes()) for name in ("server.pem", "client.pem")
    )
    return all(each.not_valid_after_utc - now > _RENEWAL for each in certificates)


def _make(folder: Path, domain: str, now: datetime) -> None:
    authority = pki.Authority(f"platform of {domain}", now)
    server, client = authority.server(f"platform of {domain}", []), authority.client(domain)
    made = {
        "authority.pem": authority.own.certificate,
        "server.pem": server.certificate,
        "server-key.pem": server.private,
        "client.pem": client.certificate,
        "client-key.pem": client.private,
    }
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o700)
    for name, content in made.items():
        with open(os.open(partial / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    partial.rename(folder)


def _archive(files: dict[str, bytes]) -> bytes:
    """A tar archive that depends on its files only."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()
