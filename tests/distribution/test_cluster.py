"""What TF_CONFIG may say."""

import json

import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.distribution.processes import Cluster, cluster_from_environment

TWO = {"worker": ["a:1", "b:2"]}


def cluster(roles=None, task=None):
    return cluster_from_environment({"TF_CONFIG": json.dumps({"cluster": roles, "task": task})})


def task(role, index):
    return {"type": role, "index": index}


@pytest.mark.parametrize("environment", [{}, {"TF_CONFIG": ""}, {"TF_CONFIG": "{}"}, {"TF_CONFIG": '{"cluster": {}}'}])
def test_without_a_cluster_there_is_one_process(environment):
    assert cluster_from_environment(environment) is None


def test_the_first_worker_is_the_chief_where_no_other_is_named():
    assert cluster(TWO, task("worker", 0)) == Cluster(("a:1", "b:2"), 0)
    assert cluster(TWO, task("worker", 1)) == Cluster(("a:1", "b:2"), 1)


def test_a_named_chief_comes_before_the_workers():
    roles = {**TWO, "chief": ["c:3"]}
    assert cluster(roles, task("chief", 0)) == Cluster(("c:3", "a:1", "b:2"), 0)
    assert cluster(roles, task("worker", 1)) == Cluster(("c:3", "a:1", "b:2"), 2)


def test_the_processes_of_an_evaluator_are_not_counted():
    assert cluster({**TWO, "evaluator": ["d:4"]}, task("worker", 1)) == Cluster(("a:1", "b:2"), 1)


def test_an_index_in_quotes_is_taken():
    assert cluster(TWO, task("worker", "1")).index == 1


@pytest.mark.parametrize(
    "text, message",
    [
        ("{'cluster': {}}", "is not JSON"),
        ("[1]", "is not a JSON object"),
        ('{"cluster": ["a:1"]}', "not an object of lists"),
        ('{"cluster": {"worker": "a:1"}}', "lists under 'worker' \"a:1\""),
        ('{"cluster": {"worker": ["a"]}}', "lists under 'worker'"),
        ('{"cluster": {"worker": ["a:b"]}}', "lists under 'worker'"),
        ('{"cluster": {"worker": ["a:0"]}}', "ports from 1 to 65535"),
        ('{"cluster": {"worker": ["a:70000"]}}', "ports from 1 to 65535"),
        ('{"cluster": {"worker": [":2222"]}}', "lists under 'worker'"),
        ("[" * 100000, "nested too deeply"),
        ('{"cluster": {"ps": ["a:1"], "worker": ["b:1"]}}', "the role 'ps'"),
        ('{"cluster": {"chief": ["a:1", "b:1"]}}', "names 2 chiefs"),
        ('{"cluster": {"worker": ["a:1"]}}', "does not say which process this is"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker"}}', "does not say which process this is"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}', "the task type 'chief'"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "evaluator", "index": 0}}', "an evaluator"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "index 1, expected 0 to 0"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": -1}}', "index -1, expected 0 to 0"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": true}}', "index True"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": ["worker"], "index": 0}}', "the task type ['worker']"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": "\u00b2"}}', "index '\u00b2'"),
        ('{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}', "the same address"),
    ],
)
def test_mistakes_are_named_in_one_line(text, message):
    with pytest.raises(UserError, match="^TF_CONFIG .*It should look like") as caught:
        cluster_from_environment({"TF_CONFIG": text})
    assert message in str(caught.value) and "\n" not in str(caught.value)
