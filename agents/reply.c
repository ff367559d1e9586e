#include "agents/reply.h"

#include "agents/attr.h"
#include "agents/limits.h"

#include <errno.h>
#include <string.h>

/* clang-format off */
const char reply_deferred[] =
    "status\0" "\0" "diag_type\0" "\0" "diag_text\0" "\0" "mta_type\0" "\0" "mta_mname\0" "\0"
    "action\0" "\0" "reason\0" "\0" "status\0" "4294967295\0";
/* clang-format on */

/* The NUL that C adds is the one that closes the list. */
const size_t reply_deferred_size = sizeof reply_deferred;

static int parse(const char *bytes, size_t len, struct reply *reply)
{
    struct {
        const char *name;
        const char **value;
    } texts[] = {
        {"status", &reply->dsn},          {"diag_type", &reply->diag_type},
        {"diag_text", &reply->diag_text}, {"mta_type", &reply->mta_type},
        {"mta_mname", &reply->mta_name},  {"action", &reply->action},
        {"reason", &reply->reason},
    };
    struct attr_pair pair;
    size_t at = 0;
    int rc;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        rc = attr_next(bytes, len, &at, &pair);
        if (rc < 0)
            return rc;
        if (rc == 0 || strcmp(pair.name, texts[i].name) != 0)
            return -EBADMSG;
        *texts[i].value = pair.value;
    }
    rc = attr_next(bytes, len, &at, &pair);
    if (rc < 0)
        return rc;
    if (rc == 0 || strcmp(pair.name, "status") != 0 || attr_int(pair.value, &reply->status) < 0)
        return -EBADMSG;
    rc = attr_next(bytes, len, &at, &pair);
    if (rc != 0)
        return rc < 0 ? rc : -EBADMSG;
    reply->length = at;
    return at > REPLY_BYTES_MAX ? -EMSGSIZE : 0;
}

int reply_parse(const char *bytes, size_t len, struct reply *reply)
{
    int rc = parse(bytes, len, reply);

    return rc == -EAGAIN && len >= REPLY_BYTES_MAX ? -EMSGSIZE : rc;
}

/*
 * smtp(8) and lmtp(8) say 4.4.2 for each conversation that breaks off; only the text tells where. A greeting or a handshake
 * that was refused is the one failure of the next hop for which there is a server's reply.
 */
bool reply_unreached(const struct reply *reply)
{
    if (reply->status == 0)
        return false;
    if (reply->diag_type[0] != '\0')
        return reply->dsn[0] == '4' && strstr(reply->reason, " refused to talk to me: ") != NULL;
    if (strcmp(reply->dsn, "4.4.1") == 0 || strcmp(reply->dsn, "4.4.3") == 0)
        return true;
    return strcmp(reply->dsn, "4.4.2") == 0 &&
           (strstr(reply->reason, " while receiving the initial server greeting") != NULL ||
            strstr(reply->reason, " while performing the LHLO handshake") != NULL ||
            strstr(reply->reason, " while performing the HELO handshake") != NULL ||
            strstr(reply->reason, " while performing the EHLO handshake") != NULL);
}
