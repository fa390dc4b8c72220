"""What is done on the pages: coming in, proposing, stopping, confirming, watching, and proving an event."""

import asyncio
import io
import re
import zipfile

import pytest
from console_scene import PASSWORD, Html, Scene

from federation.audit_bundle import verify
from federation.proposals import JobState
from federation.web.wording import Wording
from privacy.access import Role
from server.console.live import progress_of
from server.console.services import Console

PREVIEW = (
    "/jobs/new?name=wizard&purpose=credit_risk&holder=bank&with:shop=yes&s:bank:income=yes&r:bank:income=yes"
    "&r:shop:orders=yes&mode=ecdh&segments=yes&clusters=3&model=scorecard&max_bins=6&step=preview"
)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A coordinator whose state these tests change."""
    return Scene(tmp_path_factory.mktemp("doing"))


def hidden(page, name):
    return next(item["value"] for item in Html(page).all("input") if item.get("name") == name)


def cookie_of(answer):
    return answer.headers["set-cookie"].split("=", 1)[1].split(";", 1)[0]


def form(own, path, **fields):
    headers = {"sec-fetch-site": "same-origin"}
    return own.call("POST", path, data=fields, headers=headers)


# --- coming in


def test_a_password_leads_in_and_a_wrong_one_does_not(own):
    wrong = form(own, "/login", name="mo", password="not it at all")
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers
    assert 'role="alert"' in wrong.text
    right = form(own, "/login", name="mo", password=PASSWORD, next="/models")
    assert (right.status_code, right.headers["location"]) == (303, "/models")
    assert "HttpOnly" in right.headers["set-cookie"]
    assert form(own, "/login", name="mo", password=PASSWORD, next="//evil.test").headers["location"] == "/"


def test_who_is_not_logged_in_is_led_to_the_login_and_back(own):
    answer = own.call("GET", "/models?x=1")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Fmodels%3Fx%3D1"


def test_a_new_user_sets_a_password_before_anything_else(own):
    page = own.post("/users", "adam", name="nina", roles=["modeller"], language="en").text
    code = re.search(r'class="secret"><code>([^<]+)', page)[1]
    entered = form(own, "/login", code=code, next="/jobs")
    assert entered.headers["location"] == "/password"
    own.secrets["nina"] = cookie_of(entered)
    assert own.call("GET", "/jobs", "nina").status_code == 403
    assert own.call("GET", "/", "nina").headers["location"] == "/password"
    new = "fünf kleine Wörter am Morgen"
    assert own.post("/password", "nina", new=new, again="anders").status_code == 422
    done = own.post("/password", "nina", new=new, again=new)
    assert done.headers["location"] == "/"
    assert own.call("GET", "/", "nina").status_code == 303, "the login before the password has ended"
    own.secrets["nina"] = cookie_of(done)
    assert own.call("GET", "/jobs", "nina").status_code == 200
    assert form(own, "/login", code=code).status_code == 401, "a code is good once"


def test_leaving_ends_the_login(own):
    own.secrets["olga"] = own.access.log_in("olga", PASSWORD)[0]
    assert own.call("GET", "/", "olga").status_code == 200
    own.post("/logout", "olga")
    assert own.call("GET", "/", "olga").status_code == 303
    del own.secrets["olga"]


# --- proposing


def test_the_wizard_leads_from_a_purpose_to_a_proposal(own):
    first = own.call("GET", "/jobs/new", "mo").text
    assert "Assessing credit risk" in first
    skipped = Html(own.call("GET", "/jobs/new?step=preview", "mo").text)
    assert [item for tag, item, _ in skipped.tags if tag == "li" and item.get("aria-current") == "step"]
    assert "1." not in skipped.text
    assert "Name of the job" in skipped.text, "no step is skipped"
    fields = own.call("GET", "/jobs/new?name=a&purpose=p&holder=bank&with:shop=yes&step=fields", "mo").text
    names = {item.get("name") for item in Html(fields).all("input")}
    assert {"s:bank:income", "r:shop:orders", "with:shop"} <= names
    page = own.call("GET", PREVIEW, "mo")
    assert page.status_code == 200
    text = Html(page.text).text
    assert "What leaves each party" in text
    assert "Fit the scorecard" in text
    proposed = own.post("/jobs", "mo", source=hidden(page.text, "source"), days=7)
    job = own.services.jobs.get(proposed.headers["location"].removeprefix("/jobs/"))
    assert (job.state, job.proposer, job.parties) == (JobState.PROPOSED, "mo", ("bank", "shop"))
    assert (job.expires - job.proposed).days == 7
    plan = job.job
    assert (plan.segments.n_clusters, plan.scorecard.max_bins, plan.risk) == (3, 6, None)
    assert plan.plan_of("shop").segment_fields == ()
    assert plan.plan_of("shop").risk_fields == ("orders",)


def test_a_step_carries_on_what_the_others_have_asked(own):
    page = own.call("GET", PREVIEW.replace("preview", "parties"), "mo").text
    carried = {item["name"] for item in Html(page).all("input") if item.get("type") == "hidden"}
    assert {"name", "purpose", "s:bank:income", "mode"} <= carried
    assert "holder" not in carried


def test_a_draft_that_is_no_job_says_why(own):
    page = own.call("GET", PREVIEW.replace("&r:shop:orders=yes", ""), "mo")
    assert page.status_code == 422
    assert "every party lists risk_fields" in Html(page.text).text
    assert 'action="/jobs"' not in page.text


def test_a_file_is_looked_at_before_it_is_proposed(own):
    source = own.world.jobs.read  # the same reader as the pages'
    text = 'name = "x"\npurpose = "p"\n[[party]]\nname = "bank"\nrole = "label_holder"\n'
    broken = own.post("/jobs/preview", "mo", source=text)
    assert broken.status_code == 422
    assert "at least two" in Html(broken.text).text
    whole = text + '[[party]]\nname = "shop"\nrole = "feature_holder"\n'
    good = own.post("/jobs/preview", "mo", source=whole)
    assert good.status_code == 200
    assert source(hidden(good.text, "source")) == source(whole)


def test_nothing_is_proposed_without_the_page_of_the_login(own):
    before = own.services.jobs.counts()
    answer = own.call("POST", "/jobs", "mo", data={"source": "x"}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert own.services.jobs.counts() == before


def test_a_job_is_stopped_by_whoever_may(own):
    number = own.jobs["proposed"]
    assert own.post(f"/jobs/{number}/stop", "anna").status_code == 403
    assert own.post(f"/jobs/{number}/stop", "olga").status_code == 303
    assert own.services.jobs.get(number).state is JobState.STOPPED


# --- watching


def test_a_watch_tells_what_is_and_what_happens_until_the_end(own):
    number = own.jobs["done"]
    answer = own.call("GET", f"/jobs/{number}/events", "mo")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "event: over" in answer.text
    assert '"share-bank"' in answer.text


def test_progress_is_told_by_party():
    from server.jobs.views import JobEvent

    t = Wording("en")
    kinds = [
        ("stage_started", {"stage": "match", "number": 1, "of": 3}),
        ("progress", {"party": "bank", "done": 1, "total": 4, "step": "align.blind"}),
        ("party_finished", {"party": "shop", "bytes_sent": 2_000_000}),
        ("progress", {"party": "stranger", "done": 1, "total": 1, "step": "x"}),
    ]
    events = [JobEvent(number, kind, None, data) for number, (kind, data) in enumerate(kinds, 1)]
    found = progress_of(events, ("bank", "shop"), t)
    assert (found["share-bank"], found["step-bank"]) == (25.0, "blinding identifiers")
    assert (found["share-shop"], found["sent-shop"]) == (100.0, "2.0 MB")
    assert found["place"] == "step 1 of 3"
    assert not any("stranger" in name for name in found)


# --- two persons, tokens, proofs


def test_the_log_is_handed_out_when_a_second_person_has_confirmed(own):
    own.post("/audit/export", "audi")
    waiting = Html(own.call("GET", "/confirmations", "offi").text).text
    number = re.search(r"C-[A-Z2-7]{8}", waiting)[0]
    assert own.post(f"/audit/export/{number}", "audi").status_code == 403, "nobody has confirmed it"
    assert own.post(f"/confirmations/{number}/yes", "audi").status_code == 403, "not oneself"
    assert own.post(f"/confirmations/{number}/yes", "mo").status_code == 403
    own.post(f"/confirmations/{number}/yes", "offi")
    taken = own.post(f"/audit/export/{number}", "audi")
    assert taken.headers["content-type"] == "application/zip"
    assert "events.jsonl" in zipfile.ZipFile(io.BytesIO(taken.content)).namelist()
    assert verify(taken.content) == []
    assert own.post(f"/audit/export/{number}", "audi").status_code == 403, "once"


def test_a_token_is_shown_once(own):
    made = own.post("/tokens", "mo", label="notebook", roles=["modeller"], days=10)
    secret = re.search(r"slt_[\w-]+", made.text)[0]
    assert made.headers["cache-control"] == "no-store"
    later = own.call("GET", "/tokens", "mo").text
    assert "notebook" in later
    assert secret not in later
    assert own.access.caller_of(secret).roles == {Role.MODELLER}


def test_an_event_is_proved_and_a_changed_one_is_not(own, monkeypatch):
    page = Html(own.call("GET", "/audit/2", "audi").text).text
    assert "checked just now" in page
    monkeypatch.setattr(type(own.home.audit), "leaf", lambda self, seq: bytes(32))
    broken = Html(own.call("GET", "/audit/2", "audi").text).text
    assert "The proof does not hold." in broken


def test_events_are_found_by_filters_from_the_newest_on(own):
    page = Html(own.call("GET", "/audit?family=job&about=" + own.jobs["done"], "audi").text).text
    assert page.index("job.ended") < page.index("job.started") < page.index("job.proposed")
    assert "access." not in page


def test_a_first_day_says_what_to_do_next(tmp_path):
    scene = Scene(tmp_path, empty=True)
    for path, user, words in (
        ("/", "mo", "Propose a job"),
        ("/jobs", "mo", "Propose the first one"),
        ("/parties", "adam", "silhouette-node init"),
        ("/datasets", "mo", "Operators register tables"),
        ("/jobs/new", "mo", "No party has published its purposes yet"),
        ("/models", "mo", "Propose a job with a scorecard"),
        ("/personas", "anna", "Propose one with columns"),
        ("/audiences", "anna", "Analysts build them"),
        ("/requests", "audi", "No party has published a count"),
    ):
        answer = scene.call("GET", path, user)
        assert answer.status_code == 200, path
        assert words in Html(answer.text).text, path


def test_the_watch_ends_with_its_reader(own):
    """A generator that is closed is not left behind."""
    from server.console.live import _watch

    async def look():
        console = Console.of(own.services, None)
        watch = _watch(console, own.jobs["running"], ("bank", "shop"), Wording("en"))
        event = await anext(watch)
        await watch.aclose()
        return event

    event = asyncio.run(look())
    assert (event.event, event.data["share-bank"]) == ("progress", 25.0)
