"""Whether a certificate of the user's own can be shown: looked at before anybody is asked.

libcurl says of all that can be wrong with one the same, and of a key with a password it asks OpenSSL to ask the person.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from onelight.errors import ConfigError
from onelight.route import redact


class _LockedError(Exception):
    """The key has a password."""


def check_certificate(name: str, base_url: str, certificate: str, key: str = "") -> tuple[str, str]:
    """Return the absolute paths of a certificate and its key.

    Parameters
    ----------
    name, base_url : str
        Of the repository.
    certificate, key : str
        Files in the form PEM; without a key, it is in the file of the certificate.

    Raises
    ------
    ConfigError
        If they cannot be read or shown.
    """
    if not certificate:
        raise ConfigError(
            f"the repository '{name}' has the key of a certificate, and no certificate",
            hint="Name the file of the certificate, too, as 'certificate'",
        )
    if not base_url.startswith("https://"):
        raise ConfigError(
            f"the repository '{name}' has a certificate, and {redact(base_url)} does not ask for any",
            hint="Certificates belong to https://: give the address of that kind, or remove the certificate",
        )
    shown = Path(certificate).expanduser().absolute()
    locked = Path(key).expanduser().absolute() if key else shown
    texts = [_read(name, path) for path in (shown, locked)]
    import ssl  # takes ten milliseconds

    def ask() -> NoReturn:
        raise _LockedError

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(shown, locked, password=ask)
    except _LockedError as error:
        raise ConfigError(
            f"the key {locked} of the repository '{name}' is protected by a password",
            hint=f"One without is needed, that only you can read: openssl pkey -in '{locked}' -out NEW.pem",
        ) from error
    except ssl.SSLError as error:
        _explain(name, (shown, locked), texts, error)
    return str(shown), str(locked)


def _read(name: str, path: Path) -> str:
    try:
        return path.read_bytes().decode("latin-1")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}, for the certificate of the repository '{name}', cannot be read: "
            f"{getattr(error, 'strerror', None) or error}",
            hint="Put the path or the file right, or add the repository again with --certificate FILE",
        ) from error


def _explain(name: str, paths: tuple[Path, Path], texts: list[str], error: Exception) -> NoReturn:
    """Say which of the two files is wrong."""
    shown, key = paths
    if "CERTIFICATE-----" not in texts[0]:
        what = f"{shown} has no certificate in the form PEM"
        hint = "Of a file .p12 or .pfx it is made with: openssl pkcs12 -in FILE -nodes -out NEW.pem"
    elif "PRIVATE KEY-----" not in texts[1]:
        what = f"{key} has no private key in the form PEM"
        hint = "If the key is in another file, name it, too: 'key', or --key FILE"
    elif "KEY_VALUES_MISMATCH" in str(error):
        what = f"the key in {key} is not that of the certificate in {shown}"
        hint = "Name the two files that belong together"
    else:
        what = f"{shown} and {key} are no certificate and its key: {error}"
        hint = "Were they copied whole?"
    raise ConfigError(f"{what} (repository '{name}')", hint=hint) from error
