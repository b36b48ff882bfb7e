"""Does the workspace state the Rust version that its dependencies need?

Reads `cargo metadata` for all platforms (dependencies of tests and all features included), takes the greatest
`rust-version` among the packages in the resolved graph, and compares it with what each package of the workspace
states. Exit code 1, with the reason, if they differ.
"""

import json
import subprocess
import sys


def output(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def version(text: str) -> tuple[int, int, int]:
    numbers = [int(number) for number in text.split("-")[0].split(".")]
    return tuple(numbers + [0] * (3 - len(numbers)))


def main() -> int:
    metadata = json.loads(output("cargo", "metadata", "--locked", "--all-features", "--format-version=1"))
    resolved = {node["id"] for node in metadata["resolve"]["nodes"]}
    members = set(metadata["workspace_members"])
    packages = [package for package in metadata["packages"] if package["id"] in resolved]

    stated = {p["name"]: p["rust_version"] for p in packages if p["id"] in members}
    needed = {
        f"{p['name']} {p['version']}": p["rust_version"]
        for p in packages
        if p["id"] not in members and p["rust_version"] is not None
    }
    greatest = max(needed.values(), key=version)
    asking = ", ".join(sorted(name for name, wanted in needed.items() if version(wanted) == version(greatest)))
    print(f"{len(packages)} packages; the greatest rust-version is {greatest} ({asking})")

    wrong = {name: has for name, has in stated.items() if has is None or version(has) != version(greatest)}
    for name, has in sorted(wrong.items()):
        print(f"error: {name} states rust-version {has}, its dependencies need {greatest}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
