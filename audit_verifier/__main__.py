"""`python -m audit_verifier`: what `minutebook audit verify` does, without the rest of Minutebook."""

import argparse
import sys
from pathlib import Path

from audit_verifier.verify import verify


def main() -> int:
    parser = argparse.ArgumentParser(prog="audit_verifier", description="Verify an export of an audit chain.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--key", action="append", required=True, help="a public key; again for one that came after it")
    parser.add_argument("--checkpoint", type=Path, metavar="NOTES", help="checkpoints kept outside the database")
    parser.add_argument("--partial", action="store_true", help="accept a range, or what is left after pruning")
    given = parser.parse_args()
    report = verify(given.file, given.key, given.checkpoint, is_partial=given.partial)
    sys.stdout.write("\n".join(report.lines()) + "\n")
    return report.code


if __name__ == "__main__":
    sys.exit(main())
