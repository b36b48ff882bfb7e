# Sourced by .ci/bugs and .ci/loom: whether their tests would notice. Each patch plants a bug in a copy of the tree, where a test
# must then fail.
#   BUGS   the name of one bug, or `all`; by default a part, picked by what core/ and driver/ hold

# Tests run in the copy alone: cargo takes what it has built of one for the other.
tree="$CARGO_TARGET_DIR/tree" log="$CARGO_TARGET_DIR/tests.log"
rm -rf "$tree"
mkdir -p "$tree"
# All of it is new: what was built before may have had a bug in it.
git ls-files -z --cached --others --exclude-standard | tar -c --null -T - | tar -x -m -C "$tree"

# git would look for the paths in the repository around the copy.
in_tree() (cd "$tree" && GIT_CEILING_DIRECTORIES="${tree%/*}" "$@")

# planted FOLDER PARTS OPTIONS...: OPTIONS have the program of the tests run the one that must fail; a patch with a line
# `Caught by: NAME` adds its name. One part in so many is tried. The command that builds the tests is in `suite`. With a folder
# in `only`, patches that change nothing there are left out; with a line in `unless`, those that begin a line with it.
planted() {
    local folder=$1 parts=$2 options=("${@:3}") contents part number=0 missed=0 bugs=() bug name verdict code
    [ "${BUGS:-all}" = all ] || [ -e "$folder/$BUGS.patch" ] || {
        echo "error: there is no bug $BUGS in $folder" >&2
        return 1
    }
    contents=$(find core/src driver/src -name '*.rs' | LC_ALL=C sort | xargs cat | cksum)
    part=$((${contents%% *} % parts))
    for bug in "$folder"/*.patch; do
        git apply --check "$bug"
        case "${BUGS:-$((number++ % parts))}" in
        all | "$part" | "$(basename "$bug" .patch)") bugs+=("$bug") ;;
        esac
    done
    for bug in "${bugs[@]}"; do
        grep -q "^+++ b/${only:-}" "$bug" || continue
        [ -z "${unless:-}" ] || ! grep -q "^$unless" "$bug" || continue
        name=$(basename "$bug" .patch)
        in_tree git apply <"$bug"
        in_tree "${suite[@]}" --no-run >"$log" 2>&1 || {
            tail -n 40 "$log"
            echo "error: the tree does not build with the bug $name" >&2
            return 1
        }
        verdict=caught code=0
        # Without quotes: a patch may name no test.
        in_tree timeout 300 "${suite[@]}" -- "${options[@]}" $(sed -n 's/^Caught by: //p' "$bug") >"$log" 2>&1 || code=$?
        # A test may end its process; one that never ends proves nothing.
        case $code in 0 | 124) verdict=MISSED missed=1 ;; esac
        # The rule or the test, and why that failed: a panic, or what the model says.
        printf '%-28s %-5s %s %s\n' "$name" "$(sed -n '2s/.*: //p' "$bug")" "$verdict" \
            "$(sed -n '/panicked at/{n;/in a destructor/!h};/BROKEN: /h;${g;p}' "$log" | cut -c 1-110)"
        in_tree git apply -R <"$bug"
    done
    [ "$missed" -eq 0 ] || {
        echo "error: not every bug is noticed" >&2
        return 1
    }
}
