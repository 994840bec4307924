"""Rewrite the golden files, and the page of what each target can express, from what the compiler makes of them today."""

import shutil

from golden_cases import GOLDEN, TARGETS, cases, compile_case
from target_matrix import PAGE, matrix


def main() -> None:
    """Rewrite all cases."""
    for case in cases():
        for target in TARGETS:
            shutil.rmtree(GOLDEN / case / target, ignore_errors=True)
            (GOLDEN / case / f"{target}.diagnostics.txt").unlink(missing_ok=True)
            for path, text in compile_case(case, target).items():
                file = GOLDEN / case / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
    PAGE.write_text(matrix(), encoding="utf-8")
    print(f"rewrote {len(cases())} cases; read the difference before you commit it")  # noqa: T201  a script


if __name__ == "__main__":
    main()
