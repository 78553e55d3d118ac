"""A shared header behaves exactly like astropy's, and nobody notices that it is shared."""

import copy
import pickle
import warnings
from typing import Any

import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from etendue.images import Image
from etendue.images.header import Header, as_header

CARDS = [
    ("OBJECT", "M31", "the galaxy"),
    ("EXPTIME", 30.0, "[s]"),
    ("HIERARCH ESO DET GAIN", 1.5, "long"),
    ("LONGTEXT", "x" * 100, "continued"),
    ("FLAG", True, ""),
    ("EMPTY", None, "nothing"),
    ("COMMENT", "first"),
    ("HISTORY", "one"),
    ("HISTORY", "two"),
]

CHANGES = {
    "set item": lambda h: h.__setitem__("OBJECT", "M33"),
    "set with comment": lambda h: h.__setitem__("OBJECT", ("M33", "another")),
    "set new": lambda h: h.__setitem__("NEWKEY", 1),
    "set by number": lambda h: h.__setitem__(1, 60.0),
    "set by (key, n)": lambda h: h.__setitem__(("HISTORY", 1), "changed"),
    "set hierarch": lambda h: h.__setitem__("ESO DET GAIN", 2.0),
    "set slice": lambda h: h.__setitem__(slice(0, 2), ["a", "b"]),
    "set wildcard": lambda h: h.__setitem__("EXP*", 3.0),
    "set commentary": lambda h: h["HISTORY"].__setitem__(0, "rewritten"),
    "set undefined": lambda h: h.__setitem__("OBJECT", None),
    "delete": lambda h: h.__delitem__("OBJECT"),
    "delete slice": lambda h: h.__delitem__(slice(1, 3)),
    "delete wildcard": lambda h: h.__delitem__("HIST*"),
    "delete by number": lambda h: h.__delitem__(0),
    "comment": lambda h: h.comments.__setitem__("OBJECT", "changed"),
    "comment slice": lambda h: h.comments.__setitem__(slice(0, 2), "changed"),
    "card value": lambda h: setattr(h.cards["OBJECT"], "value", "M33"),
    "card comment": lambda h: setattr(h.cards[0], "comment", "changed"),
    "card of a loop": lambda h: [setattr(card, "comment", "c") for card in h.cards if card.keyword == "FLAG"],
    "history": lambda h: h.add_history("three"),
    "long history": lambda h: h.add_history("y" * 200),
    "comment line": lambda h: h.add_comment("second", before="OBJECT"),
    "blank": lambda h: h.add_blank("text", after="OBJECT"),
    "append": lambda h: h.append(("APPENDED", 1, "c")),
    "append card": lambda h: h.append(fits.Card("APPENDED", 1)),
    "insert": lambda h: h.insert("EXPTIME", ("BEFORE", 1)),
    "insert after": lambda h: h.insert(0, ("AFTER", 1), after=True),
    "extend": lambda h: h.extend([("EXTENDED", 1), ("OBJECT", "twice")]),
    "extend update": lambda h: h.extend([("OBJECT", "M33")], update=True),
    "iadd": lambda h: h.__iadd__([("ADDED", 1)]),
    "update": lambda h: h.update({"OBJECT": "M33", "OTHER": 2}),
    "update keywords": lambda h: h.update(OBJECT=("M33", "comment")),
    "update header": lambda h: h.update(fits.Header([("OBJECT", "M33")])),
    "set method": lambda h: h.set("OBJECT", "M33", "c", after="FLAG"),
    "setdefault": lambda h: h.setdefault("DEFAULT", 4),
    "pop": lambda h: h.pop("OBJECT"),
    "pop last": lambda h: h.pop(),
    "popitem": lambda h: h.popitem(),
    "remove": lambda h: h.remove("HISTORY", remove_all=True),
    "rename": lambda h: h.rename_keyword("OBJECT", "TARGET"),
    "clear": lambda h: h.clear(),
    "strip": lambda h: h.strip(),
    "append kw": lambda h: h.append(card=fits.Card("APPENDED", 1)),
}


def plain():
    return fits.Header([fits.Card(*card) for card in CARDS])


def text(header):
    return fits.Header.tostring(header, padding=False)


def index(header):
    return {key: header.index(key) for key in header if key}, len(header), list(header)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen_by_one_header_only(change):
    expected = plain()
    ours, bystander = as_header(plain()), None
    bystander = ours.share()
    third = bystander.share()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        CHANGES[change](expected)
        CHANGES[change](ours)

        assert text(ours) == text(expected)
        assert index(ours) == index(expected)
        assert text(bystander) == text(third) == text(plain())
        assert index(bystander) == index(plain())

        CHANGES[change](third)
        assert text(third) == text(expected)
        assert text(bystander) == text(plain())


def test_every_method_that_changes_a_header_is_tried():
    reading = {
        "cards", "comments", "copy", "count", "data_size", "data_size_padded", "fromfile", "fromkeys", "fromstring",
        "fromtextfile", "get", "index", "items", "keys", "tofile", "tostring", "totextfile", "values",
        "share", "is_shared",
    }  # fmt: skip
    from etendue.images.header import CHANGES as OWNING

    public = {name for name in dir(Header) if not name.startswith("_")}
    assert public - reading <= set(OWNING)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([*sorted(CHANGES), "share", "drop", "cards"])), max_size=14)
)
def test_any_sequence_of_changes_does_what_separate_headers_do(steps):
    first = as_header(plain())
    ours: list[Any] = [first, first.share(), first.share(), first.share()]
    del first
    theirs = [plain() for _ in range(4)]
    held = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for which, change in steps:
            if change == "share":
                other = (which + 1) % 4
                ours[which], theirs[which] = ours[other].share(), theirs[other].copy()
            elif change == "drop":
                ours[which], theirs[which] = as_header(plain()), plain()
            elif change == "cards" and len(ours[which]):
                held.append((ours[which].cards[0], theirs[which].cards[0]))
            elif change != "cards":
                outcomes = []
                for header in (ours[which], theirs[which]):
                    try:
                        CHANGES[change](header)
                        outcomes.append(None)
                    except (KeyError, IndexError, ValueError) as error:
                        outcomes.append(type(error))
                assert outcomes[0] == outcomes[1]
            for card, twin in held:
                if not card.is_blank and card.keyword not in ("COMMENT", "HISTORY"):
                    card.comment = twin.comment = f"held {which}"
    assert [text(header) for header in ours] == [text(header) for header in theirs]


def test_a_card_that_is_held_does_not_reach_later_copies():
    header = as_header(plain())
    card = header.cards["OBJECT"]
    twin = header.share()

    card.value = "changed"

    assert (header["OBJECT"], twin["OBJECT"]) == ("changed", "M31")


def test_a_header_that_is_given_is_not_changed():
    given_header = plain()
    header = as_header(given_header)

    header["OBJECT"] = "M33"
    given_header["EXPTIME"] = 1.0

    assert (given_header["OBJECT"], header["EXPTIME"]) == ("M31", 30.0)


def test_a_card_that_is_put_in_is_copied():
    card = fits.Card("KEY", 1)
    one, two = Header(), Header([card])
    one.append(card)
    one["KEY"] = 5

    assert (card.value, two["KEY"]) == (1, 1)


def test_headers_extended_from_one_another_stay_separate():
    one, two = as_header({"A": 1}), as_header({"B": 2})
    one.extend(two)
    one["B"] = 3

    assert two["B"] == 2


@pytest.mark.parametrize(
    "given_header", [{"A": 1, "B": (2, "c")}, [("A", 1), ("B", 2, "c")], [fits.Card("A", 1), ("B", 2)]]
)
def test_headers_from_mappings_and_lists(given_header):
    assert dict(as_header(given_header)) == {"A": 1, "B": 2}


def _through_a_pipe(header):
    return pickle.loads(pickle.dumps(header))  # noqa: S301 - our own bytes, as between worker processes


def test_copies_are_separate():
    header = as_header(plain())
    for twin in (header.copy(), copy.copy(header), copy.deepcopy(header), _through_a_pipe(header)):
        twin["OBJECT"] = "changed"
        assert header["OBJECT"] == "M31"


def test_a_fits_file_can_be_made_of_a_shared_header():
    header = as_header(plain())
    bystander = header.share()

    hdu = fits.PrimaryHDU(header=header)
    hdu.header["OBJECT"] = "changed"

    assert (header["OBJECT"], bystander["OBJECT"]) == ("M31", "M31")


def test_an_image_and_its_copy_have_headers_of_their_own():
    image = Image([[1.0]], plain())
    twin = image.copy()

    twin.header["OBJECT"] = "M33"
    image.header.add_history("three")

    assert image.header["OBJECT"] == "M31"
    assert len(twin.header["HISTORY"]) == 2
