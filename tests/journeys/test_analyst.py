"""The bank's analyst: segments and what they are like, a list for an offer, given out once a second person agrees."""

from __future__ import annotations

import csv

from playwright.sync_api import expect

PURPOSE = "marketing"


def test_the_analyst_builds_an_audience(place, open_window, language) -> None:
    with open_window(place.at_console("ana")) as ana:
        ana.log_in("console")
        ana.go(ana.t("console.personas.title"))
        ana.look("personas", is_main=False)
        ana.page.locator(f'main a[href="/personas/{place.number}"]').click()
        ana.sees(ana.t("console.persona.index_note"))
        expect(ana.page.locator("main section.card")).to_have_count(3)
        expect(ana.page.locator("figure.picture canvas").first).to_be_visible()
        ana.look("persona")

    name = f"offer-{language.lower()}"
    with (
        open_window(place.at_desk("bank", "ana")) as ana,
        open_window(place.at_desk("bank", "bo")) as bo,
    ):
        page = ana.page
        ana.log_in("desk")
        ana.go(ana.t("desk.nav.results"))
        ana.look("desk-results", is_main=False)
        page.locator("main tbody th a").first.click()
        ana.sees(ana.t("desk.results.columns"))
        ana.look("desk-result")

        ana.go(ana.t("desk.nav.audiences"))
        ana.click(ana.t("desk.audiences.new"))
        ana.look("desk-audience-new", is_main=False)
        # The list's own form by the keyboard alone.
        ana.tab_to(page.locator('input[name="source"]').first)
        page.keyboard.press("Space")
        ana.type_into(ana.t("desk.audiences.name"), name)
        ana.press(ana.t("desk.audiences.build"))
        ana.sees(name)
        ana.look("desk-audiences")
        card = page.locator("section.card", has_text=name)
        card.get_by_role("button").first.click()
        ana.sees(ana.t("desk.second.waits"))

        bo.log_in("desk")
        bo.go(bo.t("desk.nav.confirmations"))
        bo.look("desk-confirmations")
        bo.click(bo.t("desk.second.yes"))
        bo.sees(bo.t("desk.second.yes_given"))

        ana.go(ana.t("desk.nav.audiences"))
        ana.sees(ana.t("desk.second.ready", name="bo"))
        with page.expect_download() as found:
            card.get_by_role("button").first.click()
        with found.value.path().open(newline="") as stream:
            people = [*csv.reader(stream)]
        assert len(people) > 1
        page.reload()
        assert ana.t("desk.second.ready", name="bo") not in page.locator("main").inner_text()
        ana.sees(ana.t("desk.given.given"))
        ana.look("desk-audiences-given", is_main=False)
