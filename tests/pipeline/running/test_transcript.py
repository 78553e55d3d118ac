"""What a worker writes is sorted to its jobs, however it comes in."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from etendue.pipeline.running.processes.transcript import HEAD, TAIL, Transcript, mark


@given(
    before=st.binary(max_size=60),
    words=st.binary(max_size=60),
    cuts=st.lists(st.integers(0, 200), max_size=8),
)
def test_pieces_make_no_difference(before, words, cuts):
    written = before + mark("begin", 7) + words + mark("end", 7)
    transcript = Transcript()
    edges = sorted({0, len(written), *(cut for cut in cuts if cut < len(written))})

    for start, stop in pairwise(edges):
        transcript.add(written[start:stop])

    assert transcript.text == words.decode(errors="replace")
    assert transcript.finished == 7


def test_the_middle_of_what_is_too_long_is_left_out():
    transcript = Transcript()
    for number in range(100_000):
        transcript.add(f"{number}\n".encode())

    assert transcript.text.startswith("0\n1\n2\n")
    assert transcript.text.endswith("99998\n99999\n")
    assert "are left out" in transcript.text
    assert len(transcript.text) < HEAD + TAIL + 100
