"""Where `silhouette login` keeps addresses and tokens: one file that only its owner can read, outside any project.

The environment goes before the file: `SILHOUETTE_URL`, `SILHOUETTE_TOKEN`, `SILHOUETTE_CERTIFICATE`.
"""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Final

import msgspec

from privacy.errors import ConfigInvalid

URL_VARIABLE: Final = "SILHOUETTE_URL"
TOKEN_VARIABLE: Final = "SILHOUETTE_TOKEN"  # noqa: S105
CERTIFICATE_VARIABLE: Final = "SILHOUETTE_CERTIFICATE"
FOLDER_VARIABLE: Final = "SILHOUETTE_CONFIG"
_NAME: Final = "credentials.toml"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one comes in at a coordinator. certificate: path of its own one, or "" for those the machine trusts."""

    url: str
    token: str = ""
    certificate: str = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is kept. current: address of the one that commands go to."""

    current: str = ""
    coordinator: tuple[Credentials, ...] = ()


def credentials_file() -> Path:
    """`$SILHOUETTE_CONFIG`, else the user's own folder for settings (XDG Base Directory Specification 0.8)."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen) / _NAME
    settings = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(settings) / "silhouette" / _NAME


def stored(url: str = "") -> Credentials:
    """Of the coordinator with this address, or of the current one. Raises `ConfigInvalid` where there is none."""
    if not url and os.environ.get(URL_VARIABLE):
        return Credentials(
            os.environ[URL_VARIABLE],
            os.environ.get(TOKEN_VARIABLE, ""),
            os.environ.get(CERTIFICATE_VARIABLE, ""),
        )
    kept = _read()
    wanted = url or kept.current
    found = next((one for one in kept.coordinator if one.url == wanted), None)
    if found is None:
        raise ConfigInvalid("client_no_login")
    return found


def keep(credentials: Credentials) -> Path:
    """Remember a coordinator, as the current one; returns the file."""
    others = tuple(one for one in _read().coordinator if one.url != credentials.url)
    return _write(_File(credentials.url, (*others, credentials)))


def drop(url: str) -> None:
    """Forget a coordinator."""
    kept = _read()
    others = tuple(one for one in kept.coordinator if one.url != url)
    current = kept.current if kept.current != url else ""
    _write(_File(current, others))


def _read() -> _File:
    """Raises `ConfigInvalid` for a file that others can read: what is in it is no secret any more."""
    file = credentials_file()
    try:
        with file.open("rb") as stream:
            if os.name == "posix" and os.fstat(stream.fileno()).st_mode & _OTHERS:
                raise ConfigInvalid("client_credentials_open", file=file)
            return msgspec.convert(tomllib.load(stream), _File)
    except FileNotFoundError:
        return _File()
    except (msgspec.MsgspecError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        # The parser's own message may quote a token.
        raise ConfigInvalid("client_credentials", file=file) from None


def _write(content: _File) -> Path:
    # Here, for it brings in more than a notebook needs.
    import tomli_w

    from federation.files import replace_file

    file = credentials_file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(file, tomli_w.dumps(msgspec.to_builtins(content)).encode(), secret=True)
    return file
