# Of `gcov -t -b -c`, one file after the other: a line for each, of its lines and branches; with -v list=1 instead each line
# of source that has a branch which no test took. Each condition has two: 0 and 1 are those of the first, mostly as it is true
# and as it is false. Those of assert() are not counted. POSIX awk.

function percent(some, all)
{
    return all ? sprintf("%.2f%% of %d", 100 * some / all, all) : "none"
}

function line_out()
{
    if (list && missed != "")
        printf "%s:%d: %s  [%s of %d]\n", name, at, text, missed, ways
    missed = ""
    ways = 0
}

function file_out()
{
    line_out()
    if (name != "" && !list)
        printf "%-42s lines %-15s  branches %s\n", name, percent(run, lines), percent(taken, branches)
}

BEGIN { FS = ":" }

# A header that a file includes is a source of its own: only what is named *.c is of interest.
$3 == "Source" {
    file_out()
    name = $4 ~ /\.c$/ ? $4 : ""
    lines = run = branches = taken = 0
    next
}
name == "" { next }
$2 ~ /^ *[1-9][0-9]*$/ {
    line_out()
    at = $2 + 0
    text = $0
    sub(/^[^:]*:[^:]*:[ \t]*/, "", text)
    lines += $1 !~ /-/
    run += $1 !~ /[-#=]/
}
/^branch/ && text !~ /^assert\(/ {
    if ($0 ~ /never executed|taken 0/)
        missed = missed (missed == "" ? "" : ",") ways
    else
        taken++
    ways++
    branches++
}
END { file_out() }
