"""What a command comes in, a bare `<cmd>` or one in an `<iq>`, and its answer goes out in."""

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from bridge.api.answers import RequestError
from bridge.api.pascom import shapes
from bridge.api.pascom.xml import BadXmlError, parse, split_name
from bridge.core.ids import Identity

_LONGEST_ID = 256
_STANZAS = frozenset({"", "jabber:client"})


class NoCommandError(RequestError):
    """XML that holds no command."""

    code = "invalid-command"


class Envelope:
    """One command's: opened first, then put around the answer.

    An iq with our answer has the same id and namespace, and type `error` where there was no command in it.
    """

    def __init__(self) -> None:
        self._stanza: Mapping[str, str] | None = None
        self._understood = False

    def open(self, document: bytes | str) -> tuple[str, Element]:
        """The module, and the command's element, its names without namespace. Raises BadXmlError, NoCommandError."""
        try:
            root = parse(document)
        except BadXmlError as error:
            if error.opening is not None:
                self._stanza = _stanza_of(*error.opening)
            raise
        problems: list[str] = []
        cmd: Element | None = root
        self._stanza = _stanza_of(root.tag, root.attrib)
        if self._stanza is not None:
            problems += _wrong_in_iq(root)
            cmd = root[0] if len(root) == 1 else None
            if cmd is None:
                problems.append("iq: there should be one cmd in it")
        module, command = "", None
        if cmd is not None:
            problems += _wrong_in_cmd(cmd)
            module, command = cmd.get("module", ""), next(iter(cmd), None)
        if problems or command is None:
            raise NoCommandError(f"this is no command: {'; '.join(problems)}")
        self._understood = True
        for element in command.iter():
            element.tag = split_name(element.tag)[1]
        return module, command

    def around(self, cmd: Element, to: Identity) -> Element:
        """The answer as it came."""
        if self._stanza is None:
            return cmd
        return shapes.iq(cmd, self._stanza, to, understood=self._understood)


def _stanza_of(tag: str, attributes: Mapping[str, str]) -> Mapping[str, str] | None:
    namespace, name = split_name(tag)
    if name != "iq" or namespace not in _STANZAS:
        return None
    number = attributes.get("id", "")
    stanza = {"id": number} if 0 < len(number) <= _LONGEST_ID else {}
    return {**stanza, "xmlns": namespace} if namespace else stanza


def _wrong_in_iq(iq: Element) -> list[str]:
    problems = []
    if not 0 < len(iq.get("id", "")) <= _LONGEST_ID:
        problems.append(f"id: an iq should have one, of at most {_LONGEST_ID} characters")
    if iq.get("type", "get") not in {"get", "set"}:
        problems.append("type: an iq that asks should have get or set")
    return problems


def _wrong_in_cmd(cmd: Element) -> list[str]:
    namespace, name = split_name(cmd.tag)
    if name != "cmd" or namespace != shapes.NAMESPACE:
        return [f'there should be a <cmd xmlns="{shapes.NAMESPACE}">']
    problems = []
    if not cmd.get("module"):
        problems.append("module: a cmd should have one")
    if len(cmd) != 1:
        problems.append("cmd: there should be one command in it")
    return problems
