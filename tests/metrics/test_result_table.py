"""Tables of results."""

import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.metrics.results import MetricResult, ResultTable, check_table_path


@pytest.fixture
def table():
    table = ResultTable()
    table.add("runs/a", [MetricResult("fid50k", {"fid": 4.40123}, {}), MetricResult("ls", {"z": 2.5, "w": 1.0}, {})])
    table.add("runs/b|c,d", [MetricResult("ls", {"z": float("nan"), "w": 12345.678}, {})])
    return table


def test_a_row_is_a_network_and_a_column_a_value(table, tmp_path):
    table.write(tmp_path / "results" / "table.md")
    assert (tmp_path / "results" / "table.md").read_text() == (
        "| network | fid50k | ls z | ls w |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| runs/a | 4.4012 | 2.5 | 1 |\n"
        "| runs/b\\|c,d |  | nan | 12346 |\n"
    )


def test_the_same_in_csv(table, tmp_path):
    table.write(tmp_path / "table.csv")
    expected = 'network,fid50k,ls z,ls w\nruns/a,4.4012,2.5,1\n"runs/b|c,d",,nan,12346\n'
    assert (tmp_path / "table.csv").read_text() == expected


def test_another_kind_of_table_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"`table=.*results.html`: the name of a table must end in .md or .csv"):
        check_table_path(tmp_path / "results.html")
