#!/bin/sh
# bugs.sh BUILD SECONDS: for each bug of tests/world/bugs, a world whose dispatcher has it, and at which seed that is found,
# from 1 on. A bug is a line or two of the product that are wrong, as a patch; its first line is the promise. $COMPILE and $LINK
# are commands, $REST is all else that is linked; the object with the bug precedes the product's archive, and takes the place
# of its member. The exit status is 1 when one is not found.
set -eu
build=$1 time=$2
here=tests/world/bugs
status=0
for patch in "$here"/*.patch; do
    name=$(basename "$patch" .patch)
    file=$(sed -n 's|^+++ b/||p' "$patch")
    mkdir -p "$build/bugs/$name/$(dirname "$file")"
    cp "$file" "$build/bugs/$name/$file"
    patch -s -d "$build/bugs/$name" -p1 <"$patch"
    eval "$COMPILE -c -o $build/bugs/$name/bug.o $build/bugs/$name/$file"
    eval "$LINK -o $build/bugs/$name/world $build/bugs/$name/bug.o $REST"
    if "$build/bugs/$name/world" -t "$time" 1 >"$build/bugs/$name/out" 2>&1; then
        printf '%-14s NOT FOUND in %s\n' "$name" "$(sed -n 's/ a second.*/ a second/p' "$build/bugs/$name/out")"
        status=1
    else
        seed=$(sed -n 's/^seed \([0-9]*\),.*/\1/p' "$build/bugs/$name/out")
        printf '%-14s seed %5s  %s\n' "$name" "$seed" "$(sed -n 's/.*BROKEN //p' "$build/bugs/$name/out")"
    fi
done
exit $status
