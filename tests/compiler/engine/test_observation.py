"""What the wire shows, in the words of the model."""

import pytest

from meshc.engine.observation import Observation, Redirected

LEADS = [
    # target, Location, query of the request
    ("/new", "http://back.a:8080/new", None),
    ("/new", "http://BACK.A:8080/new", None),
    ("/new", "http://back.a:8080/new?q=1", "q=1"),
    ("/new", "http://back.a:8080/new?", ""),
    ("/new?y=1", "http://back.a:8080/new?y=1", None),
    ("/new?y=1", "http://back.a:8080/new?y=1", "q=1"),
    ("/new?y=1", "http://back.a:8080/new?y=1&q=1", "q=1"),
    ("https://new.example", "https://new.example/", None),
    ("https://new.example/x", "https://new.example/x?q=1", "q=1"),
    ("http://back.a:8080/new", "http://back.a:8080/new", None),
]

STRAYS = [
    ("/new", "http://back.a:8080/New", None),
    ("/new", "https://back.a:8080/new", None),
    ("/new", "http://back.a/new", None),
    ("/new", "http://other.a:8080/new", None),
    ("/new", "/new", None),
    ("/new", "http://back.a:8080/new", "q=1"),
    ("/new", "http://back.a:8080/new?q=1", None),
    ("/new", "http://back.a:8080/new?q=2", "q=1"),
    ("/new?y=1", "http://back.a:8080/new?y=1?q=1", "q=1"),
    ("https://new.example", "https://new.example/x", None),
    ("https://new.example/x", "http://new.example/x", None),
    ("https://new.example/x", "https://new.example:444/x", None),
]


def redirected(location: str, query: str | None) -> Redirected:
    return Redirected(location=location, origin="http://back.a:8080", query=query)


@pytest.mark.parametrize(("target", "location", "query"), LEADS)
def test_a_redirect_leads_where_the_program_says(target: str, location: str, query: str | None) -> None:
    assert redirected(location, query).leads_to(target)


@pytest.mark.parametrize(("target", "location", "query"), STRAYS)
def test_a_redirect_to_elsewhere_is_told_apart(target: str, location: str, query: str | None) -> None:
    assert not redirected(location, query).leads_to(target)


def test_a_status_is_itself() -> None:
    assert Observation(allowed=None, status=503).shows_status(503)
    assert not Observation(allowed=None, status=503).shows_status(502)


@pytest.mark.parametrize(
    ("grpc_status", "shown", "hidden"),
    [(7, 403, 404), (12, 404, 400), (13, 400, 500), (14, 503, 500), (14, 429, 403), (2, 418, 503), (2, 308, 404)],
)
def test_a_grpc_call_shows_what_becomes_of_a_status(grpc_status: int, shown: int, hidden: int) -> None:
    observed = Observation(allowed=None, grpc_status=grpc_status)
    assert observed.shows_status(shown)
    assert not observed.shows_status(hidden)


def test_answers_in_words() -> None:
    assert Observation(allowed=True, served_by="a.back@v1").words == "served by a.back@v1"
    assert Observation(allowed=None, status=302, redirect=redirected("/x", None)).words == "redirect to /x"
    assert Observation(allowed=False, status=403).words == "status 403"
    assert Observation(allowed=None, grpc_status=2).words == "gRPC status 2"
    assert Observation(allowed=False).words == "no answer"
