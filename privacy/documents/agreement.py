"""The draft of an agreement between parties: joint (PIPL 20), entrusted (21, 59), provision (23); and a checklist."""

from __future__ import annotations

from typing import Final, NamedTuple

from privacy.documents.material import Material, category_names, method_names
from privacy.documents.page import Document, Markup, Page, name, names, plain
from privacy.policy import Agreement, Policy, Recipient, Relation


class Clause(NamedTuple):
    """One clause and what demands it: articles of the PIPL, and of 网络数据安全管理条例."""

    key: str
    pipl: str
    ndsr: str = ""


CLAUSES: Final = {
    Relation.JOINT: (
        Clause("scope", "20"),
        Clause("measures", "20, 51"),
        Clause("duties", "20"),
        Clause("any_door", "20, 50"),
        Clause("liability", "20"),
        Clause("withdrawals", "15, 47"),
        Clause("incident", "57"),
        Clause("records", "56"),
    ),
    Relation.ENTRUSTED: (
        Clause("scope", "21"),
        Clause("measures", "21, 51"),
        Clause("duties", "21"),
        Clause("instructions", "21"),
        Clause("supervise", "21", "12"),
        Clause("subdelegation", "21"),
        Clause("give_back", "21"),
        Clause("assist", "59"),
        Clause("withdrawals", "15, 47"),
        Clause("incident", "57"),
        Clause("records", "56", "12"),
    ),
    Relation.PROVIDE: (
        Clause("recipient", "23"),
        Clause("scope", "23", "12"),
        Clause("measures", "51", "12"),
        Clause("duties", "23", "12"),
        Clause("recipient_scope", "23"),
        Clause("oversight", "51", "12"),
        Clause("withdrawals", "15, 47"),
        Clause("delete", "19, 47"),
        Clause("incident", "57"),
        Clause("records", "56", "12"),
    ),
}
"""The clauses of each kind of agreement. What is only good practice is not among them."""


def agreement_of(material: Material, agreement: Agreement, language: str) -> Document:
    """The draft of one agreement in one language."""
    page = Page(language)
    page.title(f"agreement.title_{agreement.relation.value}", number=name(agreement.id))
    page.heading("agreement.parties")
    page.items(_party(page, material.policy, party) for party in agreement.parties)
    _scope(page, material.policy, agreement)
    page.heading("agreement.clauses")
    clauses = CLAUSES[agreement.relation]
    lines, sources = [], []
    for number, clause in enumerate(clauses, 1):
        worded, source = _worded(page, agreement, clause)
        lines.append(Markup(f"**3.{number}** {worded}"))
        sources.append((Markup(f"3.{number}"), _law(page, clause), page.phrase(f"agreement.{source}")))
    page.items(lines)
    page.heading("agreement.checklist")
    page.table(("clause", "law", "source"), sources)
    page.heading("agreement.sign")
    page.table(
        ("role", "signature", "date"),
        [
            (name(party), page.place("signature", role=name(party)), page.place("date", role=name(party)))
            for party in agreement.parties
        ],
    )
    return page.finish(f"agreement-{agreement.id}.{language}.md", material.policy.digest)


def _party(page: Page, policy: Policy, party: str) -> str:
    """A party with name and contact as the policy knows them."""
    known = policy.handler if party == policy.party else None
    recipient = _recipient(policy, party)
    contact = known or (recipient.contact if recipient else None)
    if contact is None or not (contact.name.strip() and contact.contact.strip()):
        unnamed = page.phrase("agreement.unnamed", contact=page.place("party_contact", party=name(party)))
        return f"{name(party)}: {unnamed}"
    return f"{name(party)}: {plain(contact.name)}, {plain(contact.contact)}"


def _recipient(policy: Policy, party: str) -> Recipient | None:
    found = (purpose.recipient(party) for purpose in policy.purposes)
    return next((item for item in found if item is not None), None)


def _scope(page: Page, policy: Policy, agreement: Agreement) -> None:
    page.heading("agreement.scope")
    titles = []
    for item in agreement.purposes:
        purpose = policy.purpose(item)
        called = "" if purpose is None else purpose.title.in_language(page.language)
        titles.append(f"{plain(called)} ({name(item)})" if called else name(item))
    term = page.phrase(
        "agreement.term_is", first=agreement.valid_from.isoformat(), last=agreement.valid_until.isoformat()
    )
    rows = {
        "purposes": Markup("; ".join(titles) or "–"),
        "methods": method_names(page, agreement.methods),
        "categories": category_names(page, agreement.categories),
        "term": term,
    }
    page.table(("item", "content"), [(page.phrase(f"agreement.{key}"), value) for key, value in rows.items()])


def _worded(page: Page, agreement: Agreement, clause: Clause) -> tuple[Markup, str]:
    """(the clause, where it comes from: `from_policy`, `wording` or `by_hand`)."""
    given, key = _given(page, agreement, clause.key)
    worded = page.phrase(f"clause.{clause.key}", **given)
    return worded, key


def _given(page: Page, agreement: Agreement, clause: str) -> tuple[dict[str, str], str]:
    """What fills a clause in, and where it comes from."""
    match clause:
        case "scope":
            return {}, "from_policy"
        case "measures" | "duties":
            written = getattr(agreement, clause)
            source = "from_policy" if written.strip() else "by_hand"
            return {clause: page.given(written, clause)}, source
        case "supervise" | "oversight" | "give_back" | "delete":
            watches = clause in {"supervise", "oversight"}
            days = agreement.inspection_days if watches else agreement.return_or_delete_days
            return {"days": str(days)}, "from_policy"
        case "subdelegation":
            prints = agreement.coordinator_fingerprints
            keys = names(prints) if prints else page.place("fingerprints")
            return {"keys": keys}, "from_policy" if prints else "by_hand"
        case "incident":
            return {"contacts": page.place("contacts")}, "by_hand"
    return {}, "wording"


def _law(page: Page, clause: Clause) -> Markup:
    separator = "、" if page.language.startswith("zh") else "; "
    laws = [page.phrase("law.pipl", article=clause.pipl)]
    if clause.ndsr:
        laws.append(page.phrase("law.ndsr", article=clause.ndsr))
    return Markup(separator.join(laws))
