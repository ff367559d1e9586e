#include "agents/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void drop(struct merge *merge)
{
    free(merge->kept);
    merge->kept = NULL;
    merge->kept_size = 0;
}

void merge_init(struct merge *merge, uint32_t expected)
{
    memset(merge, 0, sizeof *merge);
    merge->expected = expected;
}

void merge_free(struct merge *merge)
{
    drop(merge);
    memset(merge, 0, sizeof *merge);
}

int merge_add(struct merge *merge, const struct reply *reply, const char *bytes)
{
    if (merge->added >= merge->expected)
        return -EINVAL;
    merge->added++;
    if (reply->status == 0)
        merge->done++;
    else if (reply->dsn[0] != '\0')
        merge->with_dsn++;
    if (merge->done != merge->added && merge->with_dsn != merge->added) {
        drop(merge);
    } else if (merge->added == 1) {
        merge->kept = malloc(reply->length);
        if (merge->kept != NULL) {
            memcpy(merge->kept, bytes, reply->length);
            merge->kept_size = reply->length;
        }
    }
    return 0;
}

int merge_add_deferred(struct merge *merge)
{
    struct reply reply;
    int rc = reply_parse(reply_deferred, reply_deferred_size, &reply);

    return rc < 0 ? rc : merge_add(merge, &reply, reply_deferred);
}

int merge_done(const struct merge *merge, const char **bytes, size_t *size)
{
    if (merge->added < merge->expected)
        return -EAGAIN;
    if (merge->kept != NULL) {
        *bytes = merge->kept;
        *size = merge->kept_size;
    } else {
        *bytes = reply_deferred;
        *size = reply_deferred_size;
    }
    return 0;
}
