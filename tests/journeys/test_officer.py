"""The protection officer: files a deletion at the desk, follows it at all parties, hands over a receipt that holds."""

from __future__ import annotations

import subprocess

from browsing import LANGUAGES
from three_nodes import eventually

from federation.children import program


def pins(place) -> list[str]:
    """Everybody's fingerprint, as the parties say it themselves."""
    found = {party: place.home(party).identity.public.fingerprint for party in place.PARTIES}
    return [part for party, digits in found.items() for part in ("--fingerprint", f"{party}={digits}")]


def test_the_officer_has_somebody_deleted(place, open_window, language, tmp_path) -> None:
    person = place.person(LANGUAGES.index(language))
    with open_window(place.at_desk("bank", "odile")) as odile:
        page = odile.page
        odile.log_in("desk")
        odile.go(odile.t("desk.nav.requests"))
        odile.look("desk-requests-before", is_main=False)
        odile.click(odile.t("desk.requests.new"))
        odile.look("desk-request-new")
        # The whole request by the keyboard alone.
        odile.type_into(odile.t("desk.consents.identifier"), person)
        odile.choose("kind", "delete")
        odile.choose("verified_by", "branch")
        odile.press(odile.t("desk.requests.file"))
        odile.sees(odile.t("desk.requests.to_case"))
        odile.look("desk-request-filed", is_main=False)
        assert person not in page.content()
        odile.click(odile.t("desk.requests.to_case"))
        number = page.url.rsplit("/", 1)[1]
        odile.look("desk-request-open", is_main=False)
        odile.go(odile.t("desk.nav.requests"))
        odile.click(odile.t("desk.requests.show_all"))
        odile.sees(number[:8])
        odile.look("desk-requests")
        page.goto(f"/desk/requests/{number}")

        def has_receipt() -> bool:
            page.reload()
            return page.get_by_role("button", name=odile.t("desk.requests.receipt_json")).count() == 1

        eventually(has_receipt)
        for party in ("ecommerce", "telecom"):
            odile.sees(f"{party} · {odile.t('receipts.state.completed')}")
        odile.look("desk-request")
        receipt = odile.keep(odile.t("desk.requests.receipt_json"))
        file = tmp_path / receipt.suggested_filename
        receipt.save_as(file)
        printed = odile.keep(odile.t("desk.requests.receipt_html"))
        assert number in printed.path().read_text("utf-8")
        assert person not in page.content() + file.read_text("utf-8")
    checked = subprocess.run(
        (program("silhouette-node"), "request", "verify-receipt", *pins(place), str(file)),
        text=True,
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
