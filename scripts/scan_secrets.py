"""Find passwords, tokens and private keys in what git tracks, before they are pushed.

detect-secrets looks for them; ``.secrets.baseline`` has what it takes for one and is none, such as the
passwords of servers that the tests start.  Findings are told apart by file and hash, so that a line that
moves is no news.

Usage: ``python scripts/scan_secrets.py [--update] [FILE ...]``
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

ROOT = Path(__file__).resolve().parents[1]
BASELINE = ROOT / ".secrets.baseline"
UNREAD = (
    "*.gz",
    "*.jpg",
    "*.onnx",
    "*.png",
    "*.svg",
    # Hashes of files, which look random because they are.
    ".secrets.baseline",
    "docker/*requirements.txt",
    # Minified, and pinned by its own hash.
    "airflow_provider_aiopt/plugins/static/vendor/*",
)
DETECTORS = (
    *("AWSKey", "Artifactory", "AzureStorageKey", "BasicAuth", "Cloudant", "DiscordBotToken", "GitHubToken"),
    *(
        "GitLabToken",
        "JwtToken",
        "Keyword",
        "Mailchimp",
        "Npm",
        "OpenAI",
        "PrivateKey",
        "PypiToken",
        "SendGrid",
    ),
    *("Slack", "SquareOAuth", "Stripe", "TelegramBotToken", "TwilioKey"),
)
SETTINGS: dict[str, Any] = {
    "plugins_used": [
        *({"name": f"{name}Detector"} for name in DETECTORS),
        # No detector of hexadecimal entropy: sha256 is on every page here, and pins are no secret.
        {"name": "Base64HighEntropyString", "limit": 4.8},
    ],
    "filters_used": [
        {"path": f"detect_secrets.filters.{name}"}
        for name in (
            "allowlist.is_line_allowlisted",
            "heuristic.is_indirect_reference",
            "heuristic.is_potential_uuid",
            "heuristic.is_templated_secret",
            "heuristic.is_sequential_string",
        )
    ],
}


@dataclass(frozen=True, order=True)
class Finding:
    """What looks like a secret; the secret itself is not kept.

    :param file: path below the repository
    :param kind: which detector says so
    :param sha1: hash of the secret
    """

    file: str
    kind: str
    sha1: str


def is_read(name: str) -> bool:
    """Tell whether a file is looked into."""
    return not any(fnmatchcase(name, pattern) for pattern in UNREAD)


def scan(path: Path) -> dict[Finding, int]:
    """Return what looks like a secret in a file, with the number of its line."""
    with transient_settings(SETTINGS):
        secrets = SecretsCollection()
        secrets.scan_file(str(path))
    name = str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
    return {Finding(name, found.type, found.secret_hash): found.line_number for _, found in secrets}


def scan_all(paths: Iterable[Path]) -> dict[Finding, int]:
    """Return :func:`scan` of several files, on all cores."""
    with ProcessPoolExecutor() as executor:
        return {key: line for found in executor.map(scan, paths, chunksize=16) for key, line in found.items()}


def tracked() -> list[Path]:
    """Return the files that git tracks."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in listed.stdout.split("\0") if name and is_read(name)]
    return [path for path in paths if path.is_file()]


def main() -> int:
    """Scan and return the exit code: 1 where there is what the baseline does not know."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--update", action="store_true", help="take all that is found into the baseline")
    parser.add_argument("files", nargs="*", type=Path, help="look into these (default: all that git tracks)")
    chosen = parser.parse_args()
    found = scan_all([path.resolve() for path in chosen.files] or tracked())
    if chosen.update:
        BASELINE.write_text(json.dumps([asdict(one) for one in sorted(found)], indent=1) + "\n")
        return 0
    known = {Finding(**one) for one in json.loads(BASELINE.read_text())}
    new = sorted(set(found) - known)
    for one in new:
        print(f"{one.file}:{found[one]}: looks like a secret ({one.kind})")
    if new:
        print(
            "A secret: revoke it, then remove it from the commit. None: run "
            "python scripts/scan_secrets.py --update, or write 'pragma: allowlist secret' behind the line."
        )
    return int(bool(new))


if __name__ == "__main__":
    sys.exit(main())
