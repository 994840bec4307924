"""Kubernetes' functions in CEL, as rules of definitions call them."""

import pytest

from meshc.crds.rules import read_rules
from meshc.target import Json


def holds(rule: str, value: Json) -> bool:
    rules = read_rules({"x-kubernetes-validations": [{"rule": rule}]})
    assert rules is not None
    return not list(rules.broken(value))


@pytest.mark.parametrize(
    ("rule", "right", "wrong"),
    [
        ('url(self).getScheme() in ["http", "https"]', "https://a/b", "ftp://a/b"),
        ("isURL(self)", "/a", "a b"),
        ('url(self).getHostname() == "a"', "http://a:80/", "http://b:80/"),
        ("isIP(self)", "::1", "1.2.3"),
        ("isCIDR(self)", "10.0.0.0/8", "10.0.0.1"),
        ('self.substring(7, 8) == "/"', "unix:///a", "unix://a/"),
        ('self.substring(2) == "a"', "*.a", "*.b"),
        ('self.split("/")[0].size() < 3', "ab/c", "abc/d"),
        ('self.lowerAscii() == "a"', "A", "B"),
        ("self.all(key, 0 < int(key) && int(key) <= 65535)", {"80": 1}, {"0": 1}),
        ('!("*" in self && self.size() > 1)', ["*"], ["*", "a"]),
        ("self.isSorted()", ["a", "b"], ["b", "a"]),
    ],
)
def test_functions(rule: str, right: Json, wrong: Json) -> None:
    assert holds(rule, right)
    assert not holds(rule, wrong)


def test_what_fails_is_no_pass() -> None:
    assert not holds("self.substring(5) == ''", "abc")
    assert not holds("url(self).getScheme() == ''", "http://[")
    assert not holds("self.a.b == 1", {"a": {}})
    assert not holds("self +", 1)
