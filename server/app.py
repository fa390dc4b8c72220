"""Flower ServerApp (thin): finds the job, opens the relay session, lets `rounds.Driver` drive it."""

from __future__ import annotations

import secrets

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from privacy.errors import SilhouetteError
from server.home import CoordinatorHome
from server.invitation import FlowerInvitation, RelayAdmin
from server.records import JobRecord
from server.rounds import Driver

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the job that the run's setting `job` names. The outcome is written to the coordinator's home."""
    home = CoordinatorHome.from_environment()
    record = JobRecord(home.job_folder(str(context.run_config["job"])))
    running = home.running
    node_ids = running.node_ids if running else {}
    relay = RelayAdmin(home.roster, home.relay_secret, secrets.token_hex(16))
    invitation = FlowerInvitation(grid, node_ids, record.job.deadlines)
    home.forget_stale()
    store = home.unfinished(record.job.digest)
    try:
        driver = Driver(record.job, record, home.identity, home.roster, relay, invitation, store, home.audit)
    except SilhouetteError as error:
        record.fail(error)
    else:
        driver.run()
