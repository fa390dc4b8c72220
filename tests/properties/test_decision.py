"""Whatever is wrong, and however much of it: the decision tells all of it, and there are terms only without."""

from decision_scene import FAULTS, case_of
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.reasons import ARTICLES

SOME_FAULTS = st.fixed_dictionaries(
    {group: st.none() | st.sampled_from(faults) for group, faults in FAULTS.items()}
).map(lambda drawn: [one for one in drawn.values() if one is not None])


@settings(max_examples=200, deadline=None)
@given(SOME_FAULTS)
def test_terms_exist_if_and_only_if_nothing_fails(faults):
    findings, terms = case_of(faults).decided()
    assert (terms is None) == bool(faults)
    expected = {pair for one in faults for pair in one.findings}
    assert {(finding.reason, finding.about) for finding in findings} == expected
    assert len(findings) == len(expected)
    assert all(finding.reason in ARTICLES for finding in findings)


@settings(max_examples=50, deadline=None)
@given(SOME_FAULTS)
def test_the_same_question_has_the_same_answer(faults):
    assert case_of(faults).decided() == case_of(faults).decided()
