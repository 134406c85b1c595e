"""读取规则包 From a pack's YAML text to frozen values, every refusal with its line; the one door to YAML."""

import hashlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Any, NoReturn, TypeVar

import yaml

from contracts.terms import DeliveryMode, Tier
from market.policy.conditions import Above, All, Condition, Not, OneOf, Present, Some, Within
from market.policy.inputs import TERMS, Shape, Term
from market.policy.packs import (
    PART,
    RULE_ID,
    VERSION,
    Charge,
    Decision,
    Duty,
    Effect,
    LicenseClass,
    Pack,
    Phase,
    PriceRule,
    Rule,
    RuleKind,
)
from market.policy.problems import PackRefused
from storage.kernel.words import Worded, Words

BUILT_IN = "2026.1"
MAX_BYTES, MAX_RULES, MAX_DEPTH = 256 << 10, 200, 12
W = TypeVar("W", bound=Worded)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same language, ten times as fast
Fields = dict[str, yaml.Node]

# What a rule of each phase may say it does; the first is what it must say.
EFFECTS: dict[Phase, tuple[str, ...]] = {
    Phase.DENY: ("decision",),
    Phase.ROUTE: (
        "decision", "tier", "price_rule", "charge", "license_class", "delivery", "approvals", "duties",
        "waits_for",
    ),
    Phase.MODIFY: ("tier", "delivery", "approvals", "duties", "decision", "waits_for"),
    Phase.LIVING: ("duties",),
}  # fmt: skip


def built_in_text(version: str = BUILT_IN) -> str:
    """The text of a pack that ships with the program. Raises FileNotFoundError."""
    return (files("market.policy") / "packs" / f"{version}.yaml").read_text(encoding="utf-8")


def built_in() -> Pack:
    """The pack that is in force until an operator adopts another."""
    return read(built_in_text())


@lru_cache(maxsize=16)
def read(text: str) -> Pack:
    """读取. The pack a text says, wholly checked. Raises PackRefused with line (from 1) and reason."""
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) > MAX_BYTES:
        _refuse(0, "规则包过大", f"the pack is larger than {MAX_BYTES} bytes")
    top = _fields(_composed(text), {"version", "title", "laws", "rules"})
    version = _text(top["version"])
    if not VERSION.fullmatch(version):
        _refuse(_line(top["version"]), "版本号形如 2026.1", "a version looks like 2026.1")
    laws = {name: _words(node) for name, node in _mapping(top["laws"]).items()}
    nodes = _items(top["rules"])
    if not 1 <= len(nodes) <= MAX_RULES:
        _refuse(_line(top["rules"]), f"规则为 1 至 {MAX_RULES} 条", f"a pack has 1 to {MAX_RULES} rules")
    rules = tuple(_rule(node, laws) for node in nodes)
    for place, rule in enumerate(rules):
        if any(rule.key == other.key for other in rules[:place]):
            _refuse(rule.line, f"规则 {rule.key} 重复", f"rule {rule.key} stands twice")
        if any(rule.id == other.id and rule.kind is not other.kind for other in rules[:place]):
            _refuse(rule.line, f"{rule.id} 的性质前后不一", f"the parts of {rule.id} differ in kind")
    return Pack(version, _words(top["title"]), rules, hashlib.sha256(raw).hexdigest(), text)


def _composed(text: str) -> yaml.Node:
    """The text as a tree of nodes with lines. Aliases are refused: a few can stand for billions."""
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.AliasEvent):
                _refuse(_at(event.start_mark), "不支持 YAML 引用", "aliases are not allowed")
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        told = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
        _refuse(_at(mark), f"语法错误：{told}", f"syntax error: {told}")
    except RecursionError:
        _refuse(0, "嵌套过深", "nested too deeply")
    if node is None:
        _refuse(1, "规则包为空", "the pack is empty")
    return node


def _rule(node: yaml.Node, laws: dict[str, Words]) -> Rule:
    needed = {"id", "phase", "kind", "when", "then", "sources", "words", "remedy"}
    said = _fields(node, needed, {"part"})
    number = _text(said["id"])
    part = _text(said["part"]) if "part" in said else ""
    if not RULE_ID.fullmatch(number):
        _refuse(_line(said["id"]), "规则编号形如 T01", "a rule's id looks like T01")
    if part and not PART.fullmatch(part):
        _refuse(
            _line(said["part"]), "部分名为小写字母或数字", "a part is named by lower-case letters or digits"
        )
    phase = _member(Phase, said["phase"])
    sources = tuple(_source(one, laws) for one in _items(said["sources"]))
    if not sources:
        _refuse(_line(said["sources"]), "每条规则须注明来源", "every rule names a source")
    return Rule(
        id=number,
        part=part,
        phase=phase,
        kind=_member(RuleKind, said["kind"]),
        when=_condition(said["when"], 1),
        then=_effect(said["then"], phase),
        sources=sources,
        words=_words(said["words"]),
        remedy=_words(said["remedy"]),
        line=_line(node),
    )


def _source(node: yaml.Node, laws: dict[str, Words]) -> Words:
    """`DSL 21` is article 21 of the law the pack calls DSL; `SEED row9` is a requirement of a policy text."""
    key, _, article = _text(node).partition(" ")
    if key not in laws:
        _refuse(_line(node), f"未声明的来源 {key}", f"unknown source {key}: declare it under laws")
    name = laws[key]
    if not article:
        return name
    if article.startswith("row"):
        number = article.removeprefix("row")
        return Words(f"{name.zh}需求表第 {number} 项", f"{name.en}, requirement {number}")
    return Words(f"{name.zh} 第 {article} 条", f"{name.en}, Art. {article}")


def _effect(node: yaml.Node, phase: Phase) -> Effect:
    known = EFFECTS[phase]
    said = _fields(node, set() if phase is Phase.MODIFY else {known[0]}, set(known))
    effect = Effect(
        decision=_of(said, "decision", lambda n: _member(Decision, n)),
        tier=_of(said, "tier", lambda n: _member(Tier, n)),
        price_rule=_of(said, "price_rule", lambda n: _member(PriceRule, n)),
        charge=_of(said, "charge", lambda n: _member(Charge, n)) or Charge.REFUSE,
        license_class=_of(said, "license_class", lambda n: _member(LicenseClass, n)),
        delivery=_of(said, "delivery", lambda n: frozenset(_member(DeliveryMode, one) for one in _items(n))),
        approvals=_of(said, "approvals", lambda n: _number(n, 2)) or 0,
        duties=_of(said, "duties", lambda n: tuple(_member(Duty, one) for one in _items(n))) or (),
        waits_for=_of(said, "waits_for", _text) or "",
    )
    _check_effect(effect, phase, _line(node))
    return effect


def _check_effect(effect: Effect, phase: Phase, line: int) -> None:
    """What would make an outcome without meaning: an allowance without a side, free data with a price."""
    if phase is Phase.DENY and effect.decision is not Decision.DENY:
        _refuse(line, "禁止类规则的结果只能是 deny", "a rule of this phase denies")
    if phase is Phase.MODIFY and effect.decision is Decision.ALLOW:
        _refuse(line, "限制类规则不能放行", "a modifier never allows")
    if phase is Phase.ROUTE and effect.decision is Decision.ALLOW:
        if effect.tier is None or effect.price_rule is None or effect.license_class is None:
            _refuse(
                line,
                "放行须写明 tier、price_rule、license_class",
                "an allowance names tier, price_rule, license_class",
            )
        if effect.tier is Tier.PUBLIC_GOOD and effect.price_rule is not PriceRule.ZERO:
            _refuse(line, "公益只能免费", "public good is free: price_rule zero")


def _condition(node: yaml.Node, depth: int) -> Condition:
    if depth > MAX_DEPTH:
        _refuse(_line(node), "条件嵌套过深", "the condition is nested too deeply")
    said = _mapping(node)
    if not said:
        _refuse(_line(node), "条件为空", "the condition is empty")
    parts = [_clause(name, value, depth) for name, value in said.items()]
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _clause(name: str, value: yaml.Node, depth: int) -> Condition:
    if name in {"all", "any"}:
        inner = tuple(_condition(one, depth + 1) for one in _items(value))
        if not inner:
            _refuse(_line(value), "条件为空", "the condition is empty")
        return All(inner) if name == "all" else Some(inner)
    if name == "always":
        return All(()) if _flag(value) else Some(())
    if name == "not":
        return Not(_condition(value, depth + 1))
    term = TERMS.get(name)
    if term is None:
        _refuse(_line(value), f"未知要素 {name}", f"unknown term {name}")
    return _comparison(term, value)


def _comparison(term: Term, node: yaml.Node) -> Condition:
    match term.shape:
        case Shape.FLAG:
            return OneOf(term.name, (_flag(node),))
        case Shape.CHOICE:
            assert term.kind is not None  # a choice is declared with its kind
            nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
            return OneOf(term.name, tuple(_member(term.kind, one) for one in nodes))
        case Shape.AMOUNT:
            [limit] = _fields(node, {"above"}).values()
            if isinstance(limit, yaml.ScalarNode) and limit.value in TERMS:
                if TERMS[limit.value].shape is not Shape.AMOUNT:
                    _refuse(_line(limit), f"{limit.value} 不是金额", f"{limit.value} is not an amount")
                return Above(term.name, other=limit.value)
            return Above(term.name, _number(limit, 10**15))
        case Shape.SET:
            assert term.kind is not None
            kind = term.kind
            [values] = _fields(node, {"within"}).values()
            return Within(term.name, frozenset(_member(kind, one) for one in _items(values)))
        case Shape.NAMES:
            present = Present(term.name)
            [wanted] = _fields(node, {"present"}).values()
            return present if _flag(wanted) else Not(present)


# ------------------------------------------------------------------ nodes


def _refuse(line: int, zh: str, en: str) -> NoReturn:
    where = (f"第 {line} 行：", f"Line {line}: ") if line else ("", "")
    raise PackRefused(Words(where[0] + zh, where[1] + en), line=line, reason={"zh": zh, "en": en})


def _at(mark: Any) -> int:
    return int(mark.line) + 1 if mark else 0


def _line(node: yaml.Node) -> int:
    return _at(node.start_mark)


def _pairs(node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        _refuse(_line(node), "此处应为键值对", "a mapping is expected here")
    for key, value in node.value:
        yield _text(key), value


def _mapping(node: yaml.Node) -> Fields:
    found: Fields = {}
    for name, value in _pairs(node):
        if name in found:
            _refuse(_line(value), f"{name} 重复", f"{name} stands twice")
        found[name] = value
    return found


def _fields(node: yaml.Node, needed: set[str], more: set[str] | None = None) -> Fields:
    found = _mapping(node)
    for name, value in found.items():
        if name not in needed | (more or set()):
            _refuse(_line(value), f"未知字段 {name}", f"unknown field {name}")
    if missing := sorted(needed - found.keys()):
        _refuse(_line(node), f"缺少 {missing[0]}", f"{missing[0]} is missing")
    return found


def _items(node: yaml.Node) -> list[yaml.Node]:
    if not isinstance(node, yaml.SequenceNode):
        _refuse(_line(node), "此处应为列表", "a list is expected here")
    return list(node.value)


def _text(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or not str(node.value).strip():
        _refuse(_line(node), "此处应为文字", "text is expected here")
    return str(node.value).strip()


def _words(node: yaml.Node) -> Words:
    said = _fields(node, {"zh", "en"})
    return Words(_text(said["zh"]), _text(said["en"]))


def _member(kind: type[W], node: yaml.Node) -> W:
    value = _text(node)
    if value not in list(kind):
        known = ", ".join(kind)
        _refuse(_line(node), f"未知取值 {value}，可选：{known}", f"unknown value {value}; one of {known}")
    return kind(value)


def _flag(node: yaml.Node) -> bool:
    value = _text(node)
    if value not in {"true", "false"}:
        _refuse(_line(node), f"{value} 不是 true 或 false", f"{value} is neither true nor false")
    return value == "true"


def _number(node: yaml.Node, most: int) -> int:
    value = _text(node)
    if not (value.isascii() and value.isdigit() and len(value) < 17 and int(value) <= most):
        _refuse(
            _line(node), f"{value} 应为 0 至 {most} 的整数", f"{value} is not a whole number from 0 to {most}"
        )
    return int(value)


def _of(said: Fields, name: str, take: Callable[[yaml.Node], Any]) -> Any:
    return take(said[name]) if name in said else None
