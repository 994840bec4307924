"""Label selectors of Kubernetes: `matchLabels` and `matchExpressions`, all of which must hold; an empty one selects everything."""

from collections.abc import Mapping

from meshc.target import Json


class SelectorError(Exception):
    """A selector that Kubernetes would not take; the text says why."""


def is_selected(selector: Json, labels: Mapping[str, str]) -> bool:
    """Whether a selector picks what carries these labels. Raises SelectorError."""
    if selector is None:
        return True
    if not isinstance(selector, Mapping) or set(selector) - {"matchLabels", "matchExpressions"}:
        raise SelectorError("a selector with other fields than `matchLabels` and `matchExpressions`")
    wanted = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or []
    if not isinstance(wanted, Mapping) or not isinstance(expressions, list | tuple):
        raise SelectorError("a selector that is no mapping of labels")
    has_labels = all(labels.get(str(key)) == str(value) for key, value in wanted.items())
    return has_labels and all(_holds(one, labels) for one in expressions)


def _holds(expression: Json, labels: Mapping[str, str]) -> bool:
    fields = expression if isinstance(expression, Mapping) else {}
    key, values = str(fields.get("key", "")), fields.get("values")
    listed = {str(one) for one in values} if isinstance(values, list | tuple) else set[str]()
    match fields.get("operator"):
        case "In":
            return labels.get(key) in listed
        case "NotIn":
            return labels.get(key) not in listed
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case other:
            raise SelectorError(f"the operator `{other}` of a selector")
