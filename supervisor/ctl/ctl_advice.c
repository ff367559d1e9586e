/*
 * The reasons are Postfix's own words (smtp_connect.c, smtp_addr.c, smtp_trouble.c) or a server's. The first line that fits
 * holds, so what a server says stands before the codes, and what is special before what is general.
 */

#include "supervisor/ctl/ctl_advice.h"

#include <string.h>

static const struct {
    const char *says;
    const char *advice;
} lines[] = {
    {"greylist", "it wants to be asked again later, and will be: nothing to do"},
    {"graylist", "it wants to be asked again later, and will be: nothing to do"},
    {"grey-list", "it wants to be asked again later, and will be: nothing to do"},
    {"quota", "a mailbox is full: its owner, or its quota"},
    {"mailbox full", "a mailbox is full: its owner, or its quota"},
    {"mailbox is full", "a mailbox is full: its owner, or its quota"},
    {"Connection refused", "nobody listens there: does the server run, is the port the right one?"},
    {"No such file or directory",
     "there is no such socket: does the server run, is the path right as seen from the chroot?"},
    {"Permission denied", "the rights of the socket do not let Postfix's mail_owner in"},
    {"No route to host", "the network: a route, a firewall, or the host is down"},
    {"Network is unreachable", "this machine has no route there (IPv6? see inet_protocols)"},
    {"Connection timed out", "no packet comes back: a firewall, or the host is down"},
    {"Name service error", "DNS: ask for the name with dig(1); does the resolver answer?"},
    {"Host not found", "DNS: ask for the name with dig(1); does the resolver answer?"},
    {"refused to talk to me: 4",
     "the server takes no more connections: its own limit (Dovecot: process_limit, "
     "client_limit), or it is to get fewer: workers.max"},
    {"said: 421",
     "the server is busy: its own limit, or it is to get fewer at a time: workers.max"},
    {"TLS", "TLS: its certificate or protocol; the log, with lmtp_tls_loglevel = 1, says more"},
    {"certificate",
     "TLS: its certificate or protocol; the log, with lmtp_tls_loglevel = 1, says more"},
    {"timed out while",
     "the server has the message and does not answer: its log, its load, its disk"},
    {"lost connection",
     "the server has closed in mid-delivery: its log says why, if it did not crash"},
    {"Connection reset",
     "the server has closed in mid-delivery: its log says why, if it did not crash"},
    {"4.2.2", "a mailbox is full: its owner, or its quota"},
    {"4.3.1", "the server has no disk space left, or not enough memory"},
};

const char *ctl_advice(const char *reason)
{
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (strcasestr(reason, lines[i].says))
            return lines[i].advice;
    return NULL;
}

const struct status_destination *ctl_newest_reason(const struct status *status)
{
    const struct status_destination *newest = NULL;

    for (uint64_t i = 0; i < status->destinations; i++) {
        const struct status_destination *at = &status->destination[i];

        if (at->reason[0] != '\0' && (!newest || at->reason_time > newest->reason_time))
            newest = at;
    }
    return newest;
}
