"""The reader of line protocol that judges our writer."""

import pytest

from tests.fakes.line_protocol import BadLine, Line, parse, parse_line, split


def test_each_kind_of_value_is_read():
    """Floats, integers, strings and booleans keep their types, and escapes are taken out."""
    found = parse_line(r'a\,b\ c,k\=1=v\,\ w f=1,e=-1.5e+3,i=2i,u=3u,s="x \"y\" \\ z",t=t,n=F -5')
    assert found == Line(
        "a,b c",
        {"k=1": "v, w"},
        {"f": 1.0, "e": -1500.0, "i": 2, "u": 3, "s": 'x "y" \\ z', "t": True, "n": False},
        -5,
    )
    assert isinstance(found.fields["f"], float)
    assert isinstance(found.fields["i"], int)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",a=b f=1", "missing measurement"),
        ("m", "missing fields"),
        ("m,a=b", "missing fields"),
        ("m,a f=1", "missing tag value"),
        ("m,=b f=1", "missing tag key"),
        ("m,a= f=1", "missing tag value"),
        ("m,a=b=c f=1", "invalid tag format"),
        ("m,a=b,a=c f=1", "duplicate tags"),
        ("m f", "invalid field format"),
        ("m f=", "missing field value"),
        ("m f=1.2.3", "invalid number"),
        ("m f=nan", "invalid number"),
        ('m f="x', "unbalanced quotes"),
        ("m f=1 soon", "bad timestamp"),
        ("m,a=" + "x" * 65_536 + " f=1", "max key length"),
    ],
)
def test_what_is_no_line_is_refused(line, reason):
    """Each rule of the format that is broken is told."""
    with pytest.raises(BadLine, match=reason) as caught:
        list(parse(line))
    assert caught.value.line == line


def test_a_body_is_cut_only_where_a_line_ends():
    """Line feeds between quotes belong to the string; empty lines and comments are no lines."""
    assert split('m s="a\nb"\n\n# c\nm f=1\n') == ['m s="a\nb"', "m f=1"]
    assert split("m,a=\\\n f=1") == ["m,a=\\\n f=1"]


def test_the_versions_differ_in_a_backslash_before_a_backslash():
    """InfluxDB 3 reads two as one, so that the space after them ends the tag."""
    line = r"m,a=x\\ f=1,g=2"
    assert parse_line(line, version=3).tags == {"a": "x\\"}
    with pytest.raises(BadLine):
        parse_line(line, version=2)
