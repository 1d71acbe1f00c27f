"""Log lines name board, lease and job, and go to a file that does not grow for ever."""

import logging
import threading

from farm import log

LOGGER = logging.getLogger("farm.test_log")


def lines() -> list[str]:
    return log.log_path().read_text(encoding="utf-8").splitlines()


def test_a_line_names_what_it_is_about():
    log.to_file()
    with log.about(board="f412-01", lease=17), log.about(job="a net"):
        LOGGER.warning("attempt %d failed", 2)
    LOGGER.info("over")
    first, second = lines()
    assert first.endswith("board=f412-01 lease=17 job=a_net farm.test_log: attempt 2 failed")
    assert "board=" not in second


def test_threads_do_not_share_what_they_are_about():
    log.to_file()
    with log.about(board="one"):
        other = threading.Thread(target=LOGGER.info, args=("from another thread",))
        other.start()
        other.join()
    assert "board=" not in lines()[0]


def test_a_full_file_is_begun_anew(monkeypatch):
    monkeypatch.setattr(log, "MOST_BYTES", 10)
    log.to_file()
    LOGGER.info("the first of many lines")
    log.to_file()
    LOGGER.info("the next")
    assert len(lines()) == 1
    assert "the first" in log.log_path().with_suffix(".log.1").read_text(encoding="utf-8")


def test_what_a_board_says_begins_no_line_of_its_own():
    log.to_file()
    LOGGER.info("its console said %s", "\n2026-11-23 INFO board=f412-01\x1b[2J")
    (line,) = lines()
    assert line.endswith(r"said \n2026-11-23 INFO board=f412-01\x1b[2J")


def test_a_log_that_cannot_be_opened_ends_no_command(capsys):
    log.log_path().mkdir(parents=True)
    log.to_file()
    LOGGER.info("not lost")
    assert capsys.readouterr().err.endswith("farm.test_log: not lost\n")
