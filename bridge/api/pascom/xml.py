"""XML that comes in, parsed without trust, and XML that goes out, which any parser takes."""

import re
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError, SubElement, TreeBuilder, tostring

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from bridge.api.answers import RequestError

MOST_BYTES = 64 * 1024
"""The longest command, as a body and as a WebSocket frame."""

_DEEPEST = 16
_MOST_ELEMENTS = 4096
_ENCODINGS = frozenset({"utf-8", "utf-16", "us-ascii", "iso-8859-1"})
"""Those that expat reads by itself. Others would go through any codec that Python has."""

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class BadXmlError(RequestError):
    """What came is no XML, or XML that is not read here. `opening` is the tag it began with, and its attributes."""

    code = "invalid-xml"

    def __init__(self, message: str, opening: tuple[str, Mapping[str, str]] | None = None) -> None:
        super().__init__(message)
        self.opening = opening


class _Bounded(TreeBuilder):
    """Builds a tree of bounded depth and size, and remembers what it began with."""

    def __init__(self) -> None:
        super().__init__()
        self.first: tuple[str, Mapping[str, str]] | None = None
        self._depth = 0
        self._count = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        """An element begins. Raises BadXmlError."""
        self._depth += 1
        self._count += 1
        if self.first is None:
            self.first = tag, attrs
        if self._depth > _DEEPEST:
            raise BadXmlError(f"elements lie in each other deeper than {_DEEPEST}")
        if self._count > _MOST_ELEMENTS:
            raise BadXmlError(f"it has more than {_MOST_ELEMENTS} elements")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        """It ends."""
        self._depth -= 1
        return super().end(tag)


def parse(document: bytes | str) -> Element:
    """The root. DTDs, entities of one's own, other encodings and deep nesting are refused. Raises BadXmlError."""
    builder = _Bounded()
    try:
        if len(document) > MOST_BYTES:
            raise BadXmlError(f"it is longer than {MOST_BYTES} bytes")
        parser = DefusedXMLParser(target=builder, forbid_dtd=True)
        parser.parser.XmlDeclHandler = _known_encoding
        parser.feed(document)
        root: Element = parser.close()
    except BadXmlError as error:
        raise BadXmlError(error.message, builder.first) from None
    except DefusedXmlException as error:
        raise BadXmlError("a document type or entities are not read here", builder.first) from error
    except ParseError as error:
        line, column = error.position
        raise BadXmlError(f"this is no well-formed XML: line {line}, column {column + 1}", builder.first) from error
    except (ValueError, LookupError) as error:
        raise BadXmlError("this is no XML in an encoding that is read here", builder.first) from error
    return root


def _known_encoding(version: str, encoding: str | None, standalone: int) -> None:  # noqa: ARG001  # expat's shape
    if encoding is not None and encoding.lower() not in _ENCODINGS:
        raise BadXmlError(f"its encoding should be one of {', '.join(sorted(_ENCODINGS))}")


def split_name(tag: str) -> tuple[str, str]:
    """A tag's namespace ('' for none) and its name."""
    namespace, _, name = tag.rpartition("}")
    return namespace.removeprefix("{"), name


def clean(text: str) -> str:
    """A text that XML can carry: what XML 1.0 has no place for, lone surrogates too, becomes U+FFFD."""
    return _NOT_XML.sub("\ufffd", text)


def value(of: Any) -> str:
    """A value as pascom writes it: true and false, numbers as they are, '' for nothing."""
    match of:
        case None:
            return ""
        case bool():
            return "true" if of else "false"
        case _:
            return clean(str(of))


def add(parent: Element, name: str, attributes: Mapping[str, Any] | None = None, text: Any = None) -> Element:
    """A new last child of `parent`; its attributes stand in their order."""
    child = SubElement(parent, name, {key: value(one) for key, one in (attributes or {}).items()})
    child.text = value(text) or None
    return child


def new(name: str, attributes: Mapping[str, Any] | None = None) -> Element:
    """A new element; its attributes stand in their order."""
    return Element(name, {key: value(one) for key, one in (attributes or {}).items()})


def to_text(element: Element) -> str:
    """One document, without an XML declaration."""
    # ElementTree leaves CR in text as it is, and every parser reads that as LF; in attributes it does escape it, and >
    # everywhere. An empty element is written as pascom does.
    return tostring(element, encoding="unicode").replace("\r", "&#13;").replace(" />", "/>")
