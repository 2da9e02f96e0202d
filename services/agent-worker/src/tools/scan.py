"""Finds secrets and dangerous calls below the current directory; prints a JSON list.

Secrets are found by the published shapes of well-known credentials, dangerous Python calls in the syntax
tree, so that neither a comment nor a string raises an alarm."""
import ast
import json
import os
import re

SECRETS = [
    ("private-key", r"-----BEGIN (?:RSA |EC |OPENSSH |DSA |PGP )?PRIVATE KEY"),
    ("aws-access-key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("github-token", r"\bgh[pousr]_[A-Za-z0-9]{36,}\b"),
    ("slack-token", r"\bxox[abprs]-[A-Za-z0-9-]{10,}\b"),
    ("stripe-key", r"\b[sr]k_live_[A-Za-z0-9]{20,}\b"),
    ("google-api-key", r"\bAIza[0-9A-Za-z_-]{35}\b"),
    ("jwt", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    ("url-password", r"[a-z][a-z0-9+]*://[^/\s:@]+:[^/\s:@{}$<]{3,}@"),
    ("assigned-secret", r"(?i)\b(?:password|passwd|secret|api_?key|auth_?token)\b\s*[:=]\s*['\"][^'\"\s{}$<]{8,}['\"]"),
]
CALLS = {
    "eval": ("dangerous-eval", "high"),
    "exec": ("dangerous-exec", "high"),
    "compile": ("dynamic-code", "medium"),
    "__import__": ("dynamic-import", "medium"),
    "os.system": ("shell-command", "high"),
    "os.popen": ("shell-command", "high"),
    "pickle.load": ("unsafe-deserialization", "high"),
    "pickle.loads": ("unsafe-deserialization", "high"),
    "marshal.loads": ("unsafe-deserialization", "high"),
    "yaml.load": ("unsafe-deserialization", "high"),
    "tempfile.mktemp": ("insecure-temp-file", "medium"),
    "hashlib.md5": ("weak-hash", "low"),
    "hashlib.sha1": ("weak-hash", "low"),
}
SQL = re.compile(r"(?i)^\s*(select|insert|update|delete|drop|alter|create)\b")
MOST_BYTES = 1 << 20


def dotted(node):
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else node.attr
    return ""


def built_from_values(node):
    """A statement text that is put together with values instead of having them bound."""
    if isinstance(node, ast.JoinedStr):
        first = node.values[0] if node.values else None
        text = first.value if isinstance(first, ast.Constant) else ""
        # A name of a table or a column cannot be bound; what `quoted` gives is one name, whatever is in it.
        name = lambda value: isinstance(value, ast.Call) and dotted(value.func) == "quoted"
        return bool(SQL.match(str(text))) and any(isinstance(v, ast.FormattedValue) and not name(v.value) for v in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mod, ast.Add)):
        left = node.left
        while isinstance(left, ast.BinOp):
            left = left.left
        return isinstance(left, ast.Constant) and bool(SQL.match(str(left.value)))
    return False


def calls(path, text):
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        yield {"rule": "syntax-error", "severity": "high", "file": path, "line": error.lineno or 0, "message": str(error.msg)}
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        # Whoever says that it is not for security has thought of it.
        said = any(k.arg == "usedforsecurity" and isinstance(k.value, ast.Constant) and k.value.value is False for k in node.keywords)
        if name in CALLS and not said:
            rule, severity = CALLS[name]
            yield {"rule": rule, "severity": severity, "file": path, "line": node.lineno, "message": f"call of {name}"}
        if name.startswith("subprocess.") and any(
            k.arg == "shell" and isinstance(k.value, ast.Constant) and k.value.value for k in node.keywords
        ):
            yield {"rule": "shell-command", "severity": "high", "file": path, "line": node.lineno, "message": f"{name} with shell=True"}
        if name.rsplit(".", 1)[-1] in ("execute", "executemany", "executescript") and node.args and built_from_values(node.args[0]):
            message = "SQL put together with values; bind them instead"
            yield {"rule": "sql-injection", "severity": "high", "file": path, "line": node.lineno, "message": message}


def secrets(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        for rule, pattern in SECRETS:
            if re.search(pattern, line):
                yield {"rule": rule, "severity": "high", "file": path, "line": number, "message": f"looks like a secret ({rule})"}


def main():
    findings = []
    for folder, folders, files in os.walk("."):
        folders.sort()
        for name in sorted(files):
            path = os.path.relpath(os.path.join(folder, name), ".")
            if os.path.islink(path) or os.path.getsize(path) > MOST_BYTES:
                continue
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
            findings.extend(secrets(path, text))
            if name.endswith(".py"):
                findings.extend(calls(path, text))
    print(json.dumps(findings))


main()
