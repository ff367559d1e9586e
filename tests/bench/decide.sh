#!/bin/sh
# What a decision costs, in instructions, which are the same each time.

# shellcheck source=tests/lib/bench.sh
. "${0%/*}/../lib/bench.sh"

rounds=${BENCH_MESSAGES:-2000}

bench "$rounds decisions each at 10, 1000 and 100000 destinations with one part waiting, 100 workers; choice: which part, how many" \
    "more could run, when to ask again; rest: it starts, ends, and the next arrives; counted by callgrind"

# counted DESTINATIONS CASE FUNCTION: instructions in it for a round
counted()
{
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect="$3" \
        "$BUILD/bench/decide" "$1" "$rounds" "$2" >"$TEST_DIR/decide.out" 2>"$TEST_DIR/decide.log" ||
        fail "$(tail -n 3 "$TEST_DIR/decide.log")"
    sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$TEST_DIR/decide.log" |
        awk -v n="$(sed -n 's/^started \([0-9]*\) of.*/\1/p' "$TEST_DIR/decide.out")" -v rounds="$rounds" -v by="$3" \
            '{ printf "%.0f\n", $1 / (by == "counted_rest" && n > 0 ? n : rounds) }'
}

for destinations in 10 1000 100000; do
    bench_add "choice, $destinations proven" headroom "$(counted "$destinations" proven counted_choice)"
    bench_add "rest, $destinations proven" headroom "$(counted "$destinations" proven counted_rest)"
    bench_add "choice, $destinations unknown" headroom "$(counted "$destinations" unknown counted_choice)"
done
bench_add 'limit step' headroom "$(counted 1 limit counted_limit)"

# of METRIC: its figure
of()
{
    awk -F '\t' -v metric="$1" '$1 == metric { print $3 }' "$bench_values"
}
for each in 'choice, %s proven' 'rest, %s proven' 'choice, %s unknown'; do
    for destinations in 10 1000 100000; do
        # shellcheck disable=SC2059
        bench_value "$(printf "$each" "$destinations")" headroom instructions ''
    done
    # shellcheck disable=SC2059
    flat=$(printf "$each" '100000 / 10')
    # shellcheck disable=SC2059
    bench_add "$flat" headroom "$(echo "$(of "$(printf "$each" 100000)") $(of "$(printf "$each" 10)")" | awk '{ print $1 / $2 }')"
    bench_value "$flat" headroom 'times' '<= 1.5'
done
bench_value 'limit step' headroom instructions ''
bench_end
