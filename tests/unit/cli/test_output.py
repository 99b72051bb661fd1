"""What people are shown: words and figures they can read; JSON keeps every digit."""

from __future__ import annotations

import pytest

from daemon.cli.exports import export_run
from daemon.cli.output import pairs
from daemon.core.errors import UsageRefused


def test_figures_are_cut_to_what_is_read_and_truth_is_a_word() -> None:
    shown = pairs({"auc": 0.7486938901791321, "n": 1234567890, "edge": False, "each": [True, None]})

    assert shown == ["auc   0.748694", "n     1234567890", "edge  no", "each  yes, -"]


def test_a_table_that_only_goes_into_files_says_how_to_get_it() -> None:
    with pytest.raises(UsageRefused, match=r"cannot export 'trades' to stdout; .*-o DIR"):
        export_run("trades", "last", None, None, as_json=False)
