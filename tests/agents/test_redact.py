import json

import pytest

from agents.redact import Redactor

KEY = "sk-ant-api03-" + "Abc_123-xyz" * 6


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        "sk-proj-" + "a1B2" * 10,
        "sk-" + "a1B2" * 12,
        "ghp_" + "a1B2" * 9,
        "github_pat_" + "a1B2" * 10,
        "AKIA" + "ABCD1234" * 2,
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
    ],
)
@pytest.mark.parametrize("around", ["{}", "KEY={}", "one\n{}\ntwo", '"{}"'])
def test_it_masks_well_known_shapes_inside_json(secret: str, around: str) -> None:
    line = json.dumps({"text": around.format(secret)}).encode()
    masked = Redactor().mask(line)
    assert secret[10:30].encode() not in masked
    assert json.loads(masked)["text"] == around.format("[secret]")


@pytest.mark.parametrize(
    "text",
    [
        "task-implement-the-new-parser-for-everything",
        "the disk-0123456789abcdef0123456789abcdef0123 is full",
        "risk-assessment",
        "a commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    ],
)
def test_it_leaves_what_only_looks_like_a_key(text: str) -> None:
    assert Redactor().text(text) == text


@pytest.mark.parametrize(
    "value", ["correct horse battery", 'quo"ted\\back', "päßwörter", "12345678"]
)
def test_it_masks_given_values_plain_and_escaped(value: str) -> None:
    redactor = Redactor([value])
    assert redactor.text(f"<{value}>") == "<[secret]>"
    for line in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        if line.isascii() == value.isascii():
            assert json.loads(redactor.mask(line.encode())) == "[secret]"


def test_it_ignores_values_too_short_to_be_secrets() -> None:
    assert Redactor(["", "abc"]).text("abc") == "abc"


def test_the_longer_of_two_nested_values_is_masked_whole() -> None:
    assert Redactor(["abcdefgh", "abcdefghijkl"]).text("abcdefghijkl") == "[secret]"


def test_it_holds_back_what_may_be_the_beginning_of_a_secret() -> None:
    redactor = Redactor(["correct-horse"])
    assert redactor.held("it is corr") == 4
    assert redactor.held("it is correct-horse") == 0
    assert redactor.held("nothing here.") == 0
    assert redactor.held("a key: " + KEY[:40]) == 40
