"""The libraries we compare with, each behind the few calls that a benchmark makes.

All are optional: a constructor raises `PeerMissing` where its library cannot be imported. Values are encoded before
the clock runs, so that peers are timed on their cryptography and not on what their Python bindings convert.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import numpy as np

ZPAILLIER: Final = "zpaillier"
OKAMOTO_UCHIYAMA: Final = "ou"
HEU_ZPAILLIER: Final = "HEU zpaillier"
HEU_OU: Final = "HEU OU"
HEU_NAMES: Final = {ZPAILLIER: HEU_ZPAILLIER, OKAMOTO_UCHIYAMA: HEU_OU}
PHE_NAME: Final = "phe"
PSI_NAME: Final = "openmined-psi"
SPU_PROTOCOLS: Final = {
    "spu ECDH-25519": ("PROTOCOL_ECDH", "CURVE_25519"),
    "spu KKRT": ("PROTOCOL_KKRT", "CURVE_INVALID_TYPE"),
    "spu RR22": ("PROTOCOL_RR22", "CURVE_INVALID_TYPE"),
}

Peer = TypeVar("Peer")


class PeerMissing(Exception):
    """The library is not installed, or does not load on this system."""


def load(module: str) -> Any:
    """Import a peer's module. Raises `PeerMissing`."""
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as problem:
        raise PeerMissing(module) from problem


def if_installed(make: Callable[[], Peer]) -> Peer | None:
    """The peer, or None where it is missing."""
    try:
        return make()
    except PeerMissing:
        return None


class Heu:
    """SecretFlow's HEU under one schema, with a key pair of its own. Arrays are columns, (n, 1)."""

    def __init__(self, schema: str, key_bits: int) -> None:
        phe, self._numpy = load("heu.phe"), load("heu.numpy")
        self.name = HEU_NAMES[schema]
        self._kit = self._numpy.setup(phe.parse_schema_type(schema), key_bits)
        self._encoder = phe.BigintEncoder(self._kit.get_schema())
        self._decoder = phe.BigintDecoder()
        self._encryptor, self._decryptor = self._kit.encryptor(), self._kit.decryptor()
        self._evaluator = self._kit.evaluator()

    def encode(self, values: Sequence[int] | np.ndarray[Any, Any]) -> Any:
        """A column of a list, or the table itself."""
        array = np.array(values, dtype=object) if isinstance(values, Sequence) else values
        return self._kit.array(array.reshape(len(array), -1), self._encoder)

    def encrypt(self, encoded: Any) -> Any:
        return self._encryptor.encrypt(encoded)

    def decrypt(self, encrypted: Any) -> list[int]:
        """All values of an array, row by row."""
        decoded = self._decryptor.decrypt(encrypted).to_numpy(self._decoder)
        return [int(value) for value in decoded.reshape(-1)]

    def add(self, left: Any, right: Any) -> Any:
        """Element by element."""
        return self._evaluator.add(left, right)

    def sum(self, encrypted: Any) -> Any:
        """One ciphertext (no array)."""
        return self._evaluator.sum(encrypted)

    def decrypt_one(self, encrypted: Any) -> list[int]:
        """What `sum` returned, as a list of one."""
        return [int(str(self._decryptor.decrypt(encrypted)))]

    def bucket_sums(
        self, column: Any, rows: np.ndarray[Any, Any], codes: np.ndarray[Any, Any], bins: int
    ) -> Any:
        """(n_features * bins,), feature by feature.

        rows: (n,) int8, 1 where a row counts; codes: (n, n_features) int8.
        """
        return self._evaluator.feature_wise_bucket_sum(column, rows, codes, bins, False)

    def multiply(self, matrix: Any, column: Any) -> Any:
        """An encoded matrix times an encrypted column."""
        return self._evaluator.matmul(matrix, column)


class OpenMinedPsi:
    """openmined-psi: exact two-party ECDH matching over P-256 in C++, the client learns the intersection."""

    name = PSI_NAME

    def __init__(self) -> None:
        self._psi = load("private_set_intersection.python")

    def match(self, client_ids: Sequence[str], server_ids: Sequence[str]) -> set[int]:
        """Where the client's shared ids stand in its list. Both sides' work."""
        client = self._psi.client.CreateWithNewKey(True)
        server = self._psi.server.CreateWithNewKey(True)
        # RAW: an exact answer; the false-positive rate of the other structures does not apply.
        setup = server.CreateSetupMessage(0.0, len(client_ids), server_ids, self._psi.DataStructure.RAW)
        response = server.ProcessRequest(client.CreateRequest(client_ids))
        return set(client.GetIntersection(setup, response))


class SpuPsi:
    """SecretFlow's spu: two-party matching in C++, over files, which is its only interface."""

    def __init__(self, protocol_name: str) -> None:
        self._psi, self._link = load("spu.psi"), load("spu.libspu").link
        self.name = protocol_name
        self._protocol, self._curve = SPU_PROTOCOLS[protocol_name]

    def match(self, folder: str, files: tuple[str, str], column: str) -> int:
        """The number of shared ids. Both sides' work; `files` in `folder` hold one id per line under `column`."""
        from concurrent.futures import ThreadPoolExecutor

        link = self._link
        description = link.Desc()
        for rank in range(2):
            description.add_party(f"party-{rank}", f"benchmark-{rank}")

        def side(rank: int) -> int:
            psi = self._psi
            ecdh = psi.EcdhParams(curve=psi.parse_curve_type(self._curve))
            config = psi.PsiExecuteConfig(
                protocol_conf=psi.PsiProtocolConfig(
                    protocol=psi.parse_protocol(self._protocol), receiver_rank=0, ecdh_params=ecdh
                ),
                input_params=psi.InputParams(
                    path=f"{folder}/{files[rank]}", selected_keys=[column], keys_unique=True
                ),
                output_params=psi.OutputParams(
                    path=f"{folder}/{files[rank]}.matched", disable_alignment=True
                ),
            )
            report = psi.psi_execute(config, link.create_mem(description, rank))
            return int(report.intersection_count)

        with ThreadPoolExecutor(2) as threads:
            receiver, _ = threads.map(side, range(2))
        return receiver
