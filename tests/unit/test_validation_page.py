"""The validation report's page: figures equal the JSON, nothing from outside, both languages, A4."""

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from validation_scene import make_evidence, make_identification

from clients.validation.build import build
from clients.validation.figures import Figure, at, traced
from clients.validation.record import ModelKind, ValidationReport
from clients.validation.render import JSON_FILE, page_file, render, write_validation
from clients.validation.wording import Wording
from privacy.errors import MessageInvalid
from privacy.texts import LANGUAGES, catalogue

HOSTILE = "<script>alert('x')</script>"
A4_POINTS = (595, 842)


@pytest.fixture(scope="module")
def record() -> bytes:
    return build(make_evidence(20_000)).to_json()


class Page(HTMLParser):
    """Tags must balance; figures, texts outside of them and attributes are kept."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.figures: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["data"]:
            attributes = self.tags[-1][1]
            self.figures.append((str(attributes["data-at"]), str(attributes["value"]), data))
        elif self.open[-1:] != ["style"] and not (self.open[-1:] == ["text"] and "svg" in self.open):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def strings(node: Any) -> set[str]:
    if isinstance(node, dict):
        return set().union(*(strings(item) for item in node.values()))
    if isinstance(node, list):
        return set().union(*(strings(item) for item in node))
    return {node} if isinstance(node, str) else set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_figure_equals_the_json(record: bytes, language: str) -> None:
    page, data = Page(render(record, language)), json.loads(record)
    assert len(page.figures) > 400
    for path, exact, shown in page.figures:
        number = at(data, path)
        assert json.loads(exact) == number, path
        assert says(shown, number), (path, shown, number)


def says(shown: str, number: float) -> bool:
    """Whether a text shows a number, rounded, in one of the page's ways."""
    plain = shown.replace("\N{MINUS SIGN}", "-").replace(",", "").replace("+", "")
    if plain == "<0.0001":
        return 0 <= number < 1e-4
    found = re.fullmatch(r"(-?\d+(?:\.(\d+))?)(%| B| kB| MB| GB)?", plain)
    if found is None:
        return False
    scale = {"%": 0.01, " kB": 1e3, " MB": 1e6, " GB": 1e9}.get(found[3] or "", 1.0)
    return abs(float(found[1]) * scale - number) <= 0.5001 * scale * 10.0 ** -len(found[2] or "")


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_number_stands_outside_of_a_figure(record: bytes, language: str) -> None:
    """What is left are digits of the catalogue's texts and of names in the record (a date, a bin, a band)."""
    page = Page(render(record, language))
    known = set().union(*(re.findall(r"\d+", text) for text in catalogue(language).values()))
    known |= set().union(*(re.findall(r"\d+", text) for text in strings(json.loads(record))))
    left = [text for text in page.texts if set(re.findall(r"\d+", text)) - known]
    assert left == []
    named = {text for text in strings(json.loads(record)) if re.search(r"\d", text)}
    labels = re.compile(r"\d")
    loose = [
        text.strip()
        for text in page.texts
        if labels.search(text)
        and not any(name in text for name in named)
        and not any(part in text for part in fixed_parts(language))
    ]
    assert loose == []


def fixed_parts(language: str) -> list[str]:
    """The pieces between the placeholders of the report's own texts that hold a digit."""
    texts = [
        text for key, text in catalogue(language).items() if key.startswith(("validation.", "tables.funnel."))
    ]
    return [part for text in texts for part in re.split(r"\{\w+\}", text) if re.search(r"\d", part)]


def test_figures_of_a_picture_text_are_figures_of_the_table(record: bytes) -> None:
    page = Page(render(record, "en"))
    shown = {text for _, _, text in page.figures}
    spoken = [
        attributes["aria-label"]
        for tag, attributes in page.tags
        if tag == "svg" and "bar" in str(attributes["class"])
    ]
    assert len(spoken) > 30
    for label in spoken:
        figures = re.findall(r"[\N{MINUS SIGN}+]?\d[\d,.]*%?", str(label).split(": ")[-1])
        assert figures, label
        assert set(figures) <= shown, label


def test_a_number_that_is_not_of_the_record_cannot_be_shown() -> None:
    w = Wording("en")
    with pytest.raises(TypeError):
        w.count(5)  # type: ignore[arg-type]
    found = traced({"a": [{"b": 1}, 0.25], "c": True, "d": None})
    assert found == {"a": [{"b": Figure(1, "a.0.b")}, Figure(0.25, "a.1")], "c": True, "d": None}
    assert w.count(found["a"][0]["b"]) == '<data value="1" data-at="a.0.b">1</data>'
    assert w.plain(w.share(found["a"][1])) == "25.0%"


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_needs_nothing_from_outside(record: bytes, language: str) -> None:
    source = render(record, language)
    for outside in (
        "http:",
        "https:",
        "//",
        "src=",
        "href=",
        "url(",
        "@import",
        "@font-face",
        "<script",
        "<link",
    ):
        assert outside not in source, outside
    page = Page(source)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "image", "use"}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    policy = [
        attributes["content"] for tag, attributes in page.tags if "http-equiv" in attributes and tag == "meta"
    ]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]
    pictures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert all(picture["role"] == "img" and picture["aria-label"] for picture in pictures)
    assert "@page { size: A4" in source


def test_both_languages_show_every_section(record: bytes) -> None:
    pages = {language: Page(render(record, language)) for language in LANGUAGES}
    for language, page in pages.items():
        texts = catalogue(language)
        titles = [key for key in texts if re.fullmatch(r"validation\.\w+\.title", key)]
        assert len(titles) > 15
        assert [key for key in titles if texts[key] not in page.text] == []
        assert ("html", {"lang": language}) in page.tags
        assert not re.search(r"\b(None|nan|inf|Undefined|True|False)\b", page.text)
    first, second = ({path for path, _, _ in page.figures} for page in pages.values())
    assert first == second, "the same figures"
    assert not re.search(r"[\u4e00-\u9fff]", pages["en"].text)


def test_hidden_numbers_say_so() -> None:
    page = Page(render(build(make_evidence(3000)).to_json(), "en"))
    assert "<" in page.text
    assert ("identification.k_min", "50", "50") in page.figures
    hidden = [tag for tag, attributes in page.tags if tag == "span" and attributes.get("class") == "hidden"]
    assert len(hidden) > 10


def test_a_report_with_nothing_but_its_name_has_a_page() -> None:
    bare = ValidationReport(identification=make_identification(key_bits=512), score_unit="probability")
    for language in LANGUAGES:
        page = Page(render(bare.to_json(), language))
        assert catalogue(language)["validation.testing_key"] in page.text
        assert catalogue(language)["validation.bands.title"] not in page.text


def test_reports_of_trees_and_of_few_people_have_a_page() -> None:
    trees = make_evidence(
        600,
        points=None,
        scale=None,
        alone=None,
        identification=make_identification(kind=ModelKind.BOOSTING),
        pooled=(0.79, 0.44),
    )
    page = Page(render(build(trees).to_json(), "en"))
    assert catalogue("en")["validation.kind.boosting"] in page.text
    assert ("performance.pooled_auc", "0.79", "0.7900") in page.figures


def test_hostile_names_are_escaped() -> None:
    plain = build(make_evidence()).to_json().decode()
    for name in ("bank", "shop", "spring", "credit_risk", "income", "C01", "18-29"):
        plain = plain.replace(f'"{name}"', json.dumps(f'"><b>{name}{HOSTILE}'))
    page = Page(render(plain.encode(), "en"))
    assert not {tag for tag, _ in page.tags} & {"script", "b"}
    assert f'"><b>spring{HOSTILE}' in page.text


def test_only_a_report_becomes_a_page(record: bytes) -> None:
    with pytest.raises(MessageInvalid):
        render(b'{"schema": "another"}', "en")
    changed = json.loads(record) | {"extra": 1}
    with pytest.raises(MessageInvalid):
        render(msgspec.json.encode(changed), "en")


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    report = build(make_evidence(1000))
    paths = write_validation(report, tmp_path / "results" / "spring-1")
    assert [path.name for path in paths] == [JSON_FILE, *(page_file(language) for language in LANGUAGES)]
    assert ValidationReport.from_json(paths[0].read_bytes()) == report
    for path in paths:
        assert path.stat().st_mode & 0o077 == 0
    assert paths[1].read_text("utf-8") == render(report.to_json(), LANGUAGES[0])
    assert write_validation(report, tmp_path / "results" / "spring-1") == paths, "again"


BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_a_browser_without_network_prints_it_on_a4(record: bytes, tmp_path: Path) -> None:
    page, pdf = tmp_path / "page.html", tmp_path / "page.pdf"
    page.write_text(render(record, "en"), "utf-8")
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={tmp_path / 'profile'}", "--no-pdf-header-footer", f"--print-to-pdf={pdf}", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, timeout=120, check=False, env=os.environ | {"HOME": str(tmp_path)}
    )
    assert done.returncode == 0, done.stderr[-500:]
    boxes = re.findall(rb"/MediaBox\s*\[\s*0\s+0\s+([\d.]+)\s+([\d.]+)\s*\]", pdf.read_bytes())
    sizes = {(round(float(width)), round(float(height))) for width, height in boxes}
    assert len(boxes) >= 5
    assert sizes == {A4_POINTS}
