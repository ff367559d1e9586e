# The table and the JSON of a benchmark, from the figures of its rounds; see bench.sh. The first `shown` lines were printed before.
# POSIX awk.

function sort(list, n,    i, j, x)
{
    for (i = 2; i <= n; i++) {
        x = list[i]
        for (j = i - 1; j >= 1 && list[j] > x; j--)
            list[j + 1] = list[j]
        list[j + 1] = x
    }
}

# Leaves the median, the least and the most in globals.
function spread(list, n,    i, sorted)
{
    for (i = 1; i <= n; i++)
        sorted[i] = list[i] + 0
    sort(sorted, n)
    least = sorted[1]
    most = sorted[n]
    median = n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
}

function short(x)
{
    if (x == int(x) && x < 1e9 && x > -1e9)
        return sprintf("%d", x)
    return sprintf(x >= 100 ? "%.0f" : x >= 1 ? "%.2f" : "%.4f", x)
}

function rounds_of(metric, variant,    i)
{
    n = count[metric, variant] + 0
    for (i = 1; i <= n; i++)
        list[i] = value[metric, variant, i]
    spread(list, n)
    return n
}

function column(metric, variant)
{
    if (rounds_of(metric, variant) == 0)
        return "-"
    if (n == 1)
        return short(median)
    return short(median) " (" short(least) ".." short(most) ")"
}

function text_of(x)
{
    gsub(/\\/, "\\\\", x)
    gsub(/"/, "\\\"", x)
    return "\"" x "\""
}

function figures(metric, variant,    i, out)
{
    n = count[metric, variant] + 0
    for (i = 1; i <= n; i++)
        out = out (i > 1 ? ", " : "") value[metric, variant, i] + 0
    return "[" out "]"
}

FNR == NR {
    value[$1, $2, ++count[$1, $2]] = $3
    if (!(($1, $2) in seen)) {
        seen[$1, $2] = 1
        key[++keys] = $1 SUBSEP $2
    }
    next
}

{
    shows++
    metric = $2
    n = count[metric, $3] + 0
    if ($1 == "ratio") {
        m = count[metric, "stock"] + 0
        if (m < n)
            n = m
        for (i = 1; i <= n; i++)
            list[i] = value[metric, "stock", i] == 0 ? 0 : value[metric, "headroom", i] / value[metric, "stock", i]
    } else {
        for (i = 1; i <= n; i++)
            list[i] = value[metric, $3, i]
    }
    if (n == 0)
        next
    spread(list, n)
    split($5, goal, " ")
    verdict = ""
    if (goal[1] == ">=")
        verdict = median >= goal[2] + 0 ? "reached" : "MISSED"
    if (goal[1] == "<=")
        verdict = median <= goal[2] + 0 ? "reached" : "MISSED"
    result_median = median
    result = short(median) (n > 1 ? " (" short(least) ".." short(most) ")" : "")
    result_least = least
    result_most = most
    # By nothing is not divided.
    if ($1 == "ratio" && column(metric, "stock") ~ /^0( |$)/)
        result = "-"
    label = metric ", " $4 ($6 == "" ? "" : " (" $6 ")")
    if (shows == 1 && shown == 0)
        printf "  %-52s %-26s %-26s %-22s %-9s\n", "", "stock", "headroom", "ratio, or value", "goal"
    if (shows <= shown)
        ;
    else if ($1 == "ratio")
        printf "  %-52s %-26s %-26s %-22s %-9s %s\n", label, column(metric, "stock"), column(metric, "headroom"), result, $5, verdict
    else
        printf "  %-52s %-26s %-26s %-22s %-9s %s\n", label ($3 == "headroom" ? "" : ", " $3), "", "", result, $5, verdict
    item = sprintf("    {\"metric\": %s, \"of\": %s, \"unit\": %s, \"kind\": \"%s\", \"median\": %.6g, \"least\": %.6g, \"most\": %.6g",
        text_of(metric), text_of($3), text_of($4), $1, result_median, result_least, result_most)
    if ($1 == "ratio") {
        rounds_of(metric, "stock")
        item = item sprintf(", \"stock\": %.6g", median)
        rounds_of(metric, "headroom")
        item = item sprintf(", \"headroom\": %.6g", median)
    }
    if (verdict != "")
        item = item sprintf(", \"goal\": %s, \"reached\": %s", text_of($5), verdict == "reached" ? "true" : "false")
    items = items (items == "" ? "" : ",\n") item "}"
}

END {
    printf "{\n  \"benchmark\": %s,\n  \"ran\": %s,\n  \"at\": %s,\n", text_of(name), text_of(text), text_of(at) >json
    printf "  \"machine\": {\"cpus\": %d, \"kernel\": %s, \"postfix\": %s},\n", cpus, text_of(kernel), text_of(postfix) >json
    out = ""
    many = split(loads, load, " ")
    for (i = 1; i <= many; i++)
        out = out (i > 1 ? ", " : "") load[i] + 0
    printf "  \"load\": [%s],\n  \"results\": [\n%s\n  ],\n  \"rounds\": [\n", out, items >json
    for (i = 1; i <= keys; i++) {
        split(key[i], pair, SUBSEP)
        printf "    {\"metric\": %s, \"of\": %s, \"values\": %s}%s\n", text_of(pair[1]), text_of(pair[2]),
            figures(pair[1], pair[2]), i < keys ? "," : "" >json
    }
    print "  ]\n}" >json
    close(json)
    if (last)
        print "  load " (out == "" ? "not noted" : out) "; figures of all rounds in " json
}
