# One table of the files that bench.awk wrote: those rows that have a goal. POSIX awk.
#
# A metric "CASE, cold" (warm, reload) is one column of the row CASE; others have one column.

function value_of(line, name,    at)
{
    at = index(line, "\"" name "\": ")
    if (at == 0)
        return ""
    line = substr(line, at + length(name) + 4)
    if (substr(line, 1, 1) == "\"") {
        line = substr(line, 2)
        return substr(line, 1, index(line, "\"") - 1)
    }
    match(line, /^[^,}]*/)
    return substr(line, 1, RLENGTH)
}

function short(x)
{
    x += 0
    return x == int(x) ? sprintf("%d", x) : sprintf(x >= 100 ? "%.0f" : x >= 1 ? "%.2f" : "%.3f", x)
}

function marked(row, phase)
{
    if (!((row, phase) in result))
        return "-"
    return short(result[row, phase]) (missed[row, phase] ? "!" : "")
}

index($0, "\"benchmark\": ") {
    name = value_of($0, "benchmark")
}

index($0, "\"postfix\": ") {
    machine = "Postfix " value_of($0, "postfix") ", Linux " value_of($0, "kernel") ", " value_of($0, "cpus") " CPUs"
}

index($0, "\"at\": ") {
    at = substr(value_of($0, "at"), 1, 10)
}

index($0, "\"goal\": ") {
    metric = value_of($0, "metric")
    phase = "warm"
    n = split(metric, word, ", ")
    metric = word[1]
    for (i = 2; i <= n; i++)
        if (word[i] ~ /^(cold|warm|reload)$/)
            phase = word[i]
        else
            metric = metric ", " word[i]
    if (name != "ordinary")
        metric = name ", " metric
    if (value_of($0, "unit") != "")
        metric = metric ", " value_of($0, "unit")
    if (!(metric in known)) {
        known[metric] = 1
        row[++rows] = metric
    }
    result[metric, phase] = value_of($0, "median")
    missed[metric, phase] = value_of($0, "reached") != "true"
    if (phase == "cold")
        cold[metric] = value_of($0, "goal")
    if (phase == "warm") {
        stock[metric] = value_of($0, "stock")
        ours[metric] = value_of($0, "headroom")
        goal[metric] = value_of($0, "goal")
    } else if (!(metric in goal)) {
        goal[metric] = value_of($0, "goal")
    }
    lost += missed[metric, phase]
}

END {
    printf "Ordinary mail, headroom beside stock lmtp, %s, %s. Ratio: headroom / stock, medians.\n", machine, at
    printf "%-42s %9s %9s  %7s %7s %7s  %s\n", "", "stock", "headroom", "ratio", "cold", "reload", "goal"
    for (i = 1; i <= rows; i++)
        printf "%-42s %9s %9s  %7s %7s %7s  %s\n", row[i], stock[row[i]] == "" ? "-" : short(stock[row[i]]),
            ours[row[i]] == "" ? "-" : short(ours[row[i]]), marked(row[i], "warm"), marked(row[i], "cold"),
            marked(row[i], "reload"), goal[row[i]] ((row[i] in cold) && cold[row[i]] != goal[row[i]] ? ", cold " cold[row[i]] : "")
    print lost == 0 ? "Every goal is reached." : lost " goals are missed: !"
}
