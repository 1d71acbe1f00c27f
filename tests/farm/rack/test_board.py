"""Board: what crosses to a worker process comes back the same."""

import json
import string

from hypothesis import given, settings
from hypothesis import strategies as st

from farm.rack.board import Board, BoardType, PowerSpec, SerialSpec, board_from_json, board_to_json

WORD = st.text(string.ascii_letters + string.digits, min_size=1, max_size=8)
POWER = st.one_of(
    st.none(),
    st.builds(PowerSpec, hub=WORD, port=st.integers(1, 9)),
    st.builds(
        PowerSpec,
        off=st.lists(WORD, max_size=3).map(tuple),
        on=st.lists(WORD, max_size=3).map(tuple),
    ),
)
BOARD = st.builds(
    Board,
    WORD,
    st.builds(BoardType, WORD, WORD, WORD, st.lists(WORD, max_size=2).map(tuple)),
    WORD.map(lambda uid: f"stlink:{uid}"),
    st.builds(
        SerialSpec, st.sampled_from(["probe", "serial"]), WORD, st.none() | st.integers(0, 9)
    ),
    st.dictionaries(WORD, WORD, max_size=2),
    power=POWER,
)


@settings(derandomize=True, max_examples=50)
@given(BOARD)
def test_a_board_survives_json(board):
    assert board_from_json(json.loads(json.dumps(board_to_json(board)))) == board
