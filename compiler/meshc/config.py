"""Configuration: the text of a `meshc.yaml` -> `Config`.

The outside is checked by pydantic and converted at once; unknown keys, wrong types and impossible values are diagnostics at
their place in the file. Import this module only where a project is read: pydantic and PyYAML are slow to load.
"""

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import ErrorDetails, PydanticCustomError

from meshc.diagnostics import Diagnostic, diagnose
from meshc.project_config import (
    Certificates,
    Config,
    Dataplane,
    EnvoyConfig,
    IstioConfig,
    LinkerdConfig,
    Unsupported,
)
from meshc.source import SourceFile, Span
from meshc.suggest import closest
from meshc.yaml_places import Mapping as YamlMapping
from meshc.yaml_places import Node, Scalar, ScalarKind, Sequence, read_yaml

__all__ = ["SCHEMA_ADDRESS", "Config", "ConfigFile", "EnvoyConfig", "EnvoySection", "config_schema", "read_config"]

SCHEMA_ADDRESS: Final = "https://meshc.dev/schemas/meshc.v1.json"
"""The name of the schema, which is not a promise that something is served there."""

_CONTROL: Final = r"\\\x00-\x1f\x7f"
_SEGMENT: Final = rf"(?:\.|\.\.[^/{_CONTROL}]+|\.[^./{_CONTROL}][^/{_CONTROL}]*|[^./{_CONTROL}][^/{_CONTROL}]*)"
_INSIDE: Final = rf"^(?:{_SEGMENT}/)*{_SEGMENT}/?$"
_ANYWHERE: Final = rf"^[^{_CONTROL}]+$"
_ABSOLUTE: Final = rf"^/[^{_CONTROL}]*$"
_LABEL: Final = "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"
_NAME: Final = "^(?:[0-9][0-9-]*)?[a-z](?:[a-z0-9-]*[a-z0-9])?$"


def _unique(names: list[str]) -> list[str]:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise PydanticCustomError("repeated", "listed twice", {"index": index})
    return names


def _block(text: str) -> str:
    try:
        ip_network(text)
    except ValueError as error:
        raise PydanticCustomError("block", "no block of addresses") from error
    return text


_Blocks = Annotated[list[Annotated[str, AfterValidator(_block)]], AfterValidator(_unique), Field(min_length=1)]
_Name = Annotated[str, Field(pattern=_NAME)]
_Names = Annotated[list[_Name], AfterValidator(_unique), Field(json_schema_extra={"uniqueItems": True})]


def _alias(name: str) -> str:
    return name.replace("_", "-")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=_alias)


class EnvoySection(_Section):
    """What the Envoy target is told."""

    certificates: Certificates = Field(
        "files", description="Where sidecars get their certificates from.", examples=["files"]
    )
    tls_directory: str = Field(
        "/etc/meshc/tls",
        pattern=_ABSOLUTE,
        description="Where certificates and keys are on the sidecar's machine, as an absolute path.",
        examples=["/etc/meshc/tls"],
    )


class IstioSection(_Section):
    """What the Istio target is told."""

    dataplane: Dataplane = Field(
        "sidecar",
        description="What enforces: a sidecar beside each workload, or ztunnel and waypoints.",
        examples=["sidecar"],
    )
    root_namespace: str = Field(
        "istio-system",
        pattern=_LABEL,
        description="Where Istio takes mesh-wide resources from.",
        examples=["istio-system"],
    )


class LinkerdSection(_Section):
    """What the Linkerd target is told."""

    namespace: str = Field(
        "linkerd", pattern=_LABEL, description="The control plane's namespace.", examples=["linkerd"]
    )
    probe_networks: _Blocks = Field(
        default=["0.0.0.0/0", "::/0"],
        description="The blocks of addresses that the kubelets' health checks come from.",
        examples=[["10.0.0.0/16"]],
    )


class ConfigFile(_Section):
    """What a meshc.yaml may say."""

    policies: str = Field(
        "policies/", pattern=_INSIDE, description="The program: a folder or a .mesh file.", examples=["policies/"]
    )
    targets: _Names = Field(
        default=[],
        description="What compile, check and verify do when --target is not given.",
        examples=[["envoy"]],
    )
    out: str = Field("deploy/", pattern=_ANYWHERE, description="Where compile writes to.", examples=["deploy/"])
    environments: _Names = Field(default=[], description="What --env all stands for.", examples=[["staging", "prod"]])
    unsupported: Unsupported = Field(
        "error",
        description="What to do about a feature that a target may leave out; never about access rules.",
        examples=["error"],
    )
    envoy: EnvoySection = Field(
        default=EnvoySection.model_construct(),
        description="What the Envoy target is told.",
        examples=[{"certificates": "files"}],
    )
    istio: IstioSection = Field(
        default=IstioSection.model_construct(),
        description="What the Istio target is told.",
        examples=[{"dataplane": "sidecar"}],
    )
    linkerd: LinkerdSection = Field(
        default=LinkerdSection.model_construct(),
        description="What the Linkerd target is told.",
        examples=[{"namespace": "linkerd"}],
    )


_SECTIONS: Final[Mapping[str, type[_Section]]] = {
    "envoy": EnvoySection,
    "istio": IstioSection,
    "linkerd": LinkerdSection,
}


def config_schema() -> JsonSchemaValue:
    """The JSON Schema of `meshc.yaml` for editors; `schemas/meshc.schema.json` holds it, as a test makes sure."""
    schema = ConfigFile.model_json_schema(by_alias=True)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ADDRESS}
    return {**head, **schema, "title": "meshc.yaml"}


def read_config(source: SourceFile) -> tuple[Config, tuple[Diagnostic, ...]]:
    """Read the text of a `meshc.yaml`; an empty one means the defaults. With diagnostics, the result is the defaults."""
    root, found = read_yaml(source, "invalid-config")
    if root is None or found:
        return Config(), found
    try:
        checked = ConfigFile.model_validate(_plain(root))
    except ValidationError as error:
        findings = [_explain(one, root) for one in error.errors(include_url=False)]
        return Config(), tuple(sorted(findings, key=lambda finding: finding.span.start))
    return _convert(checked, dict(_places(root, ()))), ()


def _convert(checked: ConfigFile, places: Mapping[str, Span]) -> Config:
    envoy = EnvoyConfig(certificates=checked.envoy.certificates, tls_directory=checked.envoy.tls_directory)
    istio = IstioConfig(dataplane=checked.istio.dataplane, root_namespace=checked.istio.root_namespace)
    blocks = tuple(checked.linkerd.probe_networks)
    linkerd = LinkerdConfig(namespace=checked.linkerd.namespace, probe_networks=blocks)
    return Config(
        policies=checked.policies,
        targets=tuple(checked.targets),
        out=checked.out,
        environments=tuple(checked.environments),
        unsupported=checked.unsupported,
        envoy=envoy,
        istio=istio,
        linkerd=linkerd,
        places=places,
    )


_Plain = str | bool | None | list["_Plain"] | dict[str, "_Plain"]


def _plain(node: Node) -> _Plain:
    """The node as data for pydantic; no setting is a number or a date, so that any value that is no text stands for them."""
    match node:
        case Scalar(kind=ScalarKind.TEXT):
            return node.text
        case Scalar():
            return None if node.kind is ScalarKind.NOTHING else False
        case Sequence():
            return [_plain(item) for item in node.items]
        case YamlMapping():
            return {key.text: _plain(value) for key, value in node.entries}


def _places(node: Node, path: tuple[str, ...]) -> list[tuple[str, Span]]:
    own = [(".".join(path), node.span)] if path else []
    match node:
        case Scalar():
            return own
        case Sequence():
            inner = [(str(index), item) for index, item in enumerate(node.items)]
        case YamlMapping():
            inner = [(key.text, value) for key, value in node.entries]
    return own + [place for name, value in inner for place in _places(value, (*path, name))]


def _explain(error: ErrorDetails, root: Node) -> Diagnostic:
    """One finding of pydantic in the user's terms, at the place that it is about."""
    location = list(error["loc"])
    if error["type"] == "repeated":
        location.append(error["ctx"]["index"])
    node, key = _find(root, location)
    if error["type"] == "extra_forbidden" and key is not None:
        return _unknown_key(key, [str(part) for part in location[:-1]])
    setting = ".".join(str(part) for part in error["loc"] if isinstance(part, str))
    if not setting:
        message = f"`meshc.yaml` must be a mapping of settings, found {_describe(node)}"
        return diagnose("invalid-config", node.span, message, advice="write it like `policies: policies/`")
    match error["type"]:
        case "repeated":
            return diagnose(
                "invalid-config", node.span, f"{_describe(node)} is listed twice", advice="remove one of them"
            )
        case "literal_error":
            return _wrong_word(setting, node, error["ctx"]["expected"])
        case kind:
            wanted = _wanted(kind, setting, is_item=isinstance(location[-1], int))
            message = f"`{setting}` must be {wanted}, found {_describe(node)}"
            return diagnose("invalid-config", node.span, message, advice=f"write it like `{_example(setting)}`")


def _find(node: Node, location: list[str | int]) -> tuple[Node, Scalar | None]:
    """The value at a path, and the key that leads to it if the last step is one."""
    key: Scalar | None = None
    for part in location:
        match node, part:
            case Sequence(), int():
                node, key = node.items[part], None
            case YamlMapping(), str():
                key, node = next(entry for entry in node.entries if entry[0].text == part)
            case _:
                break
    return node, key


def _unknown_key(key: Scalar, section: list[str]) -> Diagnostic:
    model = _SECTIONS[section[0]] if section else ConfigFile
    known = [_alias(name) for name in model.model_fields]
    near = closest(key.text, known)
    advice = f"did you mean `{near}`?" if near else f"known are {', '.join(f'`{name}`' for name in known)}"
    where = f"`{'.'.join(section)}`" if section else "`meshc.yaml`"
    return diagnose("invalid-config", key.span, f"`{key.text}` is no setting of {where}", advice=advice)


def _wrong_word(setting: str, node: Node, expected: str) -> Diagnostic:
    words = expected.split("'")[1::2]
    near = closest(node.text, words) if isinstance(node, Scalar) else None
    wanted = " or ".join(f"`{word}`" for word in words)
    advice = f"did you mean `{near}`?" if near else f"write it like `{_example(setting)}`"
    return diagnose(
        "invalid-config", node.span, f"`{setting}` must be {wanted}, found {_describe(node)}", advice=advice
    )


def _describe(node: Node) -> str:
    match node:
        case Scalar(kind=ScalarKind.NOTHING):
            return "nothing"
        case Scalar(kind=ScalarKind.TEXT):
            return f"`{node.text}`"
        case Scalar():
            return f"`{node.text}`, which YAML takes for {node.kind.value}"
        case Sequence():
            return "a list"
        case YamlMapping():
            return "a mapping"


_SHAPES: Final[Mapping[str, str]] = {
    "policies": "a path within the project, with forward slashes",
    "out": "a path, with forward slashes",
    "istio.root-namespace": "a name as Kubernetes has them",
    "linkerd.namespace": "a name as Kubernetes has them",
    "linkerd.probe-networks": "a list of blocks such as `10.0.0.0/16`",
    "envoy.tls-directory": "an absolute path, with forward slashes",
}


def _wanted(kind: str, setting: str, *, is_item: bool) -> str:
    """What may stand at a setting, for an error that pydantic calls `kind`."""
    match kind:
        case "list_type":
            return "a list"
        case "model_type" | "dict_type" | "model_attributes_type":
            return "a mapping"
        case _ if setting in _SHAPES:
            return _SHAPES[setting]
        case _ if is_item:
            return "a list of names in lower case"
        case _:
            return "a text"


def _example(setting: str) -> str:
    match setting:
        case "targets":
            return "targets: [envoy]"
        case "environments":
            return "environments: [staging, prod]"
        case "envoy":
            return "envoy: {certificates: files}"
        case "istio":
            return "istio: {dataplane: sidecar}"
        case "linkerd":
            return "linkerd: {namespace: linkerd}"
        case "linkerd.probe-networks":
            return "probe-networks: [10.0.0.0/16]"
        case _:
            section, _, name = setting.rpartition(".")
            model = _SECTIONS[section] if section else ConfigFile
            return f"{name}: {model.model_fields[name.replace('-', '_')].default}"
