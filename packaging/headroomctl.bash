# shellcheck shell=bash
# Completion of headroomctl for bash, in /usr/share/bash-completion/completions.

_headroomctl_names()
{
    case $1 in
    services) postconf -M 2>/dev/null | awk '$2 == "unix" && $8 == "headroom" { print $1 }' ;;
    transports) postconf -M 2>/dev/null | awk '$2 == "unix" && $3 != "n" && $8 ~ /^(headroom|lmtp)$/ { print $1 }' ;;
    destinations) headroomctl destinations 2>/dev/null | awk 'NF > 4 && /^[^ ]*\./ { print $1 }' ;;
    held) headroomctl hold 2>/dev/null | awk '$3 == "held" { print $1 }' ;;
    esac
}

_headroomctl()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb='' place=0 i words=''
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -c) [[ -n $verb ]] || ((i++)) ;;
        -*) ;;
        *)
            [[ -z $verb ]] || ((place++))
            verb=${verb:-${COMP_WORDS[i]}}
            ;;
        esac
    done
    COMPREPLY=()
    case $verb:$before in
    :-c)
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
        return
        ;;
    plot:-o)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    :*) words='status watch destinations busy hold release retries history plot policy check setup' ;;
    status:*) words='--json --limits' ;;
    busy:*) words='--longer=' ;;
    retries:*) words='--json' ;;
    history:*) words='--since= --would' ;;
    plot:*) words='--since=' ;;
    check:*) words='--quiet' ;;
    setup:*) words='--out --apply' ;;
    esac
    if [[ $word != -* ]]; then
        case $verb:$place in
        check:0) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        setup:0) words=$(_headroomctl_names transports) ;;
        hold:0) words=$(_headroomctl_names destinations) ;;
        hold:1) words="for $(_headroomctl_names services)" ;;
        release:0) words=$(_headroomctl_names held) ;;
        hold:3 | release:1 | status:0 | watch:0 | destinations:0 | busy:0 | retries:0 | history:0 | plot:0 | policy:*)
            words=$(_headroomctl_names services)
            ;;
        :*) ;;
        *) words='' ;;
        esac
    fi
    [[ -z $words ]] || mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$words" -- "$word")
    [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace 2>/dev/null
}

complete -F _headroomctl headroomctl
