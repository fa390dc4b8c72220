"""The bank's modeller: a job through the wizard, seen before it is proposed, watched while it runs, read when done."""

from __future__ import annotations

from playwright.sync_api import expect

PARTIES = ("bank", "ecommerce")


def for_a_test(source: str) -> str:
    """The wizard's job file with short keys and few rounds."""
    for line, shorter in (
        ('profile = "standard"', 'profile = "TESTING_ONLY"'),
        ('n_clusters = "auto"', "n_clusters = 2"),
    ):
        assert line in source
        source = source.replace(line, shorter)
    return source


def test_the_modeller_proposes_watches_and_reads(place, open_window, language) -> None:
    plans = {plan.name: plan for plan in place.job.parties}
    with open_window(place.at_console("mira")) as mira:
        page = mira.page
        mira.log_in("console")
        mira.click(mira.t("console.jobs.propose"))
        mira.look("wizard-1-purpose")
        # The first step by the keyboard alone.
        mira.type_into(mira.t("console.wizard.name"), f"spring-{language.lower()}")
        mira.mark("purpose", "credit_risk")
        mira.press(mira.t("console.wizard.next"))

        page.locator('input[name="holder"][value="bank"]').check()
        page.locator('input[name="with:ecommerce"]').check()
        mira.look("wizard-2-parties", is_main=False)
        mira.click(mira.t("console.wizard.next"))
        for party in PARTIES:
            page.locator(f'input[name="s:{party}:{plans[party].segment_fields[0]}"]').check()
            for column in plans[party].risk_fields[:2]:
                page.locator(f'input[name="r:{party}:{column}"]').check()
        mira.look("wizard-3-fields")
        mira.click(mira.t("console.wizard.next"))
        page.locator('input[name="model"][value="boosting"]').check()
        mira.unfold(mira.t("console.wizard.parameters"))
        page.get_by_label(mira.t("console.wizard.trees")).fill("2")
        page.get_by_label(mira.t("console.wizard.depth")).fill("2")
        mira.look("wizard-4-method", is_main=False)
        mira.click(mira.t("console.wizard.next"))

        # What would leave each party stands there before anything is proposed.
        expect(page.locator("details.leaving")).to_have_count(2)
        mira.sees(mira.t("console.leaving.per_row"))
        mira.look("wizard-5-preview")
        mira.unfold(mira.t("console.job.show_file"))
        file = page.get_by_label(mira.t("console.file.text"))
        file.fill(for_a_test(file.input_value()))
        mira.click(mira.t("console.file.look"))
        mira.sees(mira.t("console.preview.propose"))
        mira.click(mira.t("console.preview.propose"))

        # Nobody loads this page again: it follows by itself.
        mira.sees(mira.t("console.live.title"))
        address = page.url
        mira.look("job-open")
        expect(page.locator(".live [data-live-text=stage]")).not_to_have_text(mira.t("console.live.not_yet"))
        mira.look("job-running", is_main=False)
        expect(page.locator("#now .tiles")).to_be_visible()
        expect(page.locator("#now .badge.good").first).to_be_visible()
        assert page.url == address
        page.reload()
        mira.look("job-done")

        mira.click(mira.t("console.models.quality"))
        mira.sees(mira.t("console.quality.elsewhere", party="bank"))
        expect(page.locator("figure.picture canvas").first).to_be_visible()
        mira.look("job-quality")
        report = mira.keep(mira.t("console.job.report_file"))
        assert "<html" in report.path().read_text("utf-8")
        page.goto(address)
        mira.click(mira.t("console.job.see_match"))
        mira.sees(mira.t("console.match.every_step"))
        mira.look("job-match")
        mira.go(mira.t("console.nav.models"))
        mira.look("models", is_main=False)
        page.locator("main tbody th a").first.click()
        mira.sees(mira.t("console.models.trained"))
        mira.look("model", is_main=False)
        for name in ("jobs", "parties", "datasets", "purposes"):
            mira.go(mira.t("console.nav." + name))
            mira.look(name, is_main=name == "jobs")
