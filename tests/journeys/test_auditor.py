"""The auditor: the log, one event's proof, the whole log as a bundle with two persons, checked without the network."""

from __future__ import annotations

import re
import subprocess

from playwright.sync_api import expect

from federation.children import program


def test_the_auditor_checks_the_log(place, open_window, tmp_path) -> None:
    with open_window(place.at_console("aldo")) as aldo, open_window(place.at_console("anja")) as anja:
        aldo.page.goto("/login")
        aldo.look("console-login")
        aldo.log_in("console")
        aldo.look("console-overview")
        aldo.go(aldo.t("console.audit.title"))
        aldo.look("console-audit")

        # Who did what: by the keyboard again.
        aldo.type_into(f"{aldo.t('console.audit.actor')} {aldo.t('web.form.optional')}", "runner")
        aldo.page.keyboard.press("Enter")
        expect(aldo.page).to_have_url(re.compile("actor=runner"))
        rows = aldo.page.locator("main tbody tr")
        expect(rows.first).to_contain_text("runner")
        assert all("runner" in row for row in rows.all_inner_texts())

        # The oldest of them has been signed by all parties since.
        rows.last.get_by_role("link").click()
        for party in place.PARTIES:
            aldo.sees(aldo.t("console.event.cosigned", party=party))
        assert aldo.page.locator(".notice.good").count() == 1
        assert aldo.page.locator(".checks .badge.bad").count() == 0
        aldo.look("console-event")

        # The export: asked for here, confirmed by a colleague, taken once.
        aldo.go(aldo.t("console.audit.title"))
        aldo.click(aldo.t("console.export.ask"))
        aldo.sees(aldo.t("console.confirm.waits"))
        assert aldo.page.get_by_role("button", name=aldo.t("console.confirm.take"), exact=True).count() == 0
        anja.log_in("console")
        anja.go(anja.t("console.confirm.title"))
        anja.look("console-confirmations")
        anja.click(anja.t("console.confirm.yes"))
        anja.sees(anja.t("console.confirm.nothing"))
        aldo.go(aldo.t("console.confirm.title"))
        aldo.sees(aldo.t("console.confirm.confirmed", name="anja"))
        aldo.look("console-confirmed", is_main=False)
        bundle = aldo.keep(aldo.t("console.confirm.take"))
        file = tmp_path / bundle.suggested_filename
        bundle.save_as(file)

        fingerprint = place.local.coordinator.identity.public.fingerprint
        command = (program("silhouette"), "audit", "verify", "--fingerprint", f"coordinator={fingerprint}")
        checked = subprocess.run((*command, str(file)), text=True, capture_output=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        aldo.page.reload()
        assert aldo.page.get_by_role("button", name=aldo.t("console.confirm.take"), exact=True).count() == 0
