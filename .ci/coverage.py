"""How many lines of the core and of the driver do the tests run?

    python3 .ci/coverage.py 'cargo test --workspace'    # runs it, instrumented, and judges what it covered
    python3 .ci/coverage.py --tools                     # which LLVM tools it would use

The command is one of `cargo test`, without a `cd` or the like. Exit code 1 if it fails, or if a package is below its
bound. All that is written is in `target/coverage`, with `lcov.info` for editors. Members of the workspace alone are
instrumented. Doc tests are not; what they run of the libraries counts all the same. Test modules inside `src` do not.
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

BOUNDS = {"core": 98.0, "driver": 95.0}  # percent of the lines in `src`
ROOT = pathlib.Path(__file__).resolve().parent.parent
NEWER = 4  # LLVM reads what older versions wrote: so many majors above rustc's are tried too
MODULE = re.compile(r"(\s*)(?:pub(?:\(.*\))? )?mod (\w+)( \{|;)$")


def output(*command: str, **options) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def find_tools() -> tuple[str, str]:
    """llvm-profdata and llvm-cov, of rustc's LLVM or a newer one."""
    rustc = output("rustc", "-vV")
    major = int(re.search(r"^LLVM version: (\d+)", rustc, re.MULTILINE).group(1))
    host = re.search(r"^host: (\S+)$", rustc, re.MULTILINE).group(1)
    component = pathlib.Path(output("rustc", "--print", "sysroot").strip(), "lib/rustlib", host, "bin")
    for version in range(major, major + NEWER + 1):
        tools = [shutil.which(f"{name}-{version}") for name in ("llvm-profdata", "llvm-cov")]
        if all(tools):
            return tuple(tools)
    tools = [shutil.which(name, path=str(component)) for name in ("llvm-profdata", "llvm-cov")]
    if all(tools):
        return tuple(tools)
    sys.exit(
        f"error: no llvm-profdata-{major} and llvm-cov-{major}, nor newer ones, for rustc's LLVM {major}: "
        f"install Debian's llvm-{major}, or the toolchain's component llvm-tools"
    )


def run(command: str, profiles: pathlib.Path) -> int:
    shutil.rmtree(profiles, ignore_errors=True)
    profiles.mkdir(parents=True)
    environment = instrumented(profiles)
    return subprocess.run(["bash", "-euo", "pipefail", "-c", command], env=environment).returncode


def instrumented(profiles: pathlib.Path) -> dict[str, str]:
    return os.environ | {
        "RUSTC_WORKSPACE_WRAPPER": str(ROOT / ".ci/coverage-rustc"),
        # One file for each process: one that is killed spoils no other's.
        "LLVM_PROFILE_FILE": str(profiles / "%p-%m.profraw"),
    }


def executables(command: str, profiles: pathlib.Path) -> list[str]:
    """What the command has run, by cargo's account; everything is built already."""
    words = shlex.split(command)
    cargo = words[: words.index("--")] if "--" in words else words
    listed = output(*cargo, "--no-run", "--message-format=json", env=instrumented(profiles), stderr=subprocess.DEVNULL)
    messages = [json.loads(line) for line in listed.splitlines()]
    return sorted({message["executable"] for message in messages if message.get("executable")})


def covered_lines(lcov: str) -> dict[str, dict[int, int]]:
    """How often each line ran, for each file in the `src` of a package that has a bound."""
    files: dict[str, dict[int, int]] = {}
    lines: dict[int, int] = {}
    for entry in lcov.splitlines():
        kind, _, value = entry.partition(":")
        if kind == "SF":
            path = pathlib.Path(value)
            name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else ""
            counts = name.startswith(tuple(f"{package}/src/" for package in BOUNDS))
            lines = files.setdefault(name, {}) if counts else {}
        elif kind == "DA":
            line, count = value.split(",")[:2]
            lines[int(line)] = int(count)
    return files


def without_tests(files: dict[str, dict[int, int]]) -> dict[str, dict[int, int]]:
    """Without the modules under `#[cfg(test)]`, in the file or in files of their own."""
    modules = {name: test_modules(name) for name in files}
    own = tuple(f"{stem}{end}" for _, stems in modules.values() for stem in stems for end in (".rs", "/"))
    return {
        name: {number: count for number, count in lines.items() if number not in modules[name][0]}
        for name, lines in files.items()
        if not name.startswith(own)
    }


def test_modules(name: str) -> tuple[set[int], list[str]]:
    """The lines of those in the file, which end at a brace in the column where they began; the paths of the others."""
    path = pathlib.Path(name)
    folder = path.parent if path.stem in ("lib", "main", "mod") else path.with_suffix("")
    lines, stems = set(), []
    inside, marked = None, False
    for number, text in enumerate((ROOT / path).read_text().splitlines(), start=1):
        module = MODULE.match(text) if marked and inside is None else None
        if module and module[3] == ";":
            stems.append(str(folder / module[2]))
        elif module:
            inside = module[1]
        if inside is not None:
            lines.add(number)
            inside = None if text == inside + "}" else inside
        marked = text.strip() == "#[cfg(test)]"
    return lines, stems


def ranges(numbers: list[int]) -> str:
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in found)


def percent(lines: dict[int, int]) -> float:
    return 100 * sum(1 for count in lines.values() if count) / len(lines)


def judge(files: dict[str, dict[int, int]]) -> bool:
    good = True
    for package, bound in BOUNDS.items():
        own = {name: lines for name, lines in files.items() if name.startswith(f"{package}/src/") and lines}
        every = {(name, number): count for name, lines in own.items() for number, count in lines.items()}
        if not every:
            sys.exit(f"error: no line of {package}/src is in the profile")
        share = percent(every)
        missed = sum(1 for count in every.values() if not count)
        print(f"{package}: {share:.2f} % of {len(every)} lines, {missed} not run; the bound is {bound:g} %")
        for name, lines in sorted(own.items()):
            if percent(lines) < bound:
                absent = ranges(sorted(number for number, count in lines.items() if not count))
                print(f"  {name}: {percent(lines):.1f} %, not run: {absent}")
        if share < bound:
            print(f"error: the tests run too little of {package}", file=sys.stderr)
            good = False
    return good


def main() -> int:
    profdata, cov = find_tools()
    if sys.argv[1:] == ["--tools"]:
        print(profdata, cov)
        return 0
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    command = sys.argv[1]
    metadata = json.loads(output("cargo", "metadata", "--locked", "--no-deps", "--format-version=1", cwd=ROOT))
    profiles = pathlib.Path(metadata["target_directory"], "coverage")
    if code := run(command, profiles):
        return code

    merged = profiles / "merged.profdata"
    raw = profiles / "files.txt"
    raw.write_text("".join(f"{path}\n" for path in profiles.glob("*.profraw")))
    # A process that was killed while it wrote leaves half a file: that one alone is left out.
    output(profdata, "merge", "--sparse", "--failure-mode=all", f"--input-files={raw}", "-o", str(merged))
    first, *others = executables(command, profiles)
    objects = [argument for other in others for argument in ("--object", other)]
    lcov = output(cov, "export", "--format=lcov", f"--instr-profile={merged}", first, *objects)
    (profiles / "lcov.info").write_text(lcov)
    for path in profiles.glob("*.profraw"):
        path.unlink()
    return 0 if judge(without_tests(covered_lines(lcov))) else 1


if __name__ == "__main__":
    sys.exit(main())
