"""The pages: no text becomes anything but text, and a browser runs nothing that is not ours."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import jinja2
import pytest

from lenet_edge.report import html

NASTY = "</script><img src=x onerror=alert(1)>\"' & \u2028 [red] \U0001f5a4" + "x" * 200
PAGE = """\
{% extends "base.html.j2" %}
{% block title %}{{ name }}{% endblock %}
{% block body %}<main id="content" title="{{ name }}">{{ name }}</main>
<script type="application/json" id="data">{{ embedded([name]) }}</script>{% endblock %}"""


class Elements(HTMLParser):
    """What a browser would see: each element with its attributes and its text."""

    def __init__(self):
        super().__init__()
        self.found, self.text, self.inside = [], [], False

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.text.append("")
        self.inside = True

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.text[-1] += data


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "page.html.j2").write_text(PAGE)
    return tmp_path


def elements(content):
    parser = Elements()
    parser.feed(content.decode())
    return parser


def test_hostile_texts_stay_text(folder):
    parsed = elements(html.render(html.environment(folder), "page.html.j2", name=NASTY))
    assert "img" not in [tag for tag, _ in parsed.found]
    found = dict(zip([tag for tag, _ in parsed.found], parsed.text, strict=True))
    assert found["title"] == NASTY
    assert dict(parsed.found)["main"]["title"] == NASTY
    assert json.loads(found["script"]) == [NASTY]


def test_embedded_json_has_nothing_that_a_parser_of_html_could_take_for_markup():
    text = str(html.embedded({"</script><!--": [NASTY, 1.5, None]}))
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == {"</script><!--": [NASTY, 1.5, None]}
    with pytest.raises(ValueError, match="JSON"):
        html.embedded(float("nan"))


def test_the_policy_has_the_hash_of_each_style_and_script_and_allows_nothing_else(folder):
    styles, modules = ("p { color: red }",), ("var a = 'ä';", "const b = 1 < 2;")
    content = html.render(html.environment(folder), "page.html.j2", name="", styles=styles, modules=modules)
    parsed = elements(content)
    policy = next(a["content"] for tag, a in parsed.found if a.get("http-equiv") == "Content-Security-Policy")
    allowed = {
        name: values.split()
        for name, *rest in (part.split(maxsplit=1) for part in policy.split("; "))
        for values in rest
    }
    assert allowed["default-src"] == ["'none'"]
    for kind in ("style", "script"):
        texts = re.findall(rf"<{kind}(?: type=\"module\")?>(.*?)</{kind}>", content.decode(), re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert len(digests) == 2
        assert allowed[f"{kind}-src"] == [f"'sha256-{digest}'" for digest in digests]
    assert "unsafe" not in policy
    assert "connect-src" not in allowed


def test_what_a_page_with_webassembly_may_do_besides():
    assert "script-src 'none'" in html.policy(["p {}"])
    assert "'wasm-unsafe-eval'" in html.policy([], ["1"], wasm=True)
    assert "connect-src 'self'" in html.policy([], ["1"], connects=True)


def test_nothing_is_loaded_from_elsewhere(folder):
    content = html.render(html.environment(folder), "page.html.j2", name="").decode()
    assert not re.search(r"https?:|//[a-z]|@import|url\(", content)


def test_a_name_that_is_missing_is_an_error(folder):
    with pytest.raises(jinja2.UndefinedError, match="name"):
        html.render(html.environment(folder), "page.html.j2")


def test_a_figure_carries_the_exact_value_and_where_it_is_from():
    ((tag, attributes),) = elements(html.percent(0.98670001, "check.json", 'a["<b>"]').__html__().encode()).found
    assert (tag, attributes) == (
        "span",
        {"data-value": "0.98670001", "data-record": "check.json", "data-key": 'a["<b>"]'},
    )


@pytest.mark.parametrize(
    ("figure", "shown"),
    [
        (html.count(12345, "", ""), "12,345"),
        (html.percent(0.98670001, "", ""), "98.67 %"),
        (html.number(-0.05, "", ""), "−0.05"),
        (html.number(0.0039215689, "", "", ".4g"), "0.003922"),
        (html.number(1.5e-7, "", "", ".3g"), "1.5e−07"),
        (html.size(71392, "", ""), "69.7 KB"),
        (html.size(12, "", ""), "12 bytes"),
        (html.text("<b>", "", ""), "<b>"),
        (html.name("conv", "", ""), "conv"),
        (html.name("a" * 36 + "b" * 22, "", ""), "a" * 9 + "…" + "a" * 4 + "b" * 22),
    ],
)
def test_how_figures_are_shown(figure, shown):
    assert str(figure) == shown


def test_a_long_name_is_whole_in_its_tooltip(folder):
    (folder / "short.html.j2").write_text("<p>{{ name | short }}</p><p>{{ figure }}</p>")
    found = (
        html.environment(folder).get_template("short.html.j2").render(name=NASTY, figure=html.name(NASTY, "r", "/k"))
    )
    titles = [attributes["title"] for tag, attributes in elements(found.encode()).found if tag == "span"]
    assert titles == [NASTY, NASTY]
