"""The long-lived worker: takes Flower's messages from the SuperNode and gives them to the installed ClientApp.

Stock Flower starts a process per message and runs the code in the run's bundle. This worker does neither: it lives
as long as the node, and it refuses a run whose bundle is not the code this node has installed (or that its owner
approved). It is the only file that uses Flower's Runtime API; that API is not declared stable, so the supported
versions are listed here, and the deployment tests make every call against a real SuperNode.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable
from importlib.metadata import version
from typing import Final

import httpx
from flwr.app import Context, Error, Message
from flwr.clientapp import ClientApp
from flwr.common.constant import ErrorCode, SubStatus
from flwr.proto.runtime_pb2 import AcquireTaskRequest, SendTaskHeartbeatRequest
from flwr.supercore.fab import Fab
from flwr.supercore.heartbeat import HeartbeatSender
from flwr.supercore.interceptors import (
    RuntimeTokenHttpInterceptor,
    RuntimeVersionHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.protobuf.client import ProtobufClientInterceptor
from flwr.supercore.retry import RetryInvoker, exponential
from flwr.supercore.run import Run
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supernode.runtime.run_clientapp import pull_task_input, push_message, push_task_output

from federation.bundle import bundle_digest, installed_digest
from privacy.errors import CodeNotApproved, SilhouetteError, VersionMismatch

SUPPORTED_FLOWER: Final = ("1.41.", "1.42.")
POLL_SECONDS: Final = 0.2
MESSAGE_WAIT_SECONDS: Final = 5.0
"""The SuperNode hands out a task a moment before it has stored the task's message."""
RECONNECT_SECONDS: Final = 10.0
"""A SuperNode that starts again takes less. Afterwards it knows nothing of a task that it gave out before."""
CLIENT_TASK: Final = "flwr-clientapp"

log = logging.getLogger("silhouette.worker")


def check_flower_version() -> None:
    """Raises `VersionMismatch` when the installed Flower is one whose Runtime API we have not tested."""
    installed = version("flwr")
    if not installed.startswith(SUPPORTED_FLOWER):
        raise VersionMismatch("flower_version", installed=installed, supported=", ".join(SUPPORTED_FLOWER))


def check_code(bundle: bytes, approved: tuple[str, ...]) -> None:
    """Raises `CodeNotApproved` unless the run's bundle is our installed code or approved by this node's owner."""
    digest = bundle_digest(bundle)
    if digest != installed_digest() and digest not in approved:
        raise CodeNotApproved("code_unknown", digest=digest[:16], installed=installed_digest()[:16])


class Worker:
    """Polls one SuperNode's Runtime API (loopback, `address` as host:port) until `stop` is set."""

    def __init__(
        self, address: str, secret: bytes, make_app: Callable[[], ClientApp], approved: tuple[str, ...]
    ) -> None:
        check_flower_version()
        installed_digest()  # now: what is installed when the node starts is what it runs
        self._address = address
        self._secret = secret
        self._make_app = make_app
        self._approved = approved
        self.stop = threading.Event()

    def _client(self, *interceptors: ProtobufClientInterceptor) -> RuntimeHttpClient:
        return RuntimeHttpClient.from_server_address(
            server_address=self._address,
            insecure=True,
            root_certificates=None,
            interceptors=[RuntimeVersionHttpInterceptor(component_name=CLIENT_TASK), *interceptors],
            # Flower's own for a process per task ends the process when a token is no longer taken.
            retry_invoker=RetryInvoker(
                lambda: exponential(max_delay=1),
                recoverable_exceptions=httpx.TransportError,
                max_tries=None,
                max_time=RECONNECT_SECONDS,
            ),
        )

    def run(self) -> None:
        """Serve tasks one after the other; a task that fails does not end the worker."""
        acquire = self._client(
            SuperExecAuthHttpInterceptor(
                master_secret=self._secret,
                protected_methods=frozenset({"/flwr.proto.Runtime/AcquireTask"}),
            )
        )
        while not self.stop.is_set():
            try:
                task = acquire.AcquireTask(AcquireTaskRequest(supported_task_types=[CLIENT_TASK]))
            except httpx.HTTPError:
                self.stop.wait(1.0)  # the SuperNode is starting, or starting again
                continue
            if task.HasField("task") and task.token:
                self._serve(task.token)
            else:
                self.stop.wait(POLL_SECONDS)

    def _serve(self, token: str) -> None:
        client = self._client(RuntimeTokenHttpInterceptor(token))
        heartbeat = HeartbeatSender(lambda: _beat(client))
        heartbeat.start()
        message: Message | None = None
        context: Context | None = None
        status, details = SubStatus.FAILED, ""
        try:
            message, context, _run, bundle = self._pull(client)
            check_code(bundle.content, self._approved)
            reply = self._make_app()(message=message, context=context)
            status = SubStatus.COMPLETED
        except Exception as error:
            # Flower carries this text to the coordinator: ours are made for that, others may hold a value.
            details = type(error).__name__
            if isinstance(error, SilhouetteError):
                details = error.for_others().render()
                log.error("session failed: %s", error.render())
            else:
                log.error("session failed: %s", details)
                # Where, but not what: an unforeseen exception's own text may quote a cell.
                log.error("".join(traceback.format_tb(error.__traceback__)))
            if message is None:
                reply = None
            else:
                refused = isinstance(error, CodeNotApproved)
                code = ErrorCode.INVALID_FAB if refused else ErrorCode.CLIENT_APP_RAISED_EXCEPTION
                reply = Message(Error(code=code, reason=details), reply_to=message)
        try:
            if reply is not None and context is not None:
                push_message(client, reply, context)
            push_task_output(client, context, status, details)
        except httpx.HTTPError:
            log.error("the SuperNode did not take the reply")
        finally:
            heartbeat.stop()
            client.close()

    def _pull(self, client: RuntimeHttpClient) -> tuple[Message, Context, Run, Fab]:
        give_up = time.monotonic() + MESSAGE_WAIT_SECONDS
        while True:
            try:
                return pull_task_input(client)
            except RuntimeError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.05)


def _beat(client: RuntimeHttpClient) -> bool:
    """One sign of life of a task; False to try again soon.

    Flower's own ends the process when the SuperNode knows nothing of the task; a node outlives its tasks.
    """
    try:
        client.SendTaskHeartbeat(SendTaskHeartbeatRequest())
    except httpx.TransportError:
        return False
    except httpx.HTTPStatusError:
        log.error("the SuperNode does not know the task any more")
    return True
