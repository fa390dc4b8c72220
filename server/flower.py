"""The coordinator's side of Flower: SuperLink's Control API on loopback, and the app bundle of a run."""

from __future__ import annotations

import hashlib
from typing import Final

from flwr.cli.build import build_fab_from_files
from flwr.common.serde import fab_to_proto, user_config_to_proto
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    ListRunsRequest,
    RegisterNodeRequest,
    StartRunRequest,
    StopRunRequest,
)
from flwr.supercore.control.control_http_client import ControlHttpClient
from flwr.supercore.fab import Fab
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor

from federation.bundle import PACKAGES, installed_files
from server.home import CoordinatorHome

_PYPROJECT: Final = f"""\
[project]
name = "silhouette"
version = "1.0.0"
license = {{ text = "Apache-2.0" }}
dependencies = []

[tool.flwr.app]
publisher = "silhouette"
fab-include = [{", ".join(f'"{package}/**"' for package in PACKAGES)}]

[tool.flwr.app.components]
serverapp = "server.app:app"
clientapp = "clients.app:app"

[tool.flwr.app.config]
job = ""
"""
FINISHED: Final = "finished"


def build_bundle() -> bytes:
    """This installation's code as a Flower app bundle (FAB)."""
    files = {"pyproject.toml": _PYPROJECT.encode(), **installed_files()}
    return build_fab_from_files(files)[0]


class FlowerControl:
    """SuperLink's Control API. Loopback only: in the open edition it authenticates nobody."""

    def __init__(self, home: CoordinatorHome) -> None:
        self._client = ControlHttpClient.from_server_address(
            f"127.0.0.1:{home.settings.superlink_port}",
            False,
            home.loopback_certificate_file.read_bytes(),
            [RuntimeVersionHttpInterceptor(component_name="flwr CLI")],
        )

    def register(self, flower_key: str) -> int:
        """Admit a SuperNode by its public key (PEM); returns its node id."""
        return int(self._client.RegisterNode(RegisterNodeRequest(public_key=flower_key.encode())).node_id)

    def node_status(self) -> dict[int, str]:
        """Every registered node's status ("online", "offline", ...)."""
        return {node.node_id: node.status for node in self._client.ListNodes(ListNodesRequest()).nodes_info}

    def start(self, bundle: bytes, job_id: str) -> int:
        """Start a run for a job that lies in the coordinator's home; returns Flower's run id."""
        fab = Fab(hashlib.sha256(bundle).hexdigest(), bundle, {})
        request = StartRunRequest(
            fab=fab_to_proto(fab), override_config=user_config_to_proto({"job": job_id})
        )
        return int(self._client.StartRun(request).run_id)

    def status(self, run_id: int) -> tuple[str, str, str]:
        """(status, sub-status, details) of a run."""
        status = self._client.ListRuns(ListRunsRequest(run_id=run_id)).run_dict[run_id].status
        return status.status, status.sub_status, status.details

    def stop(self, run_id: int) -> None:
        """Stop a run."""
        self._client.StopRun(StopRunRequest(run_id=run_id))
