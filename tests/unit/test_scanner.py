"""Values say what a column holds, whatever its name: found where it is, and not found where it is not."""

from datetime import date

import numpy as np
import pytest

from clients.sample.dirt import PHONE_PREFIX, birth_dates, draw_phones, resident_ids
from clients.sample.people import FEATURES, draw_people
from clients.sample.world import make_world
from privacy.catalog import Catalog
from privacy.identifiers import luhn_check_digit
from privacy.normalization import Cells
from privacy.reasons import Reason
from privacy.scanner import FEW, holds_secrets, scan_column, scan_numbers, scan_text, verdict

CATALOG = Catalog.load()
INCOME = CATALOG.of("income")
REFUSED = (Reason.FIELD_PROHIBITED,)
ROWS = 2_000


@pytest.fixture
def rng():
    return np.random.default_rng(20261122)


def as_floats(texts):
    return np.array([float(text) for text in texts])


def mobiles(rng, count=ROWS):
    return [
        f"{first}{rest:09d}"
        for first, rest in zip(rng.integers(13, 20, count), rng.integers(0, 10**9, count), strict=True)
    ]


def ids(rng, count=ROWS):
    born = birth_dates(rng.integers(18, 60, count).tolist(), rng)
    assert all(isinstance(day, date) for day in born)
    return resident_ids(born, (rng.random(count) < 0.5).tolist())


def cards(rng, digits=16, count=ROWS):
    bodies = [f"99{rest:0{digits - 3}d}" for rest in rng.integers(0, 10 ** (digits - 3), count)]
    return [body + luhn_check_digit(body) for body in bodies]


# --- found


def test_phones_under_another_name_are_refused(rng):
    texts = mobiles(rng)
    for seen in (scan_text(Cells.of(texts)), scan_numbers(as_floats(texts))):
        assert seen.phones == seen.present == ROWS
        assert verdict(seen, INCOME) == REFUSED
        assert verdict(seen, CATALOG.of("phone")) == ()


def test_phones_of_samples_and_with_the_country_code_are_phones(rng):
    texts = draw_phones(ROWS, rng)
    numbers = as_floats(texts)
    assert scan_numbers(numbers).phones == scan_text(Cells.of(texts)).phones == 0
    assert scan_numbers(numbers, (PHONE_PREFIX,)).phones == ROWS
    assert scan_text(Cells.of(texts), (PHONE_PREFIX,)).phones == ROWS
    abroad = scan_numbers(as_floats([f"86{text}" for text in mobiles(rng)]))
    assert abroad.phones == ROWS
    assert verdict(abroad, INCOME) == REFUSED


def test_resident_ids_under_another_name_are_refused(rng):
    texts = ids(rng)
    seen = scan_text(Cells.of(texts))
    assert seen.resident_ids == ROWS
    assert verdict(seen, INCOME) == REFUSED
    assert verdict(seen, CATALOG.of("resident_id")) == ()
    numbers = scan_numbers(as_floats([text for text in texts if text[-1] != "X"]))
    assert numbers.resident_ids == numbers.present
    assert verdict(numbers, INCOME) == REFUSED


@pytest.mark.parametrize("digits", [13, 15, 16, 19])
def test_cards_under_another_name_are_refused(rng, digits):
    texts = cards(rng, digits)
    for seen in (scan_text(Cells.of(texts)), scan_numbers(as_floats(texts))):
        assert seen.cards == seen.long == ROWS
        assert verdict(seen, INCOME) == REFUSED
        assert verdict(seen, CATALOG.of("card_number")) == ()


def test_identifiers_among_many_other_values_are_refused_from_their_share_on(rng):
    numbers = rng.lognormal(9, 1, ROWS)
    numbers[:500] = as_floats(mobiles(rng, 500))
    assert verdict(scan_numbers(numbers), INCOME) == REFUSED
    numbers[200:] = rng.lognormal(9, 1, ROWS - 200)
    assert verdict(scan_numbers(numbers), INCOME) == (), "a tenth of phones stays below the threshold"


@pytest.mark.parametrize("spelling", ["{}.0", " {} ", "+86{}", "86{}", "0{}", "{}e0"])
def test_text_that_reads_as_phones_is_refused(rng, spelling):
    """A spreadsheet or an export with gaps writes numbers so, and the field would be read as numbers all the same."""
    texts = [spelling.format(text) for text in mobiles(rng)]
    assert verdict(scan_column(Cells.of(texts), as_floats(texts)), INCOME) == REFUSED


@pytest.mark.parametrize("make", [ids, cards])
def test_text_that_reads_as_longer_identifiers_is_refused(rng, make):
    texts = [f"{text}.0" for text in make(rng) if text.isdigit()]
    assert verdict(scan_column(Cells.of(texts), as_floats(texts)), INCOME) == REFUSED


def test_a_column_of_numbers_has_no_text_to_look_at(rng):
    numbers = as_floats(mobiles(rng))
    assert scan_column(None, numbers) == scan_numbers(numbers)


def test_text_of_amounts_is_not_mistaken(rng):
    numbers = np.round(rng.lognormal(22, 2, ROWS), 2)
    texts = [f"{number:.2f}" for number in numbers]
    assert numbers.max() > 1e11
    assert verdict(scan_column(Cells.of(texts), numbers), INCOME) == ()


# --- not found


@pytest.mark.parametrize(
    "spoil", [lambda text: text[:-1], lambda text: text + "0", lambda text: "2" + text[1:]]
)
def test_what_is_no_phone_is_none(rng, spoil):
    texts = [spoil(text) for text in mobiles(rng)]
    assert scan_text(Cells.of(texts)).phones == 0
    assert scan_numbers(as_floats(texts)).phones == 0


def test_a_wrong_check_character_is_no_resident_id(rng):
    texts = [text[:-1] + ("1" if text[-1] != "1" else "2") for text in ids(rng)]
    assert scan_text(Cells.of(texts)).resident_ids == 0


def test_random_long_numbers_are_no_cards_and_no_resident_ids(rng):
    """One in ten passes Luhn: that alone says nothing."""
    numbers = rng.integers(10**15, 10**16 // 2, ROWS).astype(np.float64)
    seen = scan_numbers(numbers)
    assert 0.07 * ROWS < seen.cards < 0.13 * ROWS
    assert verdict(seen, INCOME) == ()
    texts = [str(number) for number in rng.integers(10**17, 10**18, ROWS)]
    seen = scan_text(Cells.of(texts))
    assert seen.resident_ids < FEW
    assert verdict(seen, INCOME) == ()


def test_no_column_of_the_sample_is_mistaken(rng):
    people = draw_people(3_000, rng)
    for feature in FEATURES:
        values = people[feature.name].to_numpy(dtype=np.float64)
        for scale in (1.0, 100.0, 10_000.0):
            seen = scan_numbers(np.round(values * scale))
            assert seen.present == len(values)
            assert verdict(seen, INCOME) == (), feature.name


@pytest.mark.parametrize("middle", [5, 9, 14, 18])
@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
def test_amounts_in_fen_are_not_mistaken(rng, middle, spread):
    """Up to a median of 65 million yuan, in fen: still under a fifth of the column between 13 and 20 * 10^9."""
    values = np.round(100 * rng.lognormal(middle, spread, 20_000))
    assert verdict(scan_numbers(values), INCOME) == ()


def test_fractions_are_no_identifiers(rng):
    values = as_floats(mobiles(rng)) + 0.25
    assert scan_numbers(values).phones == 0


def test_gaps_do_not_count(rng):
    texts = [None if row % 2 else text for row, text in enumerate(mobiles(rng))]
    seen = scan_text(Cells.of(texts))
    assert (seen.present, seen.phones) == (ROWS // 2, ROWS // 2)
    numbers = as_floats(mobiles(rng))
    numbers[::2] = np.nan
    numbers[1] = np.inf
    seen = scan_numbers(numbers)
    assert (seen.present, seen.phones) == (ROWS // 2 - 1, ROWS // 2 - 1)
    empty = scan_numbers(np.full(3, np.nan))
    assert verdict(empty, INCOME) == verdict(scan_text(Cells.of([None, ""])), INCOME) == ()


def test_two_identifiers_say_nothing(rng):
    assert verdict(scan_numbers(as_floats(mobiles(rng, FEW - 1))), INCOME) == ()
    assert verdict(scan_numbers(as_floats(mobiles(rng, FEW))), INCOME) == REFUSED


def test_a_finding_holds_counts_alone(rng):
    seen = scan_numbers(as_floats(mobiles(rng)))
    assert all(isinstance(getattr(seen, name), int) for name in seen.__slots__)


# --- what may not lie in a file at all


def test_card_verification_numbers_are_secrets(rng):
    texts = [f"{number:03d}" for number in rng.integers(0, 1000, 1_000)]
    assert holds_secrets(Cells.of(texts))
    assert holds_secrets(Cells.of([None if row % 3 else text for row, text in enumerate(texts)]))


@pytest.mark.parametrize("low", [100, 300])
def test_three_digits_without_zeros_in_front_are_not(rng, low):
    """Scores, prices, days: no number is written with zeros in front."""
    assert not holds_secrets(Cells.of([str(number) for number in rng.integers(low, 1000, 1_000)]))


def test_few_different_codes_are_not(rng):
    codes = [f"{number:03d}" for number in range(0, 1000, 50)]
    assert not holds_secrets(Cells.of([codes[place] for place in rng.integers(0, len(codes), 1_000)]))
    assert not holds_secrets(Cells.of([f"{number:04d}" for number in rng.integers(0, 10_000, 1_000)]))


@pytest.mark.parametrize(
    "track", ["%B9999990012345678^DOE/J^29", ";9999990012345678=2912101", "9999990012345678=2912"]
)
def test_one_track_of_a_magnetic_stripe_is_a_secret(track):
    assert holds_secrets(Cells.of(["a", None, track]))
    assert not holds_secrets(Cells.of(["a", None, track[:12]]))


def test_no_column_of_the_sample_files_is_a_secret():
    for table in make_world(600, 5).tables.values():
        for column in table:
            cells = [str(cell) for cell in table[column].dropna().tolist()]
            assert not holds_secrets(Cells.of(cells)), column
