#include "agents/greeting.h"

#include "agents/attr.h"
#include "agents/limits.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static bool is_greeting(const struct attr_pair *pair)
{
    return (strcmp(pair->name, "protocol") == 0 &&
            strcmp(pair->value, "delivery_request_protocol") == 0) ||
           (strcmp(pair->name, "status") == 0 && strcmp(pair->value, "0") == 0);
}

int greeting_parse(const char *bytes, size_t len, size_t *length)
{
    struct attr_pair pair;
    size_t at = 0;
    bool first = true;
    int rc;

    while ((rc = attr_next(bytes, len, &at, &pair)) > 0) {
        if (first && !is_greeting(&pair))
            return -EBADMSG;
        first = false;
    }
    if (rc == -EAGAIN)
        return len >= GREETING_MAX ? -EMSGSIZE : -EAGAIN;
    if (rc < 0)
        return rc;
    if (first)
        return -EBADMSG;
    if (at > GREETING_MAX)
        return -EMSGSIZE;
    *length = at;
    return 0;
}
