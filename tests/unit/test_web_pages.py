"""Pages: their headers, cookies, languages, parts and files; nothing inline, nothing from elsewhere."""

import hashlib
import re
import string
from datetime import UTC, date, datetime
from importlib import resources

import pytest
from web_scene import Scene, picture, texts_in

from federation.bundle import installed_files
from federation.web.headers import POLICY
from federation.web.languages import known
from federation.web.local_paths import changed
from federation.web.pages import environment
from federation.web.statics import OWN, Statics
from federation.web.wording import Wording
from privacy.texts import LANGUAGES, catalogue

TEMPLATES = {
    file.name: file.read_text("utf-8") for file in (resources.files("federation.web") / "templates").iterdir()
}
FILES = {file.name: file.read_bytes() for file in resources.files(OWN).iterdir() if file.is_file()}


@pytest.fixture
def scene():
    return Scene()


def part(source, language="en", **values):
    """What a piece of a template makes."""
    head = (
        '{% from "federation.web:parts.html.j2" import table, pagination, badge, job_badge, chart, tiles, provenance, '
        "live, empty, notice with context %}"
        '{% from "federation.web:forms.html.j2" import form, field, area, choice, choices, tick with context %}'
    )
    values = {
        "t": Wording(language),
        "csrf": "c",
        "query": {},
        "link": lambda **changes: changed("/x", "a=1", changes),
        **values,
    }
    return environment().from_string(head + source).render(**values)


# --- headers and cookies


@pytest.mark.parametrize("path", ["/", "/login", "/api/thing", "/api/nothing", "/static/live.js", "/nothing"])
@pytest.mark.parametrize("secure", [False, True])
def test_every_answer_has_the_headers(path, secure):
    found = Scene(secure=secure).call("GET", path, login="wang").headers
    assert found["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert (found["x-content-type-options"], found["referrer-policy"]) == ("nosniff", "no-referrer")
    assert found["cross-origin-opener-policy"] == found["cross-origin-resource-policy"] == "same-origin"
    assert ("strict-transport-security" in found) == secure
    assert found["cache-control"] == ("no-cache" if path.startswith("/static/") else "no-store")


def test_cookies_are_for_this_host_and_for_pages_of_ours():
    plain, secure = (
        Scene(secure=secure).call("POST", "/login", data={"name": "wang"}).headers["set-cookie"]
        for secure in (False, True)
    )
    assert plain.startswith("silhouette-bank=wang;")
    assert secure.startswith("__Host-silhouette-bank=wang;")
    for cookie in (plain, secure):
        assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))
        assert "Domain" not in cookie
    assert ("Secure" in plain, "Secure" in secure) == (False, True)


# --- the layout


def test_a_page_names_what_its_reader_may_see(scene):
    page = scene.call("GET", "/jobs", login="wang").text
    links = re.findall(r'<li><a href="(/[^"?]*)"( aria-current="page")?', page)
    assert links == [("/", ""), ("/jobs", ' aria-current="page"')], "no audit for a modeller"
    assert f'value="{scene.csrf_of("wang")}"' in page
    assert "wang" in page
    assert 'href="#main"' in page
    stranger = scene.call("GET", "/login").text
    assert "<nav" not in stranger
    assert "csrf" not in stranger


def test_what_is_filled_in_is_escaped(scene):
    page = scene.call("GET", "/", login="wang").text
    assert "&lt;One&gt;" in page
    assert "<One>" not in page


def test_nothing_is_inline_and_nothing_is_from_elsewhere(scene):
    pages = [scene.call("GET", "/", login="wang").text, *TEMPLATES.values()]
    for page in pages:
        assert not re.search(r"\son[a-z]+=", page)
        assert not re.search(r"\sstyle=|<style", page)
        assert not re.search(r"(src|href|action)=\"(https?:)?//", page)
        for script in re.findall(r"<script[^>]*>", page):
            assert ' src="' in script or 'type="application/json"' in script
    files = re.findall(r'(?:src|href)="(/static/[^"]+)"', pages[0])
    assert len(files) == 5
    for file in files:
        found = scene.call("GET", file)
        assert found.status_code == 200
        assert found.headers["cache-control"].endswith("immutable")


def test_the_page_tells_htmx_to_run_nothing_and_keep_nothing(scene):
    page = scene.call("GET", "/login").text
    for setting in ('"allowEval":false', '"includeIndicatorStyles":false', '"historyCacheSize":0'):
        assert setting in page


# --- languages


@pytest.mark.parametrize(
    ("path", "headers", "language"),
    [
        ("/login", {"accept-language": "zh"}, "zh-CN"),
        ("/login", {"accept-language": "de, en;q=0.5, zh-CN;q=0.8"}, "zh-CN"),
        ("/login", {"accept-language": "fr;q=x, en-GB"}, "en"),
        ("/login?lang=zh-CN", {"accept-language": "en"}, "zh-CN"),
        ("/login", {"accept-language": "en", "cookie": "silhouette-language=zh-CN"}, "zh-CN"),
        ("/login?lang=en", {"cookie": "silhouette-language=zh-CN"}, "en"),
        ("/login?lang=tlh", {"accept-language": "zh"}, "zh-CN"),
    ],
)
def test_the_language_of_a_page(scene, path, headers, language):
    found = scene.call("GET", path, headers=headers)
    assert f'<html lang="{language}">' in found.text
    kept = found.headers.get("set-cookie", "")
    assert kept.startswith(f"silhouette-language={language};") == (known(path.partition("lang=")[2]) != "")


def test_the_language_switch_keeps_the_query(scene):
    page = scene.call("GET", "/login?next=%2Fjobs&lang=en").text
    assert 'href="/login?next=%2Fjobs&amp;lang=zh-CN"' in page


# --- what the next page says


def test_what_was_done_is_said_once_and_escaped(scene):
    form = {"name": "x", "csrf": scene.csrf_of("wang")}
    done = scene.call("POST", "/jobs", login="wang", data=form)
    assert (done.status_code, done.headers["location"]) == (303, "/jobs")
    cookie = done.headers["set-cookie"].split(";")[0]
    page = scene.call("GET", "/jobs", headers={"cookie": f"silhouette-bank=wang; {cookie}"})
    assert "Logged in as &lt;b&gt;" in page.text
    assert 'role="status"' in page.text
    assert "Max-Age=0" in page.headers["set-cookie"]
    other = scene.call("GET", "/jobs", headers={"cookie": f"silhouette-bank=li; {cookie}"})
    assert "&lt;b&gt;" not in other.text, "it is for one login"


@pytest.mark.parametrize("value", ["x", "e30.x", ".", "eyJ0b25lIjoiZ29vZCJ9.", "ü.ü", "a" * 5_000])
def test_a_message_of_somebody_elses_making_is_not_shown(scene, value):
    cookie = f"silhouette-bank=wang; silhouette-bank-said={value}".encode()
    found = scene.call("GET", "/jobs", headers={"cookie": cookie})
    assert found.status_code == 200
    assert "notice" not in found.text


def test_htmx_is_led_on_by_a_header(scene):
    form = {"name": "x", "csrf": scene.csrf_of("wang")}
    done = scene.call("POST", "/jobs", login="wang", data=form, headers={"hx-request": "true"})
    assert (done.status_code, done.headers["hx-redirect"]) == (200, "/jobs")


def test_a_problem_is_a_page_and_for_htmx_a_part_of_one(scene):
    whole = scene.call("GET", "/nothing", login="wang")
    part_of = scene.call("GET", "/nothing", login="wang", headers={"hx-request": "true"})
    assert whole.status_code == part_of.status_code == 404
    assert "<html" in whole.text
    assert "<html" not in part_of.text
    assert 'role="alert"' in whole.text
    assert 'role="alert"' in part_of.text


# --- parts


def test_a_table_has_a_caption_and_says_how_it_is_sorted():
    source = (
        "{% call(row) table('Jobs <1>', [('Name', '', 'name'), ('Rows', 'n', '')], rows, 'Nothing yet', sort) %}"
        '<th scope="row">{{ row }}</th><td class="n">1</td>{% endcall %}'
    )
    page = part(source, rows=["<a>", "b"], sort="name")
    assert "<caption>Jobs &lt;1&gt;</caption>" in page
    assert page.count('scope="col"') == 2
    assert 'aria-sort="ascending"' in page
    assert 'href="/x?a=1&amp;sort=-name"' in page
    assert "&lt;a&gt;" in page
    assert 'aria-sort="descending"' in part(source, rows=["b"], sort="-name")
    assert "aria-sort" not in part(source, rows=["b"], sort="rows")
    nothing = part(source, rows=[], sort="")
    assert "Nothing yet" in nothing
    assert "<table" not in nothing


def test_a_field_is_named_described_and_says_what_is_wrong():
    page = part("{{ field('name', 'Name', '\"><x', hint='Short', error='Too <long>') }}")
    assert '<label for="field-name">' in page
    assert 'aria-describedby="hint-name error-name" aria-invalid="true"' in page
    assert 'id="error-name">Too &lt;long&gt;<' in page
    assert "<x" not in page
    plain = part("{{ field('name', 'Name', required=false, attributes={'maxlength': 5}) }}")
    assert "aria-" not in plain
    assert " required" not in plain
    assert ' maxlength="5"' in plain
    assert "(optional)" in plain


def test_every_form_carries_the_token_of_its_login():
    page = part("{% call form('/go', 'Go', confirm='Sure?') %}{{ tick('yes', 'Yes') }}{% endcall %}")
    assert '<input type="hidden" name="csrf" value="c">' in page
    assert 'data-confirm="Sure?"' in page
    assert page.count("<form") == page.count("csrf") == 1


def test_choices_show_what_is_chosen():
    options = [("a", "A"), ("b", "B")]
    page = part(
        "{{ choice('x', 'X', options, 'b') }}{{ choices('y', 'Y', options, ['a'], 'radio') }}",
        options=options,
    )
    assert re.findall(r'value="(\w)"[^>]*(?:selected|checked)', page) == ["b", "a"]
    assert "<legend>Y</legend>" in page
    assert "Please choose" in part("{{ choice('x', 'X', options) }}", options=options)


def test_states_are_words_and_not_colours_alone():
    for state in ("proposed", "approved", "running", "done", "failed", "stopped", "refused", "expired"):
        found = {part(f"{{{{ job_badge('{state}') }}}}", language).strip() for language in LANGUAGES}
        assert len(found) == 2
        assert all(texts_in(one).strip() for one in found)
    assert ">mended<" in part("{{ job_badge('mended') }}")


def test_a_picture_is_also_a_table_and_cannot_end_its_script():
    page = part("{{ chart(figure) }}", figure=picture())
    assert page.count("</script>") == 1
    assert re.findall(r"<td[^>]*>([^<]*)</td>", page) == ["1,200", "0.500", "–", "2"]
    assert 'role="img" aria-label="Sizes &lt;/script&gt;"' in page


def test_where_numbers_come_from():
    source = "{{ provenance('marketing', ['bank', 'shop'], 50, 0.5, at) }}"
    page = texts_in(part(source, at=datetime(2026, 5, 1, 12, tzinfo=UTC)))
    for word in ("marketing", "bank · shop", "50", "0.500", "2026-05-01"):
        assert word in page
    assert "<dt>" not in part("{{ provenance() }}")


def test_a_list_of_several_pages_says_so():
    page = part("{{ pagination('NEXT') }}", query={"cursor": "x"})
    assert 'href="/x?a=1&amp;cursor=NEXT" rel="next"' in page
    assert 'href="/x?a=1" rel="first"' in page
    assert part("{{ pagination('') }}").strip() == ""


# --- words


def test_times_read_in_both_languages():
    en, zh = Wording("en"), Wording("zh-CN")
    assert [en.seconds(value) for value in (None, 3.21, 42.2, 61, 3_700)] == [
        "–", "3.2 s", "42 s", "1 min 01 s", "1 h 01 min",
    ]  # fmt: skip
    assert zh.seconds(61) == "1 分 01 秒"
    assert en.moment(None) == "–"
    at = datetime(2026, 5, 1, 12, 0, 30, tzinfo=UTC)
    assert 'datetime="2026-05-01T12:00:30+00:00"' in en.moment(at)
    assert (en.day(None), en.day(date(2026, 5, 1))) == ("–", "2026-05-01")
    assert en("web.logged_in", name="<b>") == "Logged in as &lt;b&gt;"


def test_every_text_of_the_templates_exists_and_is_filled_in():
    seen = set()
    for name, source in TEMPLATES.items():
        for key, rest in re.findall(r"\bt\('([\w.]+)'([^)]*)\)", source):
            wanted = {item for _, item, _, _ in string.Formatter().parse(catalogue("en")[key]) if item}
            assert wanted == set(re.findall(r"(\w+)=", rest)), (name, key)
            seen.add(key)
    assert len(seen) > 15


# --- files


def test_the_files_of_others_are_the_ones_that_are_listed():
    listed = re.findall(r"\| `([\w.]+)` \|.*`([0-9a-f]{64})` \|", FILES["VERSIONS.md"].decode())
    assert {name for name, _ in listed} == {name for name in FILES if ".min." in name}
    for name, digest in listed:
        assert hashlib.sha256(FILES[name]).hexdigest() == digest
    for licence in re.findall(r"`((?:LICENSE|NOTICE)[\w-]+\.txt)`", FILES["VERSIONS.md"].decode()):
        assert licence in FILES


def test_our_scripts_run_no_text_and_write_no_markup():
    for name in ("charts.js", "live.js", "forms.js"):
        assert not re.search(
            rb"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function", FILES[name]
        )


def test_a_file_is_compressed_and_not_sent_twice(scene):
    url = Statics().url("htmx.min.js")
    plain = scene.call("GET", url, headers={"accept-encoding": "identity"})
    packed = scene.call("GET", url, headers={"accept-encoding": "gzip"})
    assert plain.content == packed.content == FILES["htmx.min.js"]
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    again = scene.call("GET", url, headers={"if-none-match": plain.headers["etag"]})
    assert again.status_code == 304
    with pytest.raises(KeyError):
        Statics().url("nothing.js")


def test_the_files_are_not_in_the_bundle_of_a_run():
    inside = [path for path in installed_files() if path.startswith("federation/web/static/")]
    assert inside == ["federation/web/static/__init__.py"]
